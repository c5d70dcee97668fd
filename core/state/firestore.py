"""The `Store` on Firestore: batched reads, one commit with preconditions, no transactions and no listeners.

It speaks through the public low-level client (`google.cloud.firestore_v1.services.firestore`): the high-level
batch cannot replace a whole document at a known update time (`set` takes no precondition, `update` merges).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import grpc
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from core.ports import Document, Write
from core.state.codec import check_query, check_writes, checked_path
from core.state.firestore_wire import failure, from_document, from_timestamp, refused_commit, to_write

READ_TIMEOUT_S = 4.0
"""One attempt to read; lost connections are found by this."""
READ_DEADLINE_S = 10.0
"""All attempts to read together."""
COMMIT_TIMEOUT_S = 10.0
"""A commit is sent once: a second try could meet its own first and report a conflict."""
READ_RETRY = retry.Retry(
    predicate=retry.if_exception_type(exceptions.ServerError, exceptions.ResourceExhausted, exceptions.Aborted),
    initial=0.05,
    maximum=1.0,
)

_ENDPOINT = "firestore.googleapis.com:443"
_CHANNEL_OPTIONS = [
    # Several large documents in one answer pass gRPC's default of 4 MB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A warm instance may idle for minutes while a firewall forgets its connection.
    ("grpc.keepalive_time_ms", 30_000),
]


class FirestoreStore:
    """Documents of a project's default database. A version is the document's update time, to the nanosecond.

    Firestore leaves the update time alone when a write changes nothing, so two writers of the same data would
    both win. Every commit therefore stamps its documents with a fresh `_commit_id`, which reading leaves out.

    The connection is made on the first call, to the emulator where `FIRESTORE_EMULATOR_HOST` is set, else
    with the application default credentials. `reads` and `writes` count documents as Firestore bills them.
    """

    def __init__(
        self,
        project: str,
        *,
        emulator_host: str | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        read_deadline_s: float = READ_DEADLINE_S,
        commit_timeout_s: float = COMMIT_TIMEOUT_S,
    ) -> None:
        self.reads = self.writes = self.round_trips = 0
        self._database = f"projects/{project}/databases/(default)"
        self._documents = f"{self._database}/documents"
        self._emulator_host = emulator_host or os.environ.get("FIRESTORE_EMULATOR_HOST")
        self._read_timeout_s = read_timeout_s
        self._read_retry = READ_RETRY.with_timeout(read_deadline_s)
        self._commit_timeout_s = commit_timeout_s
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if self._emulator_host:
            # The emulator lets its owner pass the security rules, as the real service lets a service account.
            self._metadata.append(("authorization", "Bearer owner"))

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        names = [f"{self._documents}/{checked_path(path)}" for path in dict.fromkeys(paths)]
        if not names:
            return ()
        request = {"database": self._database, "documents": names}
        asked = self._asked(f"read {', '.join(paths)}", FirestoreClient.batch_get_documents, request)
        found = [from_document(answer.found) for answer in asked if answer.HasField("found")]
        self.reads += len(names)
        by_path = {document.path: document for document in found}
        return tuple(by_path.get(path) for path in paths)

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        check_writes(writes)
        if not writes:
            return ()
        stamp = uuid.uuid4().hex
        wire_writes = [to_write(f"{self._documents}/{write.path}", write, stamp) for write in writes]
        request = {"database": self._database, "writes": wire_writes}
        self.round_trips += 1
        try:
            # The client's own default would send the commit again when the connection drops: retry=None.
            answer = self._client.commit(request, retry=None, timeout=self._commit_timeout_s, metadata=self._metadata)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise refused_commit(writes, error) from error

        self.writes += len(writes)
        return tuple(from_timestamp(result.update_time) for result in type(answer).pb(answer).write_results)

    def recent(
        self,
        collection: str,
        *,
        order_by: str,
        limit: int,
        where: Sequence[tuple[str, str]] = (),
        before: datetime | None = None,
    ) -> tuple[Document, ...]:
        check_query(collection, order_by, limit, where)
        equalities = [
            {"field_filter": {"field": {"field_path": field}, "op": "EQUAL", "value": {"string_value": value}}}
            for field, value in where
        ]
        query: dict[str, Any] = {
            "from_": [{"collection_id": collection}],
            "order_by": [{"field": {"field_path": order_by}, "direction": "DESCENDING"}],
            "limit": {"value": limit},
        }
        if equalities:
            query["where"] = {"composite_filter": {"op": "AND", "filters": equalities}}
        if before is not None:
            # Behind every document of this very moment, in descending order: the earlier ones.
            query["start_at"] = {"values": [{"timestamp_value": before}], "before": False}
        request = {"parent": self._documents, "structured_query": query}
        asked = self._asked(f"query {collection} by {order_by}", FirestoreClient.run_query, request)
        documents = tuple(from_document(answer.document) for answer in asked if answer.HasField("document"))
        self.reads += max(1, len(documents))
        return documents

    def close(self) -> None:
        client = vars(self).pop("_client", None)
        if client is not None:
            client.transport.close()

    @cached_property
    def _client(self) -> FirestoreClient:
        if self._emulator_host:
            channel = grpc.insecure_channel(self._emulator_host, options=_CHANNEL_OPTIONS)
        else:
            channel = FirestoreGrpcTransport.create_channel(_ENDPOINT, options=_CHANNEL_OPTIONS)
        return FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))

    def _asked(self, action: str, method: Callable[..., Any], request: dict[str, Any]) -> list[Any]:
        """The protobuf answers of a read, which is sent again while that may help."""

        def attempt() -> list[Any]:
            self.round_trips += 1
            answers = method(self._client, request, retry=None, timeout=self._read_timeout_s, metadata=self._metadata)
            return [type(answer).pb(answer) for answer in answers]

        try:
            return self._read_retry(attempt)()
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise failure(action, error) from error
