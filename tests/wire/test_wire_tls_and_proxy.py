"""TLS and the environment's proxy, with a certificate made for the test."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from pathlib import Path

import pytest
from raw_server import LIMITS, answer, exchange_of, serving

from conformance.evidence import Exchange, Sent
from conformance.target import Limits
from conformance.wire.connection import ConnectError, Connection
from conformance.wire.http import Wire, tls_context
from conformance.wire.proxy import Proxy, proxy_for

STREAM = (b"HTTP/1.1 200 OK\r\n\r\n", *(b"data: %d\n\n" % n for n in range(5)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def ask_tls(
    certificate: Path,
    verify: bool | str,
    sent: Sent | None = None,
    host: str = "127.0.0.1",
    parts: tuple[bytes, ...] = STREAM,
) -> Exchange:
    async def run() -> Exchange:
        handler = answer(*parts, pause=0.03)
        async with serving(handler, server_context(certificate)) as port, Wire(verify=verify) as wire:
            given = sent or Sent("GET", "/")
            full = Sent(given.method, f"https://{host}:{port}{given.url}", given.headers, given.body)
            return exchange_of(await wire.send(full, LIMITS))

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_stream_over_tls_is_recorded_as_it_comes(certificate: Path, host: str) -> None:
    exchange = ask_tls(certificate, str(certificate), host=host)
    assert exchange.failure is None
    assert [c.data for c in exchange.chunks] == list(STREAM[1:])
    assert exchange.chunks[-1].t - exchange.chunks[0].t >= 0.1


def test_a_certificate_that_is_not_trusted_is_said_so(certificate: Path) -> None:
    exchange = ask_tls(certificate, True)
    assert exchange.failure is not None
    assert exchange.failure.kind == "tls"
    assert exchange.failure.detail.startswith("the certificate is not trusted: self-signed certificate")
    assert ask_tls(certificate, False).failure is None


def test_an_early_413_over_tls(certificate: Path) -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large"
    exchange = ask_tls(certificate, False, Sent("POST", "/", (), b"x" * 8_000_000), parts=(refusal,))
    assert (exchange.failure, exchange.status, exchange.raw) == (None, 413, b"too large")


def test_https_to_a_server_that_speaks_http() -> None:
    async def run() -> Exchange:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with serving(handler) as port, Wire() as wire:
            return exchange_of(await wire.send(Sent("GET", f"https://127.0.0.1:{port}/"), LIMITS))

    failure = asyncio.run(run()).failure
    assert failure is not None
    assert failure.kind == "tls"


@pytest.mark.parametrize(("scheme", "kind"), [("https", "tls"), ("http", "reset")])
def test_a_reset_while_connecting_is_one_of_what_comes_next(
    scheme: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hung_up(host: str, port: int) -> Connection:
        raise ConnectError("reset", f"cannot connect to {host} port {port}: Connection reset by peer")

    async def run() -> Exchange:
        async with Wire() as wire:
            return exchange_of(await wire.send(Sent("GET", f"{scheme}://127.0.0.1:9/"), LIMITS))

    monkeypatch.setattr("conformance.wire.http.connect", hung_up)
    failure = asyncio.run(run()).failure
    assert failure is not None
    assert failure.kind == kind


def test_a_handshake_that_hangs_ends_in_time() -> None:
    async def run() -> Exchange:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        limits = Limits(connect=0.3, headers=3, total=5)
        async with serving(handler) as port, Wire() as wire:
            return exchange_of(await wire.send(Sent("GET", f"https://127.0.0.1:{port}/"), limits))

    failure = asyncio.run(run()).failure
    assert failure is not None
    assert (failure.kind, failure.detail) == ("tls", "no TLS session within 0.3 s")
    assert failure.t < 1.5


def test_a_ca_bundle_that_cannot_be_read_is_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"the CA bundle '/nosuch\.pem' cannot be read: no such file"):
        Wire(verify="/nosuch.pem")
    context = ssl.create_default_context()
    assert tls_context(context) is context


def through_proxy(
    certificate: Path, scheme: str, refuse: bool, monkeypatch: pytest.MonkeyPatch, trust_env: bool = True
) -> tuple[Exchange, list[bytes]]:
    """A CONNECT proxy for https, and one that answers itself for http."""
    asked: list[bytes] = []

    async def run() -> Exchange:
        context = server_context(certificate) if scheme == "https" else None
        async with serving(answer(*STREAM), context) as port:

            async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                if refuse:
                    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                    return
                onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
                if scheme == "https":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    onward_writer.write(asked[0])
                await asyncio.gather(relay(reader, onward_writer), relay(onward_reader, writer))

            async with serving(proxy) as proxy_port, Wire(verify=False, trust_env=trust_env) as wire:
                monkeypatch.setenv(f"{scheme}_proxy", f"http://me:p%40ss@127.0.0.1:{proxy_port}")
                monkeypatch.setenv("no_proxy", "")
                return exchange_of(await wire.send(Sent("GET", f"{scheme}://127.0.0.1:{port}/x"), LIMITS))

    return asyncio.run(run()), asked


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_proxy_is_used_only_when_asked(
    certificate: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, asked = through_proxy(certificate, scheme, False, monkeypatch)
    assert (exchange.failure, exchange.raw) == (None, b"".join(STREAM[1:]))
    authority = exchange.sent.url.split("/")[2].encode()
    line = b"CONNECT " + authority if scheme == "https" else b"GET http://" + authority + b"/x"
    assert asked[0].startswith(line + b" HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss") in asked[0]
    exchange, asked = through_proxy(certificate, scheme, False, monkeypatch, trust_env=False)
    assert (exchange.failure, asked) == (None, [])


def test_a_proxy_that_refuses_is_not_the_targets_fault(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, _ = through_proxy(certificate, "https", True, monkeypatch)
    assert exchange.failure is not None
    assert exchange.failure.kind == "connect"
    assert exchange.failure.detail.endswith("refused the tunnel: status 407")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 2", b"SSH-2.0\r\n\r\n"])
def test_a_proxy_that_makes_no_sense_ends_in_time(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> Exchange:
        async with serving(answer(said)) as port, Wire(trust_env=True) as wire:
            monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
            monkeypatch.setenv("no_proxy", "")
            return exchange_of(await wire.send(Sent("GET", "https://[::1]:1/"), LIMITS))

    failure = asyncio.run(run()).failure
    assert failure is not None
    assert failure.kind == "connect"
    assert failure.detail.endswith("gave no valid answer")


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert proxy_for("http", "127.0.0.1") is None
    assert proxy_for("http", "elsewhere.example") == Proxy("127.0.0.1", 1)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:99999")
    with pytest.raises(ConnectError, match="is not an http://host:port URL"):
        proxy_for("http", "elsewhere.example")


def test_a_proxy_that_is_no_http_url_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")

    async def run() -> Exchange:
        async with Wire(trust_env=True) as wire:
            return exchange_of(await wire.send(Sent("GET", "http://127.0.0.1:1/"), LIMITS))

    failure = asyncio.run(run()).failure
    assert failure is not None
    assert failure.detail == "the http proxy of the environment is not an http://host:port URL"
