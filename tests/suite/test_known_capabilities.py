"""What a target offers is asked for once a run, however many probes have to know it; a failed answer is no answer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.dialects.model import load_dialect
from conformance.run import Run
from conformance.session import Session
from conformance.target import Target
from conformance.wire.http import Wire


@pytest.fixture
def failing_once() -> Iterator[str]:
    statuses = iter([500])

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"capabilities": {"streaming": {}}}).encode()
            self.send_response(next(statuses, 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_capabilities_are_sent_until_they_are_known(failing_once: str) -> None:
    async def ask() -> tuple[list[int | None], list[str]]:
        dialect = load_dialect("contract")
        async with Wire() as wire:
            run = Run(Target(failing_once, dialect.name), dialect, wire)
            readings = await asyncio.gather(*(Session(run, f"probe_{n}").capabilities() for n in range(4)))
        return [r.status for r in readings], [e.probe for e in run.exchanges]

    statuses, probes = asyncio.run(ask())
    # Refused without a key, it is asked for with one; and what was known once is not asked for again.
    assert statuses == [200] * 4
    assert len(probes) <= 3
