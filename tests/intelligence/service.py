"""A server on this machine that speaks the Responses protocol, so that the real client is what is tested."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

AT_ONCE = {"retry-after-ms": "1"}
"""Keeps the client's own pause before the next attempt short."""


@dataclass(frozen=True)
class Reply:
    """`act`: `answer`; `drop` the connection unanswered; `hang` until the end; `cut` the body in half."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    act: str = "answer"
    content_type: str = "application/json"


@dataclass
class Service:
    """What is answered next (the last one again and again), and what was asked."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_over: Event = field(default_factory=Event)

    def will(self, *replies: Reply | bytes) -> None:
        self.replies = [reply if isinstance(reply, Reply) else Reply(reply) for reply in replies]

    def next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving() -> Iterator[Service]:
    """The service on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.requests.append(asked)
            service.headers.append({name.lower(): value for name, value in self.headers.items()})
            reply = service.next()
            if reply.act == "drop":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if reply.act == "hang":
                service.is_over.wait(30)
                return
            body = _events(json.loads(reply.body)) if asked.get("stream") else reply.body
            self.send_response(reply.status)
            kind = "text/event-stream" if asked.get("stream") else reply.content_type
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.act == "cut" else body)
            if reply.act == "cut":
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = Service(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(text: str | None, *, status: str = "completed", **changes: Any) -> bytes:
    """A whole reply as the service sends it: what the model thought, and its answer; `changes` replace top fields."""
    output: list[dict[str, Any]] = [{"type": "reasoning", "id": "rs_1", "summary": []}]
    if text is not None:
        output.append(message({"type": "output_text", "text": text, "annotations": [], "logprobs": []}))
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_732_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "o4-mini-2025-04-16",
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage(1_000, 500),
    }
    return json.dumps(body | changes).encode("utf-8", "surrogatepass")


def message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": list(parts),
        **more,
    }


def usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": output_tokens // 2},
        "total_tokens": input_tokens + output_tokens,
    }


def failure(status: int, code: str, text: str = "told by the service", **headers: str) -> Reply:
    body = {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps(body).encode(), status, AT_ONCE | named)


def _events(whole: dict[str, Any]) -> bytes:
    """The reply as a stream: created, the text in two pieces, completed."""
    item = whole["output"][-1]
    text = item["content"][0]["text"]
    at = {"item_id": item["id"], "output_index": len(whole["output"]) - 1, "content_index": 0}
    half = len(text) // 2
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": [], "usage": None}},
        *(
            {"type": "response.output_item.added", "output_index": index, "item": one | {"content": []}}
            for index, one in enumerate(whole["output"])
        ),
        {"type": "response.content_part.added", **at, "part": item["content"][0] | {"text": ""}},
        {"type": "response.output_text.delta", **at, "delta": text[:half], "logprobs": []},
        {"type": "response.output_text.delta", **at, "delta": text[half:], "logprobs": []},
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.completed", "response": whole},
    ]
    lines = [
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]
    return "".join(lines).encode()
