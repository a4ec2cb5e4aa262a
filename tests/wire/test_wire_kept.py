"""Requests in turn on one connection: one answer each, in order, as long as the connection lasts."""

from __future__ import annotations

import asyncio

import pytest
from raw_server import LIMITS, Handler, exchange_of, serving

from conformance.evidence import Exchange, Sent
from conformance.wire.http import Wire

REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"


def answering(*answers: bytes, seen: list[bytes]) -> Handler:
    """One of ``answers`` to each request of a connection, in order; then the connection ends."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            request = await reader.readuntil(b"\r\n\r\n")
            if b"Content-Length: 3" in request:
                request += await reader.readexactly(3)
            seen.append(request)
            writer.write(answer)
            await writer.drain()

    return handler


def in_turn(handler: Handler) -> list[Exchange]:
    async def run() -> list[Exchange]:
        async with serving(handler) as port, Wire() as wire:
            base = f"http://127.0.0.1:{port}"
            requests = [Sent("POST", f"{base}/first", body=b"{1}"), Sent("GET", f"{base}/second")]
            return [exchange_of(r) for r in await wire.send_in_turn(requests, LIMITS)]

    return asyncio.run(run())


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("first", [REFUSED, ok(b"1")])
def test_each_request_gets_its_answer_on_the_same_connection(first: bytes) -> None:
    seen: list[bytes] = []
    one, two = in_turn(answering(first, ok(b"2"), seen=seen))
    assert [r.split(b" ")[1] for r in seen] == [b"/first", b"/second"]
    assert (one.content, two.content) == (first[-len(one.content) :], b"2")
    assert (one.failure, two.failure) == (None, None)


def test_what_comes_unasked_is_taken_for_the_next_answer() -> None:
    """As a client takes it: a server that reads a refused body as a request answers once too often."""
    _, two = in_turn(answering(REFUSED + ok(b"unasked"), ok(b"2"), seen=[]))
    assert two.content == b"unasked"


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 401 Unauthorized\r\n\r\n{}",
    ],
)
def test_nothing_is_sent_after_the_last_answer(last: bytes) -> None:
    seen: list[bytes] = []
    (one,) = in_turn(answering(last, seen=seen))
    assert (one.status, one.content, one.failure, len(seen)) == (401, b"{}", None, 1)


def test_a_connection_that_ends_unannounced_is_a_failure_of_the_next() -> None:
    one, two = in_turn(answering(REFUSED, seen=[]))
    assert (one.status, one.failure) == (401, None)
    assert two.status is None
    assert two.failure is not None
    assert two.failure.kind == "reset"


def test_nobody_there() -> None:
    async def run() -> list[Exchange]:
        async with Wire() as wire:
            requests = [Sent("GET", "http://127.0.0.1:1/"), Sent("GET", "http://127.0.0.1:1/")]
            return [exchange_of(r) for r in await wire.send_in_turn(requests, LIMITS)]

    (one,) = asyncio.run(run())
    assert one.failure is not None
    assert one.failure.kind == "connect"
