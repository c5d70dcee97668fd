"""The `Store` on Firestore: batched reads, one commit with preconditions, no transactions and no listeners.

It speaks through the public low-level client (`google.cloud.firestore_v1.services.firestore`): the high-level
batch cannot replace a whole document at a known update time (`set` takes no precondition, `update` merges).
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import common, firestore, query, write

from core.ports import Absent, AtVersion, Document, Write
from core.state.codec import (
    COMMIT_ID_FIELD,
    Plain,
    checked_collection,
    checked_field,
    checked_limit,
    checked_path,
    checked_writes,
)
from core.state.firestore_errors import commit_of, failure, refused_commit
from core.state.firestore_values import (
    WireDocument,
    WireValue,
    from_document,
    from_timestamp,
    to_fields,
    to_timestamp,
)

READ_TIMEOUT_S = 4.0
"""One attempt to read; lost connections are found by this."""
READ_DEADLINE_S = 10.0
"""All attempts to read together."""
COMMIT_TIMEOUT_S = 10.0
"""A commit is sent once: a second try could meet its own first and report a conflict."""

READ_RETRY = retry.Retry(
    predicate=retry.if_exception_type(
        exceptions.ServiceUnavailable,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.Aborted,
    ),
    initial=0.05,
    maximum=1.0,
    multiplier=2.0,
    timeout=READ_DEADLINE_S,
)

_ENDPOINT = "firestore.googleapis.com:443"
_CHANNEL_OPTIONS = [
    # Several large documents in one answer pass gRPC's default of 4 MB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A warm instance may idle for minutes while a firewall forgets its connection.
    ("grpc.keepalive_time_ms", 30_000),
]

_WireWrite: Any = write.Write.pb()
_CommitRequest: Any = firestore.CommitRequest.pb()
_ReadRequest: Any = firestore.BatchGetDocumentsRequest.pb()
_QueryRequest: Any = firestore.RunQueryRequest.pb()
_Query: Any = query.StructuredQuery.pb()
_Precondition: Any = common.Precondition.pb()

_Answer = TypeVar("_Answer")


class FirestoreStore:
    """Documents of one Firestore database. A version is the document's update time, to the nanosecond.

    Firestore leaves the update time alone when a write changes nothing, so two writers of the same data would
    both win. Every commit therefore stamps its documents with a fresh `_commit_id`, which reading leaves out.

    The connection is made on the first call, to the emulator where `FIRESTORE_EMULATOR_HOST` is set, else
    with the application default credentials. `reads` and `writes` count documents as Firestore bills them.
    """

    def __init__(
        self,
        project: str,
        *,
        database: str = "(default)",
        emulator_host: str | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        read_deadline_s: float = READ_DEADLINE_S,
        commit_timeout_s: float = COMMIT_TIMEOUT_S,
    ) -> None:
        self.reads = 0
        self.writes = 0
        self.round_trips = 0
        self._database = f"projects/{project}/databases/{database}"
        self._documents = f"{self._database}/documents"
        self._emulator_host = emulator_host or os.environ.get("FIRESTORE_EMULATOR_HOST")
        self._read_timeout_s = read_timeout_s
        self._read_retry = READ_RETRY.with_timeout(read_deadline_s)
        self._commit_timeout_s = commit_timeout_s
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if self._emulator_host:
            # The emulator lets its owner pass the security rules, as the real service lets a service account.
            self._metadata.append(("authorization", "Bearer owner"))
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._client: FirestoreClient | None = None

    def read(self, paths: Sequence[str]) -> tuple[Document | None, ...]:
        names = [self._name(checked_path(path)) for path in dict.fromkeys(paths)]
        if not names:
            return ()
        request = firestore.BatchGetDocumentsRequest.wrap(_ReadRequest(database=self._database, documents=names))

        def attempt() -> list[Any]:
            self._count(round_trips=1)
            answers = self._open().batch_get_documents(
                request, retry=None, timeout=self._read_timeout_s, metadata=self._metadata
            )
            return [firestore.BatchGetDocumentsResponse.pb(answer) for answer in answers]

        answers = self._asked(f"read {', '.join(paths)}", attempt)
        found = [self._document(answer.found) for answer in answers if answer.HasField("found")]
        self._count(reads=len(names))
        by_path = {document.path: document for document in found}
        return tuple(by_path.get(path) for path in paths)

    def commit(self, writes: Sequence[Write]) -> tuple[str, ...]:
        checked = checked_writes(writes)
        if not checked:
            return ()
        commit_id = uuid.uuid4().hex
        wire_writes = [self._wire_write(one, data, commit_id) for one, data in checked]
        request = firestore.CommitRequest.wrap(_CommitRequest(database=self._database, writes=wire_writes))

        self._count(round_trips=1)
        try:
            # The client's own default would send the commit again when the connection drops: retry=None.
            answer = self._open().commit(request, retry=None, timeout=self._commit_timeout_s, metadata=self._metadata)
        except (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound) as error:
            raise refused_commit(writes, error) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise failure(commit_of(writes), error) from error

        self._count(writes=len(writes))
        results = firestore.CommitResponse.pb(answer).write_results
        return tuple(from_timestamp(result.update_time) for result in results)

    def recent(
        self, collection: str, *, order_by: str, limit: int, where: Sequence[tuple[str, str]] = ()
    ) -> tuple[Document, ...]:
        wanted = _newest(checked_collection(collection), checked_field(order_by), checked_limit(limit), where)
        request = firestore.RunQueryRequest.wrap(_QueryRequest(parent=self._documents, structured_query=wanted))

        def attempt() -> list[Any]:
            self._count(round_trips=1)
            answers = self._open().run_query(request, retry=None, timeout=self._read_timeout_s, metadata=self._metadata)
            return [firestore.RunQueryResponse.pb(answer) for answer in answers]

        answers = self._asked(f"query {collection} by {order_by}", attempt)
        documents = tuple(self._document(answer.document) for answer in answers if answer.HasField("document"))
        self._count(reads=max(1, len(documents)))
        return documents

    def close(self) -> None:
        with self._lock:
            if self._channel is not None:
                self._channel.close()
            self._channel = self._client = None

    def _asked(self, action: str, attempt: Callable[[], _Answer]) -> _Answer:
        try:
            return self._read_retry(attempt)()
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise failure(action, error) from error

    def _open(self) -> FirestoreClient:
        with self._lock:
            if self._client is None:
                if self._emulator_host:
                    self._channel = grpc.insecure_channel(self._emulator_host, options=_CHANNEL_OPTIONS)
                else:
                    self._channel = FirestoreGrpcTransport.create_channel(_ENDPOINT, options=_CHANNEL_OPTIONS)
                self._client = FirestoreClient(transport=FirestoreGrpcTransport(channel=self._channel))
            return self._client

    def _wire_write(self, one: Write, data: Plain, commit_id: str) -> Any:
        fields = to_fields(data) | {COMMIT_ID_FIELD: WireValue(string_value=commit_id)}
        # Without an update mask the document is replaced as a whole.
        wire = _WireWrite(update=WireDocument(name=self._name(one.path), fields=fields))
        match one.require:
            case Absent():
                wire.current_document.CopyFrom(_Precondition(exists=False))
            case AtVersion(version):
                required = wire.current_document.update_time
                required.seconds, required.nanos = to_timestamp(version)
        return wire

    def _document(self, document: Any) -> Document:
        path = document.name.removeprefix(self._documents + "/")
        return Document(path, from_document(path, document), from_timestamp(document.update_time))

    def _name(self, path: str) -> str:
        return f"{self._documents}/{path}"

    def _count(self, *, reads: int = 0, writes: int = 0, round_trips: int = 0) -> None:
        with self._lock:
            self.reads += reads
            self.writes += writes
            self.round_trips += round_trips


def _newest(collection: str, order_by: str, limit: int, where: Sequence[tuple[str, str]]) -> Any:
    equalities = [
        _Query.Filter(
            field_filter=_Query.FieldFilter(
                field=_Query.FieldReference(field_path=checked_field(field)),
                op=_Query.FieldFilter.EQUAL,
                value=WireValue(string_value=value),
            )
        )
        for field, value in where
    ]
    wanted = _Query(
        from_=[_Query.CollectionSelector(collection_id=collection)],
        order_by=[_Query.Order(field=_Query.FieldReference(field_path=order_by), direction=_Query.DESCENDING)],
    )
    wanted.limit.value = limit
    if equalities:
        both = _Query.CompositeFilter(op=_Query.CompositeFilter.AND, filters=equalities)
        wanted.where.CopyFrom(_Query.Filter(composite_filter=both))
    return wanted
