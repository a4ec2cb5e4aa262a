"""A server that generates a whole answer before it sends the head of it has all of the declared time for it.

Seen on `transformers serve` on a busy machine: plain answers were cut off at 15 s although 30 s were declared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from conformance.dialects.model import load_dialect
from conformance.evidence import Failure
from conformance.run import Run
from conformance.session import Session
from conformance.target import Limits, Target
from conformance.wire.http import Wire


@pytest.fixture
def slow() -> Iterator[str]:
    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def do_GET(self) -> None:
            Event().wait(0.6)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has left
                self.end_headers()
                self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("operation", "kind"), [("chat", None), ("models", "timeout_headers")])
def test_only_generated_answers_may_come_late(slow: str, operation: str, kind: str | None) -> None:
    async def call() -> Failure | None:
        dialect = load_dialect("openai-chat")
        target = Target(slow, dialect.name, limits=Limits(headers=0.2, total=20.0))
        async with Wire() as wire:
            session = Session(Run(target, dialect, wire), "probe")
            return (await session.call(operation, "r", prompt="Hi", model="m")).exchange.failure

    failure = asyncio.run(call())
    assert (failure and failure.kind) == kind
