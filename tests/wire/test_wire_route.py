"""A proxy that the target names."""

from __future__ import annotations

import asyncio

import pytest
from raw_server import LIMITS, exchange_of, serving

from conformance.evidence import Exchange, Sent
from conformance.wire.http import Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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
