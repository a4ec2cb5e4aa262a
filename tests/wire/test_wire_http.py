"""One exchange with a real server: what is recorded, and what becomes of everything that can go wrong."""

from __future__ import annotations

import asyncio
import socket
import time
from itertools import pairwise

import pytest
from raw_server import LIMITS, answer, ask, exchange_of, serving

from conformance import __version__
from conformance.evidence import Exchange, Sent
from conformance.target import Limits
from conformance.wire.http import Wire

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def sent_bytes(sent: Sent) -> tuple[bytes, Exchange]:
    """What really went over the socket, and what was recorded."""
    seen = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"\r\n\r\n"))
        if b"Content-Length" in seen:
            seen.extend(await reader.readexactly(len(sent.body)))
        writer.write(OK)

    exchange = ask(handler, sent)
    return bytes(seen), exchange


def test_the_request_goes_out_byte_for_byte() -> None:
    body = b'{"a": 1,\n "a": NaN}\xff'
    sent = Sent("POST", "/v1/x?q=a%2Fb", (("X-oDD-case", "  \u00e9 "), ("x-odd-CASE", "2")), body)
    seen, exchange = sent_bytes(sent)
    port = exchange.sent.url.split(":")[2].split("/")[0]
    assert seen == (
        b"POST /v1/x?q=a%%2Fb HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nX-oDD-case:   \xe9 \r\nx-odd-CASE: 2\r\n"
        b"User-Agent: aiconform/%s\r\nAccept-Encoding: identity\r\nContent-Length: %d\r\n\r\n%s"
        % (port.encode(), __version__.encode(), len(body), body)
    )
    shown = "".join(f"{k}: {v}\r\n" for k, v in exchange.sent.headers).encode("latin-1")
    assert seen.split(b"\r\n", 1)[1] == shown + b"\r\n" + body


def test_given_headers_are_not_replaced() -> None:
    headers = (("host", "h"), ("user-agent", "u"), ("accept-encoding", "gzip"), ("content-length", "999"))
    _, exchange = sent_bytes(Sent("POST", "/", headers, b"{}"))
    assert exchange.sent.headers == headers
    assert exchange.status == 200
    _, exchange = sent_bytes(Sent("GET", "/"))
    assert "content-length" not in [k.lower() for k, _ in exchange.sent.headers]


@pytest.mark.parametrize(
    "header", [("X-A", "1\r\nX-B: 2"), ("X-A: 1\r\nX-B", "2"), ("X-A", "\0"), ("", "1"), ("a b", "1")]
)
def test_a_header_that_breaks_its_line_is_our_own_fault(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="forbidden character"):
        ask(answer(OK), Sent("GET", "/", (header,)))


def test_the_response_is_recorded_as_received() -> None:
    head = b"HTTP/1.1 200 Fine\r\nX-oNE: 1\r\nx-one:  2 \r\nX-Utf: \xc3\xa9\r\n"
    exchange = ask(
        answer(
            head + CHUNKED, b"3\r\nabc\r\n1\r\nd\r\n", b"2;x=y\r\nef\r\n", b"0\r\nX-T: 1\r\n\r\n", pause=0.06
        )
    )
    assert exchange.failure is None
    assert (exchange.status, exchange.http_version) == (200, "HTTP/1.1")
    assert exchange.headers[:3] == (("X-oNE", "1"), ("x-one", "2"), ("X-Utf", "\u00c3\u00a9"))
    assert [c.data for c in exchange.chunks] == [b"abcd", b"ef"]
    assert exchange.t_headers is not None
    assert exchange.t_end is not None
    times = [0.0, exchange.t_headers, *(c.t for c in exchange.chunks), exchange.t_end]
    gaps = [b - a for a, b in pairwise(times)]
    assert all(gap >= 0.05 for gap in gaps[1:])
    assert gaps[0] < 0.05 + exchange.lag + 0.5


def test_a_body_may_end_with_the_connection() -> None:
    exchange = ask(answer(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"to the end"))
    assert (exchange.failure, exchange.raw, exchange.http_version) == (None, b"to the end", "HTTP/1.0")
    assert exchange.t_end is not None


@pytest.mark.parametrize(
    ("method", "response"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("OPTIONS", b"HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n"),
        ("BREW", b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_responses_without_a_body_are_complete_at_once(method: str, response: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await reader.read()  # stays open until the client leaves

    exchange = ask(handler, Sent(method, "/"))
    assert (exchange.failure, exchange.raw) == (None, b"")
    assert exchange.t_end is not None


def test_hanging_up_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for n in range(100):
            writer.write(b"data: %d\n\n" % n)
            await asyncio.sleep(0.02)
            if reader.at_eof():
                closed.set()
                return

    exchange = ask(handler, hang_up=lambda body: body.count(b"\n\n") >= 3)
    assert closed.is_set()
    assert exchange.raw == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert (exchange.failure, exchange.t_end) == (None, None)
    assert exchange.left_at is not None
    assert exchange.left_at >= exchange.chunks[-1].t


def test_who_has_it_all_did_not_leave_early() -> None:
    exchange = ask(answer(OK), hang_up=lambda body: True)
    assert (exchange.left_at, exchange.failure) == (None, None)
    assert exchange.t_end is not None


@pytest.mark.parametrize("then", ["close", "reset", "stay"])
def test_an_early_413_is_an_answer_not_a_reset(then: str) -> None:
    """A server that refuses 20 MB after the head, without reading them."""
    response = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        if then == "stay":
            writer.transport.pause_reading()
            await asyncio.sleep(0.3)
        elif then == "reset":
            writer.transport.abort()

    for _ in range(5):
        exchange = ask(handler, Sent("POST", "/", (), b"x" * 20_000_000))
        assert exchange.failure is None
        assert (exchange.status, exchange.raw) == (413, b"too large")


def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    seen, exchange = sent_bytes(Sent("PUT", "/", (), body))
    assert seen.endswith(body)
    assert exchange.status == 200


def test_nobody_there_and_no_such_name() -> None:
    async def run() -> list[Exchange]:
        with socket.socket() as taken:  # bound, not listening
            taken.bind(("127.0.0.1", 0))
            urls = [
                f"http://127.0.0.1:{taken.getsockname()[1]}/",
                "http://nosuch.invalid/",
                "ftp://h/",
                "http:///x",
                "::",
            ]
            async with Wire() as wire:
                return [exchange_of(await wire.send(Sent("GET", url), LIMITS)) for url in urls]

    found = asyncio.run(run())
    assert [e.failure and e.failure.kind for e in found] == ["connect"] * 5
    assert found[0].failure is not None
    assert found[0].failure.detail.endswith("connection refused")
    assert [(e.status, e.t_headers, e.t_end, e.chunks) for e in found] == [(None, None, None, ())] * 5


def test_the_deadline_includes_the_body_and_each_redirect() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        await asyncio.sleep(0.25)
        writer.write(b"HTTP/1.1 307 T\r\nLocation: %sx\r\nContent-Length: 0\r\n\r\n" % target)

    started = time.perf_counter()
    exchange = ask(handler, limits=Limits(connect=1, headers=1, total=0.6))
    assert time.perf_counter() - started < 1.5
    assert exchange.failure is not None
    assert exchange.failure.kind == "timeout_headers"
    assert 1 <= len(exchange.redirects) <= 2  # a third would be late; on a busy machine the second may be
    assert (exchange.status, exchange.headers) == (None, ())


def test_exchanges_at_once_do_not_wait_for_each_other() -> None:
    async def run() -> float:
        async with serving(answer(b"HTTP/1.1 200 OK\r\n\r\n", b"a", pause=0.3)) as port, Wire() as wire:
            started = time.perf_counter()
            sent = Sent("GET", f"http://127.0.0.1:{port}/")
            found = await asyncio.gather(*(wire.send(sent, LIMITS) for _ in range(20)))
            assert all(exchange_of(r).raw == b"a" for r in found)
            return time.perf_counter() - started

    assert asyncio.run(run()) < 3.0


def test_our_own_stalls_are_noted() -> None:
    async def run() -> tuple[float, float]:
        async with serving(answer(b"HTTP/1.1 200 OK\r\n\r\n", b"a", pause=0.3)) as port, Wire() as wire:
            sent = Sent("GET", f"http://127.0.0.1:{port}/")
            calm = await wire.send(sent, LIMITS)
            task = asyncio.create_task(wire.send(sent, LIMITS))
            await asyncio.sleep(0.1)
            time.sleep(0.4)
            return calm.lag, (await task).lag

    calm, stalled = asyncio.run(run())
    assert stalled >= 0.38
    assert calm < stalled


def test_cancelling_from_outside_closes_the_connection() -> None:
    async def run() -> bool:
        left = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            left.set()

        async with serving(handler) as port, Wire() as wire:
            task = asyncio.create_task(wire.send(Sent("GET", f"http://127.0.0.1:{port}/"), LIMITS))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(left.wait(), 2.0)
            return left.is_set()

    assert asyncio.run(run())


def test_a_switch_of_protocols_nobody_asked_for() -> None:
    exchange = ask(answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
    assert exchange.failure is not None
    assert exchange.failure.kind == "protocol"


def test_a_method_that_breaks_its_line_is_our_own_fault() -> None:
    with pytest.raises(ValueError, match="is not a request method"):
        ask(answer(OK), Sent("GET / HTTP/1.1\r\nX:", "/"))
