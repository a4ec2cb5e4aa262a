"""The event-stream response: sends blocks as they come, keeps a silent stream alive, notices who leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reference_impl.policies.events import EventWriter

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    # Proxies that buffer would hold the first token back until the last.
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """Streams `blocks`. The generator is closed once the client has gone, which stops the work behind it.

    When `stopping` is set, the stream ends with the block that `farewell` writes.
    """

    def __init__(
        self,
        blocks: AsyncGenerator[bytes, None],
        *,
        writer: EventWriter,
        keep_alive_s: float,
        stopping: asyncio.Event,
        farewell: Callable[[], bytes],
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**_HEADERS, **(headers or {})})
        self._blocks = blocks
        self._writer = writer
        self._keep_alive_s = keep_alive_s
        self._stopping = stopping
        self._farewell = farewell
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; a HEAD request gets its headers and starts no work."""
        async with aclosing(self._blocks):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._stream(receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, receive: Receive, send: Send) -> None:
        self._last_sent = time.monotonic()
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_disconnect(receive))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not (writing.done() or leaving.done() or stopping.done()):
                silent_until = self._last_sent + self._keep_alive_s
                await asyncio.wait(
                    (writing, leaving, stopping),
                    timeout=max(0.0, silent_until - time.monotonic()),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not writing.done() and time.monotonic() >= self._last_sent + self._keep_alive_s:
                    self._last_sent = time.monotonic()
                    await _body(send, self._writer.keep_alive())
        finally:
            finished = writing.done()
            for task in (writing, leaving, stopping):
                task.cancel()
            await asyncio.wait((writing, leaving, stopping))
        if finished:
            writing.result()
        elif stopping.done() and not stopping.cancelled():
            await _body(send, self._farewell())

    async def _write(self, send: Send) -> None:
        async for block in self._blocks:
            self._last_sent = time.monotonic()
            await _body(send, block)


async def _body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
