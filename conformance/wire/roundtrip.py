"""One request and its response on one connection: sending and reading at the same time, framing by h11."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import h11

from conformance.wire.connection import Connection, explain
from conformance.wire.recording import Recording, Stop

HEAD_CAP = 64 * 1024
"""Bytes of response head, or of one chunk header, that are read."""

MAX_INFORMATIONAL = 20
EVENTS_PER_TURN = 500
"""h11 events handled in one go; then other tasks, deadlines among them, get a turn."""

HangUp = Callable[[bytes], bool]


async def send_all(connection: Connection, data: bytes) -> None:
    """Send as much as the peer takes. That it stopped reading is no failure: it may have answered already."""
    with suppress(OSError):
        await connection.send(data)


class Response:
    """Reads one response from a connection into a recording.

    ``before``: bytes that came after the end of the response before it, on a connection that was kept.
    """

    def __init__(
        self, connection: Connection, recording: Recording, method: str, started: float, before: bytes = b""
    ) -> None:
        self._connection, self._recording, self._started = connection, recording, started
        self._framing = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_CAP)
        # h11 needs a request to know how the response is framed; only HEAD makes a difference (RFC 9112 6.3).
        self._framing.send(
            h11.Request(method="HEAD" if method == "HEAD" else "GET", target="/", headers=[("Host", "x")])
        )
        self._framing.send(h11.EndOfMessage())
        self._now = 0.0
        self._begun = self._ended = False
        self._informational = 0
        if before:
            self._framing.receive_data(before)
            self._begun = True

    @property
    def kept(self) -> bool:
        """Whether another request may follow on the connection: the response has ended, and announced no close."""
        return self._framing.their_state is h11.DONE and not self._ended

    @property
    def beyond(self) -> bytes:
        """What came after its end."""
        return self._framing.trailing_data[0]

    async def read_head(self) -> None:
        """Read up to the end of the (final) response head. Raises :class:`Stop`."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                version = f"HTTP/{event.http_version.decode('ascii')}"
                self._recording.head(event.status_code, version, event.headers.raw_items(), self._now)
                return
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise Stop("protocol", f"more than {MAX_INFORMATIONAL} informational responses")

    async def read_body(self, hang_up: HangUp | None) -> None:
        """Read the body to its end, or until ``hang_up`` says to leave before it. Raises :class:`Stop`."""
        arrived = bytearray()
        events = 0
        try:
            while True:
                event = self._parse()
                events += 1
                if isinstance(event, h11.Data):
                    arrived += event.data
                    if events % EVENTS_PER_TURN == 0:
                        await asyncio.sleep(0)
                    continue
                if arrived:  # all that came in one read arrived at one time
                    data, arrived = arrived, bytearray()
                    self._recording.add(self._now, data)
                    if event is None and hang_up is not None and hang_up(bytes(self._recording.body)):
                        self._recording.left_at = time.perf_counter() - self._started
                        return
                if isinstance(event, h11.EndOfMessage):
                    self._recording.t_end = self._now
                    return
                await self._receive()
        finally:
            if arrived:
                with suppress(Stop):
                    self._recording.add(self._now, arrived)

    async def _next(self) -> h11.Event:
        while True:
            event = self._parse()
            if event is not None:
                return event
            await self._receive()

    def _parse(self) -> h11.Event | None:
        """The next event in the bytes at hand, None if more are needed."""
        try:
            event = self._framing.next_event()
        except h11.RemoteProtocolError as error:
            if self._ended:
                raise Stop("reset", self._cut()) from None
            if error.error_status_hint == 431 and self._recording.status is None:
                raise Stop("header_too_large", f"the response head is larger than {HEAD_CAP} bytes") from None
            raise Stop("protocol", f"not valid HTTP: {error}") from None
        if event is h11.NEED_DATA:
            if self._ended:
                raise Stop("reset", self._cut())
            return None
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise Stop("protocol", "the server changed to another protocol")
        assert not isinstance(event, type)  # the two sentinels are handled
        return event

    async def _receive(self) -> None:
        try:
            data = await self._connection.receive()
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise Stop("tls", f"TLS failed: {reason}") from None
        except OSError as error:
            raise Stop("reset", f"{self._cut()}: {explain(error)}") from None
        self._now = time.perf_counter() - self._started
        self._ended = not data
        if data and not self._begun and data[:5] != b"HTTP/"[: len(data)]:
            raise Stop("protocol", f"not HTTP: the answer begins with {data[:20]!r}")
        self._begun = self._begun or bool(data)
        self._framing.receive_data(data)
        await asyncio.sleep(0)  # a socket that always has data never suspends, and no deadline would fire

    def _cut(self) -> str:
        if self._recording.status is not None:
            return f"the connection ended within the body, after {len(self._recording.body)} bytes of it"
        return f"the connection ended {'within the response head' if self._begun else 'without a response'}"
