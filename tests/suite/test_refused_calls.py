"""Calls that a limit refused: each waits for its turn, is sent again in time, and leaves the last probes their budget.

The server is a token bucket, as LLMock's `--rpm` is: of calls that wait side by side only one would get through.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.dialects.model import load_dialect
from conformance.run import Run
from conformance.session import Session
from conformance.target import Target
from conformance.wire.http import Wire

REFILL = 0.25  # seconds per request
FULL = 2


@pytest.fixture
def bucket() -> Iterator[str]:
    level, last, guard = float(FULL), time.monotonic(), threading.Lock()

    class Limited(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal level, last
            self.rfile.read(int(self.headers["content-length"]))
            with guard:
                now = time.monotonic()
                level, last = min(FULL, level + (now - last) / REFILL), now
                taken, wait = level >= 1, (1 - level) * REFILL
                level -= taken
            self.send_response(200 if taken else 429)
            self.send_header("Content-Length", "2")
            if not taken:
                self.send_header("retry-after-ms", str(int(wait * 1000) + 10))
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Limited)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def statuses(url: str, calls: int, *, max_calls: int, kept: int = 0) -> tuple[list[int | None], int]:
    """What so many calls, sent side by side, end with; and how many requests that took."""

    async def send() -> tuple[list[int | None], int]:
        dialect = load_dialect("openai-chat")
        async with Wire() as wire:
            run = Run(Target(url, dialect.name, max_calls=max_calls), dialect, wire, kept=kept)
            session = Session(run, "probe")
            readings = await asyncio.gather(
                *(session.call("chat", "r", prompt="Hi", model="m") for _ in range(calls))
            )
        return [r.status for r in readings], run.ledger.calls

    return asyncio.run(send())


def test_refused_calls_get_through_one_after_the_other(bucket: str) -> None:
    ended, sent = statuses(bucket, 6, max_calls=80)
    assert ended == [200] * 6
    assert sent <= 6 + 2 * (6 - FULL)


def test_no_call_is_sent_again_from_the_budget_of_the_last_probes(bucket: str) -> None:
    ended, sent = statuses(bucket, 6, max_calls=10, kept=4)
    assert sent == 6
    assert ended.count(429) == 6 - FULL
