"""One request and its response on one connection, framed by httptools."""

from __future__ import annotations

from typing import Any

import httptools
from gevent.hub import Waiter

from load.transport.connection import Connection

HEADER_CAP = 64 * 1024
MAX_INFORMATIONAL = 20


class Reply:
    """What came back. Times are of the monotonic clock, in seconds.

    ``pieces`` are ``(time, bytes)``, one per receive that brought body bytes. ``failure`` is the kind of an
    incomplete exchange (``connect``, ``tls``, ``timeout_headers``, ``timeout_body``, ``reset``, ``protocol``,
    ``too_large``), with ``detail``.
    """

    __slots__ = (
        "detail", "failure", "headers", "pieces", "reused", "size", "status", "t_begun", "t_end", "t_first",
        "t_head",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[tuple[float, bytes]] = []
        self.size = 0
        self.t_begun = 0.0
        self.t_first: float | None = None  # the first byte of the response
        self.t_head: float | None = None
        self.t_end: float | None = None
        self.failure: str | None = None
        self.detail = ""
        self.reused = False

    def header(self, name: bytes) -> str | None:
        """All values of a header (given in lower case) joined by ``", "``, or None."""
        values = [v.decode("latin-1") for k, v in self.headers if k.lower() == name]
        return ", ".join(values) if values else None

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.pieces)

    @property
    def media_type(self) -> str:
        """Lower-case type/subtype without parameters, or an empty string."""
        return (self.header(b"content-type") or "").split(";", 1)[0].strip().lower()


class Exchange:
    """Reads one response. The connection's callback feeds it; :meth:`wait` blocks the greenlet that asked."""

    __slots__ = (
        "_closes", "_complete", "_data", "_header_size", "_informational", "_parser", "_waiter", "body_cap",
        "connection", "deadline", "keep", "on_body", "reply",
    )  # fmt: skip

    def __init__(self, connection: Connection, reply: Reply, deadline: float, body_cap: int) -> None:
        self.connection, self.reply = connection, reply
        self.deadline, self.body_cap = deadline, body_cap
        self.keep = False
        self._data: list[bytes] = []
        self.on_body = self._data.append  # called for each chunk: no frame of ours for it
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiter: Any = Waiter()
        self._complete = self._closes = False
        self._header_size = self._informational = 0

    def wait(self) -> Reply:
        """Block until the response is complete or has failed."""
        self._waiter.get()
        return self.reply

    @property
    def done(self) -> bool:
        return self._complete or self.reply.failure is not None

    def take(self, t: float, data: bytes) -> None:
        """What one receive brought."""
        reply = self.reply
        if not data:
            self._ended(t)
            return
        if reply.t_first is None:
            reply.t_first = t
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail("protocol", "the server changed to another protocol", t)
            return
        except httptools.HttpParserError as error:
            if self._complete:
                self.keep = False
            else:
                self._keep_body(t)
                self.fail("protocol", f"not valid HTTP: {error}", t)
                return
        if self._header_size > HEADER_CAP:
            self.fail("protocol", f"the response head is larger than {HEADER_CAP} bytes", t)
            return
        if self._data:
            self._keep_body(t)
        if reply.t_head is None and reply.status is not None:
            reply.t_head = t
        if self._complete:
            reply.t_end = t
            self._finish()
        elif reply.size > self.body_cap:
            self.fail("too_large", f"the body is larger than {self.body_cap} bytes", t)

    def fail(self, kind: str, detail: str, t: float) -> None:
        """End the exchange without a complete response."""
        if self.done:
            return
        self.reply.failure, self.reply.detail = kind, " ".join(detail.split())[:200]
        self.reply.t_end = t
        self.keep = False
        self._finish()

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        head = self.reply.status is not None
        self.fail("timeout_body" if head else "timeout_headers", "the deadline passed", now)

    def _keep_body(self, t: float) -> None:
        data = self._data
        if data:
            piece = data[0] if len(data) == 1 else b"".join(data)
            data.clear()
            self.reply.size += len(piece)
            self.reply.pieces.append((t, piece))

    def _finish(self) -> None:
        self.connection.taker = None
        self._parser = None  # the parser holds this object: a cycle per call would feed the collector
        self._waiter.switch(None)

    def _ended(self, t: float) -> None:
        """The peer has closed: the end of a body without a length (RFC 9112 6.3), or a cut."""
        self.keep = False
        if self._closes and self.reply.status is not None:
            self._complete = True
            self.reply.t_end = t
            self._finish()
            return
        where = "within the body" if self.reply.status is not None else "without a response"
        self.fail("reset", f"the connection ended {where}", t)

    # ---- callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_size += len(name) + len(value)
        self.reply.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        reply = self.reply
        if 100 <= status < 200:
            return
        reply.status = status
        framed = any(
            k.lower() == b"content-length" or (k.lower() == b"transfer-encoding" and b"chunked" in v.lower())
            for k, v in reply.headers
        )
        self._closes = not framed and status not in (204, 304)

    def on_message_complete(self) -> None:
        if self.reply.status is None:  # an informational response: the real one follows
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise ValueError("too many informational responses")
            self.reply.headers = []
            return
        self._complete = True
        self.keep = bool(self._parser.should_keep_alive())
