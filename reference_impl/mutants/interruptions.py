"""Mutants of a stream's course in time: it stalls, hangs, lingers, breaks off, or nobody notices who leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.mutants.asked import header_of
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import is_stream
from reference_impl.policies.events import PlainEvents

DONE = b"data: [DONE]\n\n"
ERROR = b"event: error\n"
LINGER = 3.0
STALL = 5.6
"""Seconds. More than SSE-35 allows."""


class _Silent(PlainEvents):
    def keep_alive(self) -> bytes:
        return b""


def _lingering_error(app: ASGIApp) -> ASGIApp:
    """Pings for three seconds after the error."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def late(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and message.get("body", b"").startswith(ERROR):
                for _ in range(6):
                    await send({"type": "http.response.body", "body": b": ping\n", "more_body": True})
                    await asyncio.sleep(LINGER / 6)

        await app(scope, receive, late if scope["type"] == "http" else send)

    return wrapped


def with_compression_buffered(app: ASGIApp) -> ASGIApp:
    """A compressing proxy that fills its window first."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        held: list[bytes] = []
        stream = False

        async def collect(message: Any) -> None:
            nonlocal stream
            if message["type"] == "http.response.start":
                stream = is_stream(message["headers"])
                await send(message)
            elif not stream:
                await send(message)
            else:
                held.append(message.get("body", b""))
                if not message.get("more_body"):
                    await send({"type": "http.response.body", "body": b"".join(held)})

        compressed = scope["type"] == "http" and b"gzip" in header_of(scope, b"accept-encoding")
        await app(scope, receive, collect if compressed else send)

    return wrapped


def _deaf(app: ASGIApp) -> ASGIApp:
    """Never notices that a client has left."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def hearing() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        await app(scope, hearing, send)

    return wrapped


def shared_cancel(app: ASGIApp) -> ASGIApp:
    """One cancel scope for all streams: who leaves ends those of the others."""
    left = 0

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        before, stream = left, False

        async def hearing() -> Any:
            nonlocal left
            message = await receive()
            left += message["type"] == "http.disconnect"
            return message

        async def cancelled(message: Any) -> None:
            nonlocal stream
            if message["type"] == "http.response.start":
                stream = is_stream(message["headers"])
            if stream and left != before and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await app(scope, hearing, cancelled)

    return wrapped


def after_blocks(
    count: int, happens: Callable[[], Any], *, keep_alives: bool = True
) -> Callable[[ASGIApp], ASGIApp]:
    """Something that happens in each stream once so many blocks have been sent."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            stream, blocks = False, 0

            async def counted(message: Any) -> None:
                nonlocal stream, blocks
                if message["type"] == "http.response.start":
                    stream = is_stream(message["headers"])
                elif stream:
                    if not keep_alives and message.get("body", b"").startswith(b":"):
                        return
                    blocks += message.get("body", b"").count(b"\n\n")
                    if blocks == count:
                        await send(message)
                        await happens()
                        return
                await send(message)

            await app(scope, receive, counted if scope["type"] == "http" else send)

        return wrapped

    return wrap


async def die() -> None:
    raise ConnectionAbortedError("the worker of this mutant dies here, as it should")


async def _stall() -> None:
    await asyncio.sleep(STALL)


async def _hang() -> None:
    await asyncio.sleep(60)


def _replay_cut(app: ASGIApp) -> ASGIApp:
    """A replayed stream has no end."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        replay = False

        async def cut(message: Any) -> None:
            nonlocal replay
            if message["type"] == "http.response.start":
                replay = any(k.lower() == b"idempotency-replayed" for k, _ in message["headers"])
            elif replay and message.get("body") == DONE:
                message = {**message, "body": b""}
            await send(message)

        await app(scope, receive, cut if scope["type"] == "http" else send)

    return wrapped


MUTANTS = (
    mutant("sse-no-keep-alive", "SSE-15", "nothing shows that a silent stream lives", says="without a byte", policies=lambda p: replace(p, events=_Silent())),
    mutant("sse-buffered-when-compressed", "SSE-17", "with gzip accepted everything arrives at the end", says="came at 1 moments", wrap=with_compression_buffered),
    mutant("sse-lingering-error", "SSE-22", "pings after the error", says="after [2-9]", wrap=_lingering_error),
    mutant("sse-generation-runs-on", "SSE-23", "nobody notices that the client left", says="charged", wrap=_deaf),
    mutant("sse-shared-cancel", "SSE-24", "who leaves ends the streams of others", says="stream that we did not leave", wrap=shared_cancel),
    mutant("sse-cut-connection", "SSE-34", "the connection is cut in mid-answer", says="broke off", wrap=after_blocks(3, die)),
    mutant("sse-stall", "SSE-35", "a pause of more than five seconds", says="without a byte", wrap=after_blocks(4, _stall, keep_alives=False)),
    mutant("sse-hangs", "SSE-36", "falls silent for good", says="silence for the last", wrap=after_blocks(4, _hang, keep_alives=False)),
    mutant("sse-replay-without-end", "IDEM-17", "a replayed stream has no terminal", says="terminal", wrap=_replay_cut),
)  # fmt: skip
