"""The `Blobs` on Cloud Storage: immutable objects, each created once under a name made from its content."""

from __future__ import annotations

import threading

import urllib3
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from core.errors import Conflict, StoreUnavailable
from core.state.codec import checked_blob_name

ATTEMPT_TIMEOUT_S = 10.0
"""One attempt, to connect and between two parts of the answer."""
DEADLINE_S = 30.0
"""All attempts together. Both calls are safe to repeat: an object is only ever created, with one content."""


class CloudStorageBlobs:
    """Blobs as objects of one bucket. The client is made on the first call.

    Where `STORAGE_EMULATOR_HOST` is set it goes there, else it uses the application default credentials.
    """

    def __init__(
        self,
        bucket: str,
        *,
        project: str | None = None,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.reads = 0
        self.writes = 0
        self.round_trips = 0
        self._bucket_name = bucket
        self._project = project
        self._attempt_timeout_s = attempt_timeout_s
        self._retry = DEFAULT_RETRY.with_timeout(deadline_s)
        self._lock = threading.Lock()
        self._bucket: Bucket | None = None

    def put(self, name: str, content: bytes) -> None:
        """Keep the content; `Conflict` if other content already has this name."""
        checked_blob_name(name)
        self.writes += 1
        try:
            self.round_trips += 1
            self._blob(name).upload_from_string(
                content,
                content_type="application/octet-stream",
                # Create only: 0 is the generation of an object that does not exist.
                if_generation_match=0,
                timeout=self._attempt_timeout_s,
                retry=self._retry,
            )
        except exceptions.PreconditionFailed:
            self._check_same(name, content)
        except _FAILURES as error:
            raise self._unavailable("write", name, error) from error

    def get(self, name: str) -> bytes | None:
        """The content, or None where there is no such blob."""
        checked_blob_name(name)
        self.reads += 1
        try:
            self.round_trips += 1
            content: bytes = self._blob(name).download_as_bytes(timeout=self._attempt_timeout_s, retry=self._retry)
        except exceptions.NotFound:
            return None
        except _FAILURES as error:
            raise self._unavailable("read", name, error) from error
        return content

    def close(self) -> None:
        with self._lock:
            if self._bucket is not None:
                self._bucket.client.close()
            self._bucket = None

    def _check_same(self, name: str, content: bytes) -> None:
        kept = self.get(name)
        if kept != content:
            raise Conflict(
                f"blob {name} in bucket {self._bucket_name} already holds other content "
                f"than these {len(content)} bytes; name blobs by a hash of their content"
            )

    def _blob(self, name: str) -> Blob:
        with self._lock:
            if self._bucket is None:
                self._bucket = Client(project=self._project).bucket(self._bucket_name)
            return self._bucket.blob(name)

    def _unavailable(self, action: str, name: str, error: Exception) -> StoreUnavailable:
        next_step = "try again later; the same content under the same name is harmless"
        if isinstance(error, (exceptions.NotFound, exceptions.Forbidden, exceptions.Unauthorized)):
            next_step = "create the bucket and give the service account roles/storage.objectUser on it"
        if isinstance(error, GoogleAuthError):
            next_step = "run `gcloud auth application-default login`, or set STORAGE_EMULATOR_HOST"
        return StoreUnavailable(f"blob {name} in bucket {self._bucket_name}: cannot {action}: {error}; {next_step}")


# The client lets errors of its HTTP libraries through as they are; those of requests are OSErrors.
_FAILURES = (
    exceptions.GoogleAPIError,
    GoogleAuthError,
    OSError,
    urllib3.exceptions.HTTPError,
    DataCorruption,
    InvalidResponse,
)
