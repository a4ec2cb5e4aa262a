"""Redirects are followed within one origin, and credentials never leave it."""

from __future__ import annotations

import asyncio

import pytest
from raw_server import LIMITS, answer, ask, exchange_of, serving

from conformance.evidence import Exchange, Sent
from conformance.wire.http import Wire

KEY = (("Authorization", "Bearer s3cret"),)


def redirected(status: int, location: str, method: str = "POST") -> tuple[Exchange, list[bytes], list[bytes]]:
    """The exchange, and the requests that the first and another server got. ``{other}`` is its port."""
    first: list[bytes] = []
    other: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other.append(await reader.readuntil(b"\r\n\r\n"))

    async def run() -> Exchange:
        async with serving(elsewhere) as other_port:

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                head = await reader.readuntil(b"\r\n\r\n")
                first.append(head + (await reader.readexactly(2) if head.startswith(b"POST") else b""))
                if b" /end" in head:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                else:
                    target = location.replace("{other}", str(other_port)).encode()
                    writer.write(
                        b"HTTP/1.1 %d R\r\nLocation: %s\r\nContent-Length: 2\r\n\r\nno" % (status, target)
                    )

            async with serving(handler) as port, Wire() as wire:
                sent = Sent(method, f"http://127.0.0.1:{port}/start", KEY, b"{}" if method == "POST" else b"")
                return exchange_of(await wire.send(sent, LIMITS))

    exchange = asyncio.run(run())
    return exchange, first, other


@pytest.mark.parametrize(
    ("status", "method", "location"),
    [
        (307, "POST", "/end"),
        (308, "POST", "end"),
        (301, "GET", "/end?a=1"),
        (302, "HEAD", "../end"),
        (307, "GET", "/end"),
    ],
)
def test_within_the_origin_the_same_request_is_sent_again(status: int, method: str, location: str) -> None:
    exchange, requests, _ = redirected(status, location, method)
    assert (exchange.failure, exchange.status) == (None, 200)
    assert [r.split(b"/", 1)[0] for r in requests] == [f"{method} ".encode()] * 2
    assert all(b"Bearer s3cret" in r for r in requests)
    assert all(r.endswith(b"{}") for r in requests) == (method == "POST")
    (hop,) = exchange.redirects
    assert hop.startswith(f"{status} http://127.0.0.1:")
    assert exchange.sent.url.endswith("/start")
    assert exchange.raw == (b"" if method == "HEAD" else b"ok")


@pytest.mark.parametrize(
    ("status", "method"), [(301, "POST"), (302, "POST"), (303, "POST"), (303, "GET"), (300, "GET")]
)
def test_a_redirect_that_changes_the_request_is_an_answer(status: int, method: str) -> None:
    exchange, requests, _ = redirected(status, "/end", method)
    assert (exchange.failure, exchange.status, exchange.raw, exchange.redirects) == (None, status, b"no", ())
    assert len(requests) == 1


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{other}/end", "http://localhost:{other}/end", "//127.0.0.1:{other}/"]
)
def test_credentials_do_not_follow_to_another_origin(location: str) -> None:
    exchange, requests, other = redirected(307, location)
    assert exchange.failure is not None
    assert exchange.failure.kind == "redirect_refused"
    assert (exchange.status, exchange.redirects) == (307, ())
    assert other == []
    assert len(requests) == 1


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/end", "file:///etc/passwd", "javascript:1", "http://[::1"]
)
def test_a_redirect_to_what_is_not_this_origin_is_refused(location: str) -> None:
    exchange, _, _ = redirected(308, location)
    assert exchange.failure is not None
    assert exchange.failure.kind == "redirect_refused"


def test_a_circle_is_found() -> None:
    exchange, requests, _ = redirected(307, "/start")
    assert exchange.failure is not None
    assert exchange.failure.kind == "redirect_loop"
    assert len(requests) == 1
    assert exchange.status == 307


def test_a_307_without_location_is_an_answer() -> None:
    exchange = ask(answer(b"HTTP/1.1 307 R\r\nContent-Length: 2\r\n\r\nno"))
    assert (exchange.failure, exchange.status, exchange.raw) == (None, 307, b"no")
