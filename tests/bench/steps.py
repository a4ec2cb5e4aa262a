"""Where the time of `POST /classify` goes: microseconds of CPU time for each step, in one process without sockets.

The ASGI apps are called with a prepared scope, the protocols are fed bytes over a transport that is none, and the
parts of the handler are called by themselves. What `make bench` measures beyond that is the system's sockets.
`python -m tests.bench.steps [ROUNDS]` alternates all steps and prints medians; it is steady beside other work.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reference_impl.app import ReferenceApp, create_app
from reference_impl.http.protocol import EnvelopeProtocol
from reference_impl.settings import Settings
from tests.bench.bare import app as bare_app

CALLS = 400
BODY = json.dumps({"text": "My invoice was charged twice and I want a refund."}).encode()
HEADERS = [
    (b"host", b"127.0.0.1"),
    (b"authorization", b"Bearer sk-demo"),
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
]
PATH = "/api/v1/classify"
WIRE = (
    f"POST {PATH} HTTP/1.1\r\n".encode()
    + b"".join(name + b": " + value + b"\r\n" for name, value in HEADERS)
    + b"\r\n"
    + BODY
)
Measure = Callable[[], Awaitable[None]]


def scope() -> dict[str, Any]:
    """A request's scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "root_path": "",
        "headers": list(HEADERS),
        "state": {},
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
    }


async def receive() -> dict[str, Any]:
    """The whole body at once."""
    return {"type": "http.request", "body": BODY, "more_body": False}


async def discard(_message: Any) -> None:
    """Send nowhere."""


def calling(app: Any) -> Measure:
    """CALLS requests of an ASGI app, one after the other."""

    async def measure() -> None:
        for _ in range(CALLS):
            await app(scope(), receive, discard)

    return measure


class _NoSocket(asyncio.Transport):
    """Hands the next request to the protocol once an answer is complete."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        self._left = CALLS
        self.done = asyncio.get_running_loop().create_future()
        self._writes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("sockname", "peername") else default

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def write(self, _data: Any) -> None:
        self._writes += 1
        if self._writes % 2 == 0:  # head, body
            self._left -= 1
            asyncio.get_running_loop().call_soon(self.feed)

    def feed(self) -> None:
        if self._left:
            self._protocol.data_received(WIRE)
        else:
            self.done.set_result(None)


def feeding(app: Any, protocol_class: type[HttpToolsProtocol], **options: Any) -> Measure:
    """CALLS requests through uvicorn's protocol, without its sockets."""
    config = uvicorn.Config(app, access_log=False, log_config=None, server_header=False, **options)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Tue, 24 Nov 2026 21:00:00 GMT")]

    async def measure() -> None:
        protocol = protocol_class(config, state, {})
        transport = _NoSocket(protocol)
        protocol.connection_made(transport)
        transport.feed()
        await transport.done
        protocol.connection_lost(None)

    return measure


async def _answer(app: Any) -> bytes:
    parts: list[bytes] = []

    async def keep(message: Any) -> None:
        parts.append(message.get("body", b""))

    await app(scope(), receive, keep)
    return b"".join(parts)


@contextmanager
def _collected() -> Iterator[list[float]]:
    """The seconds that the garbage collector takes meanwhile."""
    spent: list[float] = []
    started = 0.0

    def note(phase: str, _info: Any) -> None:
        nonlocal started
        if phase == "start":
            started = time.thread_time()
        else:
            spent.append(time.thread_time() - started)

    gc.callbacks.append(note)
    try:
        yield spent
    finally:
        gc.callbacks.remove(note)


async def main(rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        ours = create_app(Settings(database=str(Path(folder) / "steps.sqlite"), rate_limits=False))
        async with ours.running():
            await _measure(ours, rounds)


async def _measure(ours: ReferenceApp, rounds: int) -> None:
    bare = bare_app(await _answer(ours), b"")
    steps: dict[str, Measure] = {
        "bare: app": calling(bare),
        "bare: app behind the protocol": feeding(bare, HttpToolsProtocol),
        "reference: app": calling(ours),
        "reference: app behind the protocol": feeding(
            ours, EnvelopeProtocol, lifespan="off", proxy_headers=False
        ),
    }
    main_thread: dict[str, list[float]] = {name: [] for name in steps}
    process: dict[str, list[float]] = {name: [] for name in steps}
    collector: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, measure in steps.items():
            await ours.services.usage.flush()
            with _collected() as spent:
                thread_s, process_s = time.thread_time(), time.process_time()
                await measure()
                thread_s = time.thread_time() - thread_s
                await ours.services.usage.flush()
                process_s = time.process_time() - process_s
            if number:
                main_thread[name].append(thread_s / CALLS * 1e6)
                process[name].append(process_s / CALLS * 1e6)
                collector[name].append(sum(spent) / CALLS * 1e6)
    print(f"{'':42}{'loop µs':>9}{'process µs':>12}{'of that GC':>12}")
    for name in steps:
        thread_us, process_us = statistics.median(main_thread[name]), statistics.median(process[name])
        print(f"{name:42}{thread_us:9.1f}{process_us:12.1f}{statistics.median(collector[name]):12.1f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=cast(Any, uvloop.new_event_loop)) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
