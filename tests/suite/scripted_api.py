"""A small API in literal answers, and what it was asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[Asked], Reply]


@contextmanager
def api(answering: Answering) -> Iterator[tuple[str, list[Asked]]]:
    """The URL of a server, and the requests that it has seen."""
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                body = json.loads(raw) if raw else None
            except ValueError:
                body = raw
            request = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            asked.append(request)
            reply = answering(request)
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_OPTIONS = do_HEAD = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def prompt_tokens(asked: Asked) -> int:
    """A token for each byte, the most that any tokenizer makes of a text."""
    return len(json.dumps(asked.body, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def completion(asked: Asked, output: int | None = None) -> Reply:
    """OpenAI's answer to a chat request, plain or streamed, that takes all of the output limit."""
    body = asked.body if isinstance(asked.body, dict) else {}
    spent = output if output is not None else int(body.get("max_tokens") or 16)
    usage = {"prompt_tokens": prompt_tokens(asked), "completion_tokens": spent}
    usage["total_tokens"] = sum(usage.values())
    same = {"id": "c1", "model": "m", "created": 1}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "Red"}, "finish_reason": "length"}
        return Reply({**same, "object": "chat.completion", "choices": [choice], "usage": usage})
    chunk = {**same, "object": "chat.completion.chunk"}
    parts = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": "Red"}, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
        {**chunk, "choices": [], "usage": usage},
    ]
    text = "".join(f"data: {json.dumps(p)}\n\n" for p in parts) + "data: [DONE]\n\n"
    return Reply(text.encode(), headers={"Content-Type": "text/event-stream"})
