"""A gRPC server that refuses every call with one status and counts them, as a failing service would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc


class _Refusing(grpc.GenericRpcHandler):
    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        self.calls: Counter[str] = Counter()
        self._status = status
        self._message = message

    def service(self, details: Any) -> Any:
        self.calls[details.method.rpartition("/")[2]] += 1
        return grpc.unary_stream_rpc_method_handler(self._refuse)

    def _refuse(self, request: bytes, context: Any) -> Any:
        context.abort(self._status, self._message)


@contextmanager
def refusing_server(status: grpc.StatusCode, message: str) -> Iterator[tuple[str, Callable[[str], int]]]:
    """HOST:PORT, and how often a method was called."""
    handler = _Refusing(status, message)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", lambda method: handler.calls[method]
    finally:
        server.stop(None).wait(5)
