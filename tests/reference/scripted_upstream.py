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


class Script:
    """What the server says, and what it was told. `hold` keeps the connection open afterwards."""

    def __init__(self, answer: bytes, hold: bool = False) -> None:
        self.answer = answer
        self.hold = hold
        self.requests: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = next(
            (int(v.split(b":")[1]) for v in head.split(b"\r\n") if v.lower().startswith(b"content-length")), 0
        )
        body = await reader.readexactly(length)
        self.requests.append(json.loads(body) if body else {})
        writer.write(self.answer)
        await writer.drain()
        if self.hold:
            await reader.read()
            self.left.set()
        writer.close()


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """Serve; yields the base URL."""
    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
