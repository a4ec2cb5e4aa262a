"""One TCP or TLS connection on a non-blocking socket.

Not an asyncio transport: that drops received bytes when a write fails, and so loses the 413 of a server which
refuses an upload half-way. Here reading goes on after a failed write, until the kernel has nothing left.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from conformance.evidence import FailureKind

READ_SIZE = 64 * 1024
NEXT_ADDRESS_AFTER = 2.0
"""Seconds for one address of several, so that a dead IPv6 route does not use up the whole connect time."""

T = TypeVar("T")


class ConnectError(Exception):
    """No usable connection; ``kind`` is ``connect``, ``reset`` or ``tls``, the message one line."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        self.kind: FailureKind = kind
        super().__init__(detail)


class Connection:
    """Bytes to and from one peer. ``receive`` gives ``b""`` at the end; both raise ``OSError``, of which
    ``ssl.SSLError`` is one. One task may send while another receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: _Tls | None = None

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Raises :class:`ConnectError` of kind ``tls``."""
        tls = _Tls(self._sock, context, server_hostname)
        try:
            await tls.handshake()
        except ssl.SSLCertVerificationError as error:
            raise ConnectError("tls", f"the certificate is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise ConnectError("tls", f"TLS handshake failed: {reason}") from None
        except OSError as error:
            raise ConnectError("tls", f"connection lost during the TLS handshake: {explain(error)}") from None
        self._tls = tls

    async def receive(self) -> bytes:
        if self._tls is not None:
            return await self._tls.receive()
        return await asyncio.get_running_loop().sock_recv(self._sock, READ_SIZE)

    async def send(self, data: bytes) -> None:
        if self._tls is not None:
            await self._tls.send(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def close(self) -> None:
        self._sock.close()


class _Tls:
    """TLS between memory buffers and the socket."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._flushing = asyncio.Lock()

    async def handshake(self) -> None:
        try:
            await self._until_done(self._object.do_handshake)
        except ssl.SSLError:
            await self._flush()  # the alert tells the server's engineer why
            raise

    async def receive(self) -> bytes:
        try:
            return await self._until_done(lambda: self._object.read(READ_SIZE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), READ_SIZE):
            self._object.write(view[start : start + READ_SIZE])
            await self._flush()

    async def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await asyncio.get_running_loop().sock_recv(self._sock, READ_SIZE)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        async with self._flushing:  # two tasks may write records, never one inside the other
            if data := self._outgoing.read():
                await asyncio.get_running_loop().sock_sendall(self._sock, data)


async def connect(host: str, port: int) -> Connection:
    """A TCP connection to the first address that takes it. Raises :class:`ConnectError`."""
    loop = asyncio.get_running_loop()
    try:
        found = await _addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise ConnectError("connect", f"the name '{host}' cannot be resolved: {explain(error)}") from None
    problem = "no address"
    failed: FailureKind = "connect"
    for n, (family, kind, protocol, _, address) in enumerate(found, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(NEXT_ADDRESS_AFTER if n < len(found) else None):
                await loop.sock_connect(sock, address)
        except OSError as error:  # an elapsed timeout is one
            sock.close()
            problem = explain(error)
            # Somebody listens, and hung up before our side knew that it was connected.
            failed = "reset" if isinstance(error, ConnectionResetError) else "connect"
        except BaseException:
            sock.close()
            raise
        else:
            return Connection(sock)
    raise ConnectError(failed, f"cannot connect to {host} port {port}: {problem}")


async def _addresses(host: str, port: int) -> list[Any]:
    try:
        # An address needs no resolver, and must not wait for a thread of the pool that resolvers share with others.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def explain(error: Exception) -> str:
    """One short line for an OS error, without Python's decoration."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror | ssl.SSLError):
        return os.strerror(error.errno).lower()
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
