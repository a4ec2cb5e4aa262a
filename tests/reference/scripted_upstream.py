"""A raw server that answers every request with the bytes it was given, for tests of clients of AI APIs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def chunk(content: str | None = None, finish_reason: str | None = None, **fields: Any) -> bytes:
    """One `chat.completion.chunk` event."""
    delta = {} if content is None else {"content": content}
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **fields}
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def usage(prompt: int, completion: int) -> bytes:
    """The chunk with the token counts."""
    body = {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
    return f"data: {json.dumps(body)}\n\n".encode()


def refusal(status: int, error: dict[str, Any] | None = None, headers: str = "") -> bytes:
    """A whole answer with an error object."""
    body = json.dumps({"error": error or {}}).encode()
    return (
        f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{headers}Connection: close\r\n\r\n"
    ).encode() + body


def json_answer(body: bytes) -> bytes:
    """A whole answer of 200."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


class Script:
    """What the server says, and what it was told.

    `hold` keeps the connection open afterwards; `wait` answers once `go` is set; `again` takes more requests on one
    connection. `models` is the answer to GET /models.
    """

    def __init__(
        self,
        answer: bytes,
        hold: bool = False,
        *,
        wait: bool = False,
        again: bool = False,
        models: bytes | None = None,
    ) -> None:
        self.answer = answer
        self.hold = hold
        self.wait = wait
        self.again = again
        self.models = models
        self.connections = 0
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer)
            while self.again:
                await self._serve(reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client has left
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.models is not None and head.startswith(b"GET "):
            writer.write(self.models)
            await writer.drain()
            return
        self.heads.append(head)
        length = next(
            (int(v.split(b":")[1]) for v in head.split(b"\r\n") if v.lower().startswith(b"content-length")), 0
        )
        body = await reader.readexactly(length)
        self.requests.append(json.loads(body) if body else {})
        self.asked.set()
        if self.wait:
            await self.go.wait()
        writer.write(self.answer)
        await writer.drain()
        if self.hold:
            await reader.read()
            self.left.set()


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """Serve; yields the base URL."""
    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
