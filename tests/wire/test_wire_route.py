"""The client's own certificate, and a proxy that the target names."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from raw_server import LIMITS, answer, exchange_of, serving
from test_wire_tls_and_proxy import certificate, server_context

from conformance.evidence import Exchange, Sent
from conformance.target import Route, Target
from conformance.wire.http import Wire, verification

__all__ = ["certificate"]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def ask(certificate: Path, route: Route) -> Exchange:
    """Ask a server that wants a certificate by the one authority it knows: the client's own."""
    context = server_context(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    target = Target("https://127.0.0.1", "x", ca_bundle=str(certificate), route=route)

    async def run() -> Exchange:
        async with serving(answer(OK), context) as port, Wire(verify=verification(target)) as wire:
            return exchange_of(await wire.send(Sent("GET", f"https://127.0.0.1:{port}/"), LIMITS))

    return asyncio.run(run())


def test_a_certificate_is_shown_to_who_asks(certificate: Path) -> None:
    found = ask(certificate, Route(str(certificate), str(certificate.with_name("key.pem"))))
    assert (found.status, found.content) == (200, b"ok")


def test_without_one_there_is_no_answer(certificate: Path) -> None:
    found = ask(certificate, Route())
    assert found.status is None
    assert found.failure is not None


@pytest.mark.parametrize("key", [None, "cert.pem"])
def test_a_certificate_without_its_key_is_one_line(certificate: Path, key: str | None) -> None:
    route = Route(str(certificate), str(certificate.with_name(key)) if key else None)
    with pytest.raises(ValueError, match=r"the client certificate '.*cert.pem' cannot be used"):
        verification(Target("https://x", "x", route=route))


def test_everything_goes_through_the_proxy_of_the_target() -> None:
    async def run() -> tuple[Exchange, bytes]:
        seen = b""

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            seen = await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

        async with serving(proxy) as port, Wire(proxy=f"http://u:p%40@127.0.0.1:{port}") as wire:
            recorded = await wire.send(Sent("GET", "http://api.example/v1"), LIMITS)
        return exchange_of(recorded), seen

    found, seen = asyncio.run(run())
    assert found.status == 200
    assert seen.startswith(b"GET http://api.example/v1 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dTpwQA==" in seen
    assert "Basic" not in str(found.sent.headers)


@pytest.mark.parametrize("proxy", ["socks5://x:1", "http://", "http://x:y"])
def test_a_proxy_that_cannot_be_used_is_one_line(proxy: str) -> None:
    with pytest.raises(ValueError, match="the proxy is not an http://host:port URL"):
        Wire(proxy=proxy)
