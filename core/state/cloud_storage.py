"""The `Blobs` on Cloud Storage: immutable objects, each created once under a name made from its content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from urllib3.exceptions import HTTPError

from core.errors import Conflict, StoreUnavailable
from core.state.codec import checked_blob_name

ATTEMPT_TIMEOUT_S = 2.5
"""One attempt, to connect and between two parts of the answer."""
DEADLINE_S = 5.0
"""The last attempt begins within this: exits wait for the evidence that is stored before them. Both calls are safe to
repeat: an object is only ever created, with one content."""


class CloudStorageBlobs:
    """Blobs as objects of one bucket. The client is made on the first call.

    Where `STORAGE_EMULATOR_HOST` is set it goes there, else it uses the application default credentials.
    """

    def __init__(
        self, bucket: str, *, attempt_timeout_s: float = ATTEMPT_TIMEOUT_S, deadline_s: float = DEADLINE_S
    ) -> None:
        self.reads = self.writes = self.round_trips = 0
        self._bucket_name = bucket
        self._attempt_timeout_s = attempt_timeout_s
        self._retry = DEFAULT_RETRY.with_timeout(deadline_s)

    def put(self, name: str, content: bytes) -> None:
        """Keep the content; `Conflict` if other content already has this name."""
        with self._object(name, "write") as blob, suppress(exceptions.PreconditionFailed):
            self.writes += 1
            blob.upload_from_string(
                content,
                content_type="application/octet-stream",
                # Create only: 0 is the generation of an object that does not exist.
                if_generation_match=0,
                timeout=self._attempt_timeout_s,
                retry=self._retry,
            )
            return
        if self.get(name) != content:
            raise Conflict(
                f"blob {name} in bucket {self._bucket_name} already holds other content "
                f"than these {len(content)} bytes; name blobs by a hash of their content"
            )

    def get(self, name: str) -> bytes | None:
        """The content, or None where there is no such blob."""
        with self._object(name, "read") as blob, suppress(exceptions.NotFound):
            self.reads += 1
            content: bytes = blob.download_as_bytes(timeout=self._attempt_timeout_s, retry=self._retry)
            return content
        return None

    def close(self) -> None:
        bucket = vars(self).pop("_bucket", None)
        if bucket is not None:
            bucket.client.close()

    @cached_property
    def _bucket(self) -> Bucket:
        return Client().bucket(self._bucket_name)

    @contextmanager
    def _object(self, name: str, action: str) -> Iterator[Blob]:
        """The object of this name for one round trip, whose failures are told as ours."""
        checked_blob_name(name)
        self.round_trips += 1
        try:
            yield self._bucket.blob(name)
        except _FAILURES as error:
            next_step = "try again later; the same content under the same name is harmless"
            if isinstance(error, (exceptions.NotFound, exceptions.Forbidden, exceptions.Unauthorized)):
                next_step = "create the bucket and give the service account roles/storage.objectUser on it"
            if isinstance(error, GoogleAuthError):
                next_step = "run `gcloud auth application-default login`, or set STORAGE_EMULATOR_HOST"
            raise StoreUnavailable(
                f"blob {name} in bucket {self._bucket_name}: cannot {action}: {error}; {next_step}"
            ) from error


# The client lets errors of its HTTP libraries through as they are; those of requests are OSErrors.
_FAILURES = (exceptions.GoogleAPIError, GoogleAuthError, OSError, HTTPError, DataCorruption, InvalidResponse)
