"""The HTTP proxy of the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``), used only when asked."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import h11

from conformance.wire.connection import ConnectError, Connection

MAX_ANSWER = 16 * 1024


@dataclass(frozen=True)
class Proxy:
    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy for that target, or None. Raises :class:`ConnectError` for one this suite cannot speak to."""
    proxies = urllib.request.getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or urllib.request.proxy_bypass(host):
        return None
    try:
        return parse_proxy(url, f"{scheme} proxy of the environment")
    except ValueError as error:
        raise ConnectError("connect", str(error)) from None


def parse_proxy(url: str, what: str) -> Proxy:
    """The proxy that a URL names. Raises ``ValueError`` (without the URL, which may hold a password)."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise ValueError(f"the {what} is not an http://host:port URL")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return Proxy(parts.hostname, port, authorization)


async def open_tunnel(connection: Connection, proxy: Proxy, host: str, port: int) -> None:
    """CONNECT (RFC 9110 9.3.6). Raises :class:`ConnectError` unless the proxy agrees."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [("Host", authority)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    framing = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER)
    question = framing.send(h11.Request(method="CONNECT", target=authority, headers=headers))
    try:
        await connection.send((question or b"") + (framing.send(h11.EndOfMessage()) or b""))
        while not isinstance(event := framing.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                if not (data := await connection.receive()):
                    raise ConnectionResetError
                framing.receive_data(data)
    except (OSError, h11.ProtocolError):
        raise ConnectError("connect", f"the proxy {proxy.host}:{proxy.port} gave no valid answer") from None
    if not 200 <= event.status_code < 300:
        detail = f"the proxy {proxy.host}:{proxy.port} refused the tunnel: status {event.status_code}"
        raise ConnectError("connect", detail)
