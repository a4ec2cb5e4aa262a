"""A closed-loop HTTP/1.1 client that costs little: fixed request bytes, keep-alive, answers framed but not read into.

Run it pinned to another core than the server: `python hammer.py PORT CONNECTIONS SECONDS < request`.
Prints one JSON line: answers and SSE events, whole and per second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast


class _Connection(asyncio.Protocol):
    """One connection: sends the request again whenever an answer is complete."""

    def __init__(self, request: bytes, until: float) -> None:
        self.answers = 0
        self.events = 0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            if not self._buffer.endswith(b"\r\n0\r\n\r\n"):
                return
            self.events += self._buffer.count(b"data: {", head_end)
        else:
            start = head.index(b"content-length:") + len(b"content-length:")
            if len(self._buffer) < head_end + 4 + int(head[start:].split(b"\r\n")[0]):
                return
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"not a 200: {self._buffer[:300]!r}")
        self.answers += 1
        self._buffer = b""
        if time.perf_counter() < self._until:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, _problem: Exception | None) -> None:
        self.closed.set_result(None)


async def _hammer(port: int, connections: int, seconds: float, request: bytes) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: _Connection(request, started + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 10):
        await asyncio.gather(*(one.closed for one in made))
    elapsed = time.perf_counter() - started
    answers, events = sum(one.answers for one in made), sum(one.events for one in made)
    return {
        "answers": answers,
        "events": events,
        "answers_per_s": answers / elapsed,
        "events_per_s": events / elapsed,
    }


if __name__ == "__main__":
    import uvloop

    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_hammer(port, connections, seconds, sys.stdin.buffer.read()))))
