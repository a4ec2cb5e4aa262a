"""One TCP or TLS connection whose bytes are taken in the event loop's own callback.

A greenlet that blocks in ``recv`` is woken one turn of the hub later; the callback of the loop's watcher runs
as soon as the kernel reports the bytes. So nothing stands between the arrival and its timestamp but other
callbacks.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import get_hub
from gevent.socket import create_connection, wait_read, wait_write  # type: ignore[attr-defined]

RECEIVE = 256 * 1024
"""Bytes of one receive at most."""

Taker = Callable[[float, bytes], None]
"""Takes what one receive brought, with its time; empty bytes mean that the peer has closed."""

_NATIVE_SOCKET = monkey.get_original("socket", "socket")


class ConnectionProblem(OSError):  # noqa: N818 - an outcome, not a bug
    """No connection. ``kind`` is ``connect`` or ``tls``."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Connection:
    """An open connection. ``taker`` gets every receive; without one, arriving bytes make it ``dead``."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
        """Connect. Raises :class:`ConnectionProblem`."""
        self.taker: Taker | None = None
        self.dead = False
        self.used = 0
        self.idle_since = 0.0
        try:
            wrapped = create_connection((host, port), timeout)
        except OSError as error:
            raise ConnectionProblem("connect", error.strerror or str(error) or "no connection") from None
        self._socket: Any = _NATIVE_SOCKET(fileno=wrapped.detach())
        self._socket.setblocking(False)
        self._nodelay()
        self._tls: ssl.SSLObject | None = None
        if tls is not None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
            self._handshake(timeout)
        self._receive = self._socket.recv
        self._watcher: Any = get_hub().loop.io(self._socket.fileno(), 1)
        self._watcher.start(self._readable if self._tls is None else self._readable_tls)

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of it. Raises ``OSError`` (also when the peer takes nothing for ``timeout`` seconds)."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._send(data, timeout)

    def close(self) -> None:
        """Close at once. Nothing is taken any more."""
        self.taker, self.dead = None, True
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._socket.close()

    def _send(self, data: bytes, timeout: float) -> None:
        sent = 0
        while sent < len(data):
            try:
                sent += self._socket.send(data[sent:] if sent else data)
            except BlockingIOError:
                wait_write(self._socket.fileno(), timeout, TimeoutError("the peer reads nothing"))

    def _readable(self) -> None:
        """The loop says that there is something to read."""
        try:
            data = self._receive(RECEIVE)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b""
        self._take(perf_counter(), data)

    def _readable_tls(self) -> None:
        try:
            raw = self._receive(RECEIVE)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            raw = b""
        t = perf_counter()
        if not raw:
            self._take(t, b"")
            return
        self._incoming.write(raw)
        assert self._tls is not None
        plain = bytearray()
        ended = False
        try:
            while part := self._tls.read(RECEIVE):
                plain += part
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            ended = True
        if plain:
            self._take(t, bytes(plain))
        if ended:
            self._take(t, b"")

    def _take(self, t: float, data: bytes) -> None:
        taker = self.taker
        if not data and self._watcher is not None:
            self.dead = True
            self._watcher.stop()
        if taker is None:
            self.dead = True  # a closed connection, or an answer that nobody asked for
            return
        taker(t, data)

    def _handshake(self, timeout: float) -> None:
        assert self._tls is not None
        patience = gevent.Timeout.start_new(
            timeout, ConnectionProblem("tls", "the TLS handshake takes too long")
        )
        try:
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self._send(self._outgoing.read(), timeout)
                    wait_read(self._socket.fileno())
                    with suppress(BlockingIOError):
                        data = self._socket.recv(RECEIVE)
                        self._incoming.write(data) if data else self._incoming.write_eof()
            self._send(self._outgoing.read(), timeout)
        except ssl.SSLError as error:
            self._socket.close()
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise ConnectionProblem("tls", f"TLS failed: {reason}") from None
        except OSError as error:
            self._socket.close()
            raise ConnectionProblem(
                "tls", str(error) or "the connection ended in the TLS handshake"
            ) from None
        finally:
            patience.close()

    def _nodelay(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
