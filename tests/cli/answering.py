"""A real HTTP server on 127.0.0.1 that answers POSTs from a list and keeps what it was asked; who else serves there."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = 0
"""In place of a status: end the connection without an answer."""


@dataclass
class Answering:
    """`statuses` are used up in order, then every answer is 200 with `body`; `asked` holds (path, headers, body)."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    body: dict[str, Any] = field(default_factory=lambda: {"outcome": "done"})
    asked: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    def headers(self, name: str) -> list[str | None]:
        return [headers.get(name) for _, headers, _ in self.asked]


@contextmanager
def answering(*statuses: int) -> Iterator[Answering]:
    state = Answering(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append((self.path, dict(self.headers), content))
            status = state.statuses.pop(0) if state.statuses else 200
            if status == DROP:
                self.close_connection = True
                return
            answer = json.dumps(state.body if status == 200 else {"error": "told so by the test"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_served(url: str) -> bool:
    """Whether anybody listens at this http://HOST:PORT."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
