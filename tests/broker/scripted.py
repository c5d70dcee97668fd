"""A server on 127.0.0.1 that answers by script and remembers every request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, str]
    body: Any


@dataclass
class Script:
    """`answer` gives (status, body) for a request; text bodies are sent as they are, others as JSON."""

    answer: Callable[[Asked], tuple[int, Any]]
    url: str = ""
    headers: dict[str, str] | None = None
    """Beside those of the content; None: the ones that such a server sends by itself."""
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(answer: Callable[[Asked], tuple[int, Any]]) -> Iterator[Script]:
    """A running script; its `url` is the server's root."""
    script = Script(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), body)
            script.asked.append(asked)
            status, answered = script.answer(asked)
            content = answered.encode() if isinstance(answered, str) else json.dumps(answered).encode()
            if script.headers is None:
                self.send_response(status)
            else:
                self.send_response_only(status)
                for name, value in script.headers.items():
                    self.send_header(name, value)
            self.send_header("Content-Type", "text/html" if isinstance(answered, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = respond

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
