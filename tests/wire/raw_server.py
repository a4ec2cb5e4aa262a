"""A server of literal bytes on a real socket, for one test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from conformance.evidence import Exchange, Sent
from conformance.target import Limits
from conformance.wire.http import Recorded, Wire

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LIMITS = Limits(connect=2.0, headers=3.0, total=5.0)


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port on 127.0.0.1 where ``handler`` answers each connection; its own errors fail the test.

    On leaving, handlers have two seconds to come to their end.
    """
    failures: list[Exception] = []
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
                await writer.drain()
        except Exception as error:
            failures.append(error)
        finally:
            running.discard(task)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if running:
            await asyncio.wait(running, timeout=2.0)
        for task in list(running):
            task.cancel()
    assert not failures, failures


def answer(*parts: bytes, pause: float = 0.0) -> Handler:
    """Read a request head and send these bytes, with pauses between them."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for n, part in enumerate(parts):
            if n and pause:
                await asyncio.sleep(pause)
            writer.write(part)
            await writer.drain()

    return handler


def exchange_of(recorded: Recorded) -> Exchange:
    response = recorded.response()
    return Exchange("x0001", "p", "r", "chat", "main", {}, recorded.sent, 0.0, **response)


def ask(
    handler: Handler,
    sent: Sent | None = None,
    limits: Limits = LIMITS,
    hang_up: Callable[[bytes], bool] | None = None,
) -> Exchange:
    """One exchange with a server of its own; ``sent.url`` is a path."""

    async def run() -> Exchange:
        async with serving(handler) as port, Wire() as wire:
            given = sent or Sent("GET", "/")
            full = Sent(given.method, f"http://127.0.0.1:{port}{given.url}", given.headers, given.body)
            return exchange_of(await wire.send(full, limits, hang_up))

    return asyncio.run(run())
