"""Requests that this server sends to addresses chosen by its callers: only where the operator lets it.

Server-side request forgery (OWASP): a name is resolved once, every address it has is checked, and the
connection goes to a checked address, so that a name which resolves differently a moment later (DNS rebinding)
gains nothing. Redirects are answers like any other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httpcore
from httpcore import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream

from reference_impl.policies.errors import ContractError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_RESOLVE_S = 4.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class UnreachableError(Exception):
    """There was no answer: the address is not allowed any more, refused the connection, or was too slow."""


@dataclass(frozen=True)
class Reply:
    """Status and headers (lower case) of an answer; its body is nobody's business."""

    status: int
    headers: Mapping[str, str]


class Egress(Protocol):
    """The way out."""

    async def check(self, url: str) -> None:
        """Raise CALLBACK_REFUSED for a URL that will never be called."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        """Send it, or raise `UnreachableError`."""
        ...


class CheckedEgress:
    """Public addresses by https; what is in `networks` (CIDR) also by http, and although it is not public."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._tls: ssl.SSLContext | None = None

    async def check(self, url: str) -> None:
        """One answer for all that lies inside: what a name resolves to in here is not told."""
        try:
            await self.addresses(url)
        except UnreachableError as reason:
            raise ContractError(
                "CALLBACK_REFUSED", f"This URL cannot be called: {reason}.", param="/url"
            ) from None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        """One connection to one checked address; only the head of the answer is read."""
        addresses = await self.addresses(url)
        if self._tls is None and urlsplit(url).scheme == "https":
            # Reading the trust store takes long enough to make every stream stutter.
            self._tls = await asyncio.to_thread(httpcore.default_ssl_context)
        sent: dict[str | bytes, str | bytes] = {
            "host": urlsplit(url).netloc,
            "user-agent": "aiconform-webhooks",
        }
        sent.update(headers)
        waits = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=_Pinned(str(addresses[0])))
        try:
            async with (
                asyncio.timeout(timeout_s),
                pool,
                pool.stream(
                    "POST",
                    url,
                    headers=sent,
                    content=body,
                    extensions={"timeout": waits},
                ) as answer,
            ):
                return Reply(
                    answer.status,
                    {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in answer.headers},
                )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as problem:
            raise UnreachableError(type(problem).__name__) from problem

    async def addresses(self, url: str) -> list[Address]:
        """Every address of the URL's host, if all of them may be called."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UnreachableError("it is not a valid URL") from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise UnreachableError("it has to be http or https, with a host and without credentials")
        found = await _resolve(host, port or (443 if parts.scheme == "https" else 80))
        if not all(self._allowed(address, parts.scheme) for address in found):
            raise UnreachableError("its host is not public, or it is not https")
        return found

    def _allowed(self, address: Address, scheme: str) -> bool:
        meant = _meant(address)
        if any(meant in network for network in self._networks if network.version == meant.version):
            return True
        return scheme == "https" and meant.is_global and not meant.is_multicast


class _Pinned(AsyncNetworkBackend):
    """Connects to one address, whatever name is asked for; TLS still verifies the name."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await self._inner.connect_tcp(self._address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        raise httpcore.ConnectError("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A scope id (fe80::1%eth0) belongs to the interface, not to the address.
        return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError):  # TimeoutError is an OSError
        raise UnreachableError("its host cannot be resolved") from None


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries (mapped, 6to4, Teredo, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
