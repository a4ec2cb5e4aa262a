"""A bare client on asyncio and uvloop: no load tool, hardly any parsing. What it misses, nobody can measure.

``python -m load.bench.bare URL FILE --users 256 --seconds 8 --warmup 2`` writes what it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

BODY = b'{"messages": [{"role": "user", "content": "hello"}], "stream": true}'
TEXT = b'"token":'


class Client(asyncio.Protocol):
    """One user: a request, its stream, the next request."""

    def __init__(self, request: bytes, seen: Seen) -> None:
        self.request, self.seen = request, seen
        self.transport: asyncio.Transport
        self.sent = self.last = 0.0
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if TEXT in data:
            if self.last:
                self.seen.gaps.append(now - self.last)
            else:
                self.seen.firsts.append(now - self.sent)
            self.last = now
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n":
            self.seen.done += 1
            self._send()

    def _send(self) -> None:
        self.last, self.tail = 0.0, b""
        self.sent = perf_counter()
        self.transport.write(self.request)


class Seen:
    """All that is measured."""

    def __init__(self) -> None:
        self.firsts: list[float] = []
        self.gaps: list[float] = []
        self.done = 0


async def _run(url: str, users: int, seconds: float, warmup: float) -> dict[str, Any]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    head = (
        f"POST {parts.path}/chat HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    request, seen = head.encode() + BODY, Seen()
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(request, seen), host, port))[1] for _ in range(users)
    ]
    await asyncio.sleep(warmup)
    seen.firsts.clear()
    seen.gaps.clear()
    seen.done, begun = 0, perf_counter()
    await asyncio.sleep(seconds)
    took, done = perf_counter() - begun, seen.done
    for client in clients:
        client.transport.abort()
    return {
        "streams_per_second": done / took,
        "firsts": seen.firsts,
        "gaps": seen.gaps,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.bare")
    parser.add_argument("url")
    parser.add_argument("out", help="file for the result, as JSON")
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warmup", type=float, default=2.0)
    options = parser.parse_args()
    factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(_run(options.url, options.users, options.seconds, options.warmup))
    Path(options.out).write_text(json.dumps(result), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
