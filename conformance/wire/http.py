"""Send a request, record everything, and come back in bounded time and memory whatever the server does.

Times are seconds since the request was started on an established connection: setting up TCP and TLS is the
network's matter, not the API's, and each exchange has its own connection (docs/decisions/0002-wire-layer.md),
but for those that are sent in turn to see whether a connection can be kept.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import httpx

from conformance.evidence import FailureKind, Sent
from conformance.target import ClientCertificate, Limits
from conformance.wire.connection import ConnectError, Connection, connect, explain
from conformance.wire.lag import LagMonitor, Watch
from conformance.wire.proxy import Proxy, open_tunnel, parse_proxy, proxy_for
from conformance.wire.recording import Recording, Stop
from conformance.wire.request import complete_headers, head, parse_url, port_of, same_origin
from conformance.wire.roundtrip import HangUp, Response, send_all

MAX_REDIRECTS = 5
MAX_CONNECTIONS = 64


@dataclass(frozen=True)
class Recorded:
    """``sent`` is the request as put on the wire; ``response()`` fits an Exchange's remaining fields."""

    sent: Sent
    recording: Recording
    lag: float

    def response(self) -> dict[str, Any]:
        return self.recording.response(self.lag)


@dataclass
class _Progress:
    """Where an exchange is, so that a deadline that fires can say what it cut."""

    started: float
    phase: FailureKind = "connect"

    def elapsed(self) -> float:
        return time.perf_counter() - self.started


@dataclass
class _Link:
    """A connection, and what the last response left on it. ``kept``: another request may follow."""

    connection: Connection
    proxy: Proxy | None
    kept: bool = True
    beyond: bytes = b""


class Wire:
    """All HTTP of one run.

    ``verify``: False accepts any certificate, a path names a CA bundle (or ``ValueError``).
    ``certificate`` is shown to servers that ask for one (``OSError`` if it cannot be read).
    ``trust_env``: use the environment's proxies; ``proxy``: this one, for every host (or ``ValueError``).
    ``connections``: so many exchanges at a time, others wait.
    """

    def __init__(
        self,
        *,
        verify: bool | str | ssl.SSLContext = True,
        trust_env: bool = False,
        proxy: str | None = None,
        connections: int = MAX_CONNECTIONS,
        certificate: ClientCertificate | None = None,
    ) -> None:
        self._verify, self._trust_env = verify, trust_env
        self._proxy = parse_proxy(proxy, "proxy") if proxy else None
        self._slots = asyncio.Semaphore(connections)
        self._lag = LagMonitor()
        self._context = tls_context(verify) if isinstance(verify, str) or certificate else None
        if certificate is not None and self._context is not None:
            self._context.load_cert_chain(certificate.certificate, certificate.key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lag.stop()

    async def send(self, sent: Sent, limits: Limits, hang_up: HangUp | None = None) -> Recorded:
        """One exchange, redirects within the same origin included; nothing a server or network does raises.

        ``hang_up`` is asked, after each arrival, with all body bytes so far; True closes the connection.
        Raises ``ValueError`` for a request that cannot be put on the wire (a line break in a header).
        """
        recording = Recording(limits.body)
        progress = _Progress(time.perf_counter())
        url = parse_url(sent.url)
        if url is None:
            recording.fail("connect", "the URL is not an absolute http:// or https:// URL", 0.0)
            return Recorded(sent, recording, 0.0)
        sent = replace(sent, headers=complete_headers(sent, url))
        async with self._slots:
            progress.started = time.perf_counter()
            with self._lag.watch() as watch:
                try:
                    async with asyncio.timeout(limits.total):
                        await self._follow(sent, url, limits, hang_up, recording, progress)
                except (Stop, ConnectError) as stop:
                    recording.fail(stop.kind, str(stop), progress.elapsed())
                except TimeoutError:
                    recording.fail(progress.phase, _late(progress.phase, limits), progress.elapsed())
        return Recorded(sent, recording, watch.worst)

    async def send_in_turn(self, requests: Sequence[Sent], limits: Limits) -> list[Recorded]:
        """Requests to one origin, one after the other on one connection; each goes out when the response before it has
        ended. ``limits`` are those of each.

        There are fewer records than requests if a response was not complete, or said that the connection closes.
        Redirects are not followed. Raises ``ValueError`` as :meth:`send` does.
        """
        url = parse_url(requests[0].url)
        if url is None:
            return [await self.send(requests[0], limits)]
        done: list[Recorded] = []
        async with self._slots:
            link: _Link | None = None
            try:
                for sent in requests:
                    recorded, link = await self._next_in_turn(sent, link, limits)
                    done.append(recorded)
                    if link is None or not link.kept:
                        break
            finally:
                if link is not None:
                    link.connection.close()
        return done

    async def _next_in_turn(
        self, sent: Sent, link: _Link | None, limits: Limits
    ) -> tuple[Recorded, _Link | None]:
        url = parse_url(sent.url)
        assert url is not None
        sent = replace(sent, headers=complete_headers(sent, url))
        recording, progress = Recording(limits.body), _Progress(time.perf_counter())
        with self._lag.watch() as watch:
            try:
                async with asyncio.timeout(limits.total):
                    if link is None:
                        async with asyncio.timeout(limits.connect):
                            link = _Link(*await self._open(url, progress))
                    await self._exchange(link, sent, url, limits, None, recording, progress)
            except (Stop, ConnectError) as stop:
                recording.fail(stop.kind, str(stop), progress.elapsed())
            except TimeoutError:
                recording.fail(progress.phase, _late(progress.phase, limits), progress.elapsed())
        return Recorded(sent, recording, watch.worst), link

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Follow the lag of our own event loop."""
        with self._lag.watch() as watch:
            yield watch

    async def open(self, url: httpx.URL) -> Connection:
        """A connection for a conversation that is no request and response; raises :class:`ConnectError`."""
        connection, proxy = await self._open(url, _Progress(time.perf_counter()))
        if proxy is not None and url.scheme == "http":
            connection.close()
            raise ConnectError("connect", "a WebSocket without TLS does not go through an HTTP proxy")
        return connection

    async def _follow(
        self,
        sent: Sent,
        url: httpx.URL,
        limits: Limits,
        hang_up: HangUp | None,
        recording: Recording,
        progress: _Progress,
    ) -> None:
        first, seen = url, {str(url)}
        while True:
            target = await self._hop(sent, url, limits, hang_up, recording, progress)
            if target is None:
                return
            url = target
            if not same_origin(first, url):
                where = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
                raise Stop("redirect_refused", f"redirect to another origin, {where}: not followed")
            recording.redirects.append(f"{recording.status} {url}")
            if str(url) in seen or len(recording.redirects) > MAX_REDIRECTS:
                raise Stop("redirect_loop", f"redirected in a circle or more than {MAX_REDIRECTS} times")
            seen.add(str(url))

    async def _hop(
        self,
        sent: Sent,
        url: httpx.URL,
        limits: Limits,
        hang_up: HangUp | None,
        recording: Recording,
        progress: _Progress,
    ) -> httpx.URL | None:
        """One request and its response; the URL to go to if the response is a redirect to be followed."""
        recording.status, recording.headers, recording.t_headers = None, (), None
        progress.phase = "connect"
        async with asyncio.timeout(limits.connect):
            link = _Link(*await self._open(url, progress))
        try:
            return await self._exchange(link, sent, url, limits, hang_up, recording, progress, follow=True)
        finally:
            link.connection.close()

    async def _exchange(
        self,
        link: _Link,
        sent: Sent,
        url: httpx.URL,
        limits: Limits,
        hang_up: HangUp | None,
        recording: Recording,
        progress: _Progress,
        *,
        follow: bool = False,
    ) -> httpx.URL | None:
        """One request and its response on a connection; if ``follow``, a redirect ends it with the URL to go to."""
        target, headers, proxy = url.raw_path.decode("ascii"), sent.headers, link.proxy
        if proxy is not None and url.scheme == "http":
            target = f"http://{url.netloc.decode('ascii')}{target}"
            headers += (("Proxy-Authorization", proxy.authorization),) if proxy.authorization else ()
        request = head(sent.method, target, headers) + sent.body
        progress.started, progress.phase = time.perf_counter(), "timeout_headers"
        response = Response(link.connection, recording, sent.method, progress.started, link.beyond)
        link.kept = False
        sending = asyncio.create_task(send_all(link.connection, request))
        try:
            async with asyncio.timeout(limits.headers):
                await response.read_head()
            if follow and (onward := _redirect(sent.method, url, recording)) is not None:
                return onward
            progress.phase = "timeout_body"
            await response.read_body(hang_up)
            if not follow:
                await sending
            link.kept, link.beyond = response.kept, response.beyond
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return None

    async def _open(self, url: httpx.URL, progress: _Progress) -> tuple[Connection, Proxy | None]:
        host, port = url.raw_host.decode("ascii"), port_of(url)
        proxy = self._proxy or (proxy_for(url.scheme, host) if self._trust_env else None)
        try:
            connection = await connect(*((proxy.host, proxy.port) if proxy else (host, port)))
        except ConnectError as error:
            if error.kind == "reset" and url.scheme == "https" and proxy is None:
                # A moment later, the same reset would have been one in the handshake.
                raise ConnectError("tls", str(error)) from None
            raise
        try:
            if url.scheme == "https":
                if proxy is not None:
                    await open_tunnel(connection, proxy, host, port)
                progress.phase = "tls"
                await connection.start_tls(self._tls_context(), host)
        except BaseException:
            connection.close()
            raise
        return connection, proxy

    def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = tls_context(self._verify)
        return self._context


def tls_context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    """``True`` trusts certifi's authorities, or those that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, str):
        try:
            context = ssl.create_default_context(cafile=verify)
        except OSError as error:
            raise ValueError(f"the CA bundle '{verify}' cannot be read: {explain(error)}") from None
    else:
        context = httpx.create_ssl_context(verify=verify)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _redirect(method: str, url: httpx.URL, recording: Recording) -> httpx.URL | None:
    """Where a response says to repeat the same request (RFC 9110 15.4), or None."""
    repeatable = (301, 302, 307, 308) if method in ("GET", "HEAD") else (307, 308)
    location = next((v for k, v in recording.headers if k.lower() == "location"), None)
    if recording.status not in repeatable or location is None:
        return None
    try:
        target = parse_url(str(url.join(location)))
    except (httpx.InvalidURL, ValueError):
        target = None
    if target is None:
        raise Stop("redirect_refused", f"redirect to what is not an http(s) URL: {location}")
    return target


def _late(phase: FailureKind, limits: Limits) -> str:
    if phase == "connect":
        return f"no connection within {limits.connect:g} s"
    if phase == "tls":
        return f"no TLS session within {limits.connect:g} s"
    if phase == "timeout_headers":
        return f"no complete response head within {min(limits.headers, limits.total):g} s"
    return f"the response did not end within {limits.total:g} s"
