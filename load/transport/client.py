"""Sends requests over kept connections, watches their deadlines, and measures how late it is itself."""

from __future__ import annotations

import ssl
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

import gevent
from gevent.hub import get_hub

from load.histogram import Histogram
from load.transport.connection import Connection, ConnectionProblem
from load.transport.exchange import Exchange, Reply

SWEEP = 0.05
"""Seconds between two looks at the deadlines; how late a look comes is the lag of our own loop."""


@dataclass(frozen=True)
class Endpoint:
    """Where requests go, and the bounds on one exchange: seconds and bytes."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    connect: float = 5.0
    total: float = 60.0
    body_cap: int = 4 * 1024 * 1024

    @classmethod
    def of(
        cls,
        url: str,
        *,
        total: float = 60.0,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> Endpoint:
        """The endpoint of a base URL. Raises ``OSError`` (``ssl.SSLError``) for a bad CA bundle."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        context = tls_context(verify, ca_bundle) if secure else None
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), context, total=total)


def tls_context(verify: bool, ca_bundle: str | None) -> ssl.SSLContext:
    """One context for the whole run: reading the trust store takes longer than many requests."""
    context = ssl.create_default_context(cafile=ca_bundle)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


IDLE = 10.0
"""Seconds after which a connection that others were preferred to is closed: a burst does not keep its own for good."""


class Pool:
    """Idle connections to one endpoint, the last used first. One per user, or one for all of an open loop."""

    def __init__(self) -> None:
        self._idle: deque[Connection] = deque()

    def take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.dead:
                return connection
            connection.close()
        return None

    def give(self, connection: Connection, now: float) -> None:
        """Keep an idle connection. ``now`` is on the monotonic clock."""
        connection.idle_since = now
        idle = self._idle
        idle.append(connection)
        if now - idle[0].idle_since > IDLE:
            idle.popleft().close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Client:
    """All exchanges of one process with one endpoint.

    ``lags`` records, every 50 ms, the seconds by which the loop came late; ``lag`` is the worst since the start.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.active: set[Exchange] = set()
        self.connections = self.resent = 0
        self.lags = Histogram()
        self._worst_lag = 0.0
        self._due = float("inf")
        self._sweeper: gevent.Greenlet | None = None

    @property
    def lag(self) -> float:
        """What a judgement about time grants the server. A look that is overdue counts: a loop that stood still
        may judge what came meanwhile before it looks at its own lateness."""
        return max(self._worst_lag, perf_counter() - self._due)

    def start(self) -> None:
        """Begin to watch deadlines."""
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep)

    def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.kill(block=False)
            self._sweeper, self._due = None, float("inf")

    def send(self, pool: Pool, request: bytes, timeout: float | None = None) -> Reply:
        """Send one request and wait for its response, whole or failed. Never raises for what a server does.

        A kept connection that the server closed before a byte of the response is no failure of the server
        (RFC 9112 9.3.1): the request is sent once more. It may have been one all the same, so ``resent`` counts.
        """
        begun = perf_counter()
        limit = begun + (timeout or self.endpoint.total)
        while True:
            reply = self._attempt(pool, request, begun, limit)
            if not (reply.reused and reply.failure == "reset" and reply.t_first is None):
                return reply
            self.resent += 1

    def _attempt(self, pool: Pool, request: bytes, begun: float, limit: float) -> Reply:
        reply = Reply()
        reply.t_begun = begun
        connection = pool.take()
        if connection is None:
            endpoint = self.endpoint
            try:
                connection = Connection(endpoint.host, endpoint.port, endpoint.tls, endpoint.connect)
            except ConnectionProblem as error:
                reply.failure, reply.detail, reply.t_end = error.kind, str(error), perf_counter()
                return reply
            self.connections += 1
        reply.reused = connection.used > 0
        connection.used += 1
        exchange = Exchange(connection, reply, limit, self.endpoint.body_cap)
        connection.taker = exchange.take
        active = self.active
        active.add(exchange)
        try:
            try:
                connection.send(request, self.endpoint.connect)
            except OSError as error:
                exchange.fail("reset", f"the request could not be sent: {error}", perf_counter())
            exchange.wait()
        finally:
            active.discard(exchange)
            if exchange.keep and not connection.dead:
                pool.give(connection, perf_counter())
            else:
                connection.close()
        return reply

    def _sweep(self) -> None:
        self._due = perf_counter() + SWEEP
        while True:
            gevent.sleep(max(0.0, self._due - perf_counter()))
            now = perf_counter()
            lag = max(0.0, now - self._due)
            self.lags.add(lag)
            self._worst_lag = max(lag, self._worst_lag)
            self._due = now + SWEEP
            for exchange in [e for e in self.active if e.deadline <= now]:
                get_hub().loop.run_callback(exchange.expire, now)  # only the hub may wake who waits
