"""When the bytes of a stream came: how soon it closes, how long it is silent, and whether it was buffered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from conformance.checks.stream_evidence import arrivals, byte_of, encoding_of
from conformance.reading import Reading
from conformance.verdict import Inconclusive, expect

CLOSE_WITHIN = 1.0
NETWORK = 1.0
"""Seconds on top for which the network, not the server, may be to blame."""

INSTANT = 0.002
"""Bytes that come within this time of each other may be one write of the server."""


def close_in_time(streams: Iterable[tuple[Reading, int]], what: str) -> float:
    """The most seconds between the event of a stream (by its index) and the end of its response.

    One stream that ends plainly too late decides, however many others this machine may have made late itself.

    Raises:
        Violation: one took more than the bound and all allowances.
        Inconclusive: one took more than the bound.
    """
    worst, slowest = 0.0, ""
    for reading, event in streams:
        exchange = reading.exchange
        at = exchange.sse.events[event].t
        end = exchange.failure.t if exchange.failure is not None else exchange.t_end
        took = max(0.0, (end if end is not None else at) - at)
        expect(
            took <= CLOSE_WITHIN + NETWORK + exchange.lag,
            expected=f"the end of the response within {CLOSE_WITHIN:.0f} s of {what}",
            seen=f"still open after {took:.1f} s" if exchange.failure else f"it ended after {took:.1f} s",
            at=reading,
            where=byte_of(reading, event),
        )
        if took > worst:
            worst, slowest = took, exchange.id
    if worst > CLOSE_WITHIN:
        raise Inconclusive(f"{slowest} ended {worst:.1f} s after {what}: the network may account for that")
    return worst


def longest_silence(reading: Reading) -> float:
    """The longest time in seconds without a byte, from the head of the response to its end or deadline."""
    exchange = reading.exchange
    times = [exchange.t_headers or 0.0, *(c.t for c in arrivals(reading))]
    if exchange.failure is not None:
        times.append(exchange.failure.t)
    return max((b - a for a, b in pairwise(times)), default=0.0)


def bytes_before(reading: Reading, t: float) -> int:
    """How many bytes of the body had come before ``t``."""
    return sum(len(c.data) for c in arrivals(reading) if c.t < t)


ENCODING_FRAME = 20
"""Bytes. The header of gzip has 10, its trailer 8 behind a few that end the last block."""


@dataclass(frozen=True)
class Pace:
    """How the text of one stream came. Times in seconds since the request.

    ``tokens``: as the server counts them, else the pieces. ``pieces``: events with text. ``instants``:
    moments at which bytes came that are told apart. ``span``: from the first piece to the last.
    """

    tokens: int
    pieces: int
    instants: int
    first: float
    span: float
    lag: float

    def __str__(self) -> str:
        return (
            f"{self.tokens} tokens in {self.pieces} events came at {self.instants} moments"
            f" within {self.span * 1000:.0f} ms, the first after {self.first * 1000:.0f} ms"
        )


def pace_of(reading: Reading) -> Pace | None:
    """The pace of a stream; None if it holds no text.

    In a stream with a Content-Encoding the events cannot be timed, so the arrival of its encoded bytes
    counts, without a first or last chunk that can be no more than the header or the trailer of the encoding.
    """
    deltas = reading.stream.deltas
    if not deltas:
        return None
    times = [d.t for d in deltas]
    if encoding_of(reading):
        chunks = arrivals(reading)
        inner = chunks[len(chunks[0].data) <= ENCODING_FRAME :] if len(chunks) > 1 else chunks
        inner = inner[:-1] if len(inner) > 1 and len(inner[-1].data) <= ENCODING_FRAME else inner
        times = [c.t for c in inner]
    tokens = max(reading.stream.usage.get("output", 0), len(deltas))
    return Pace(tokens, len(deltas), _instants(times), times[0], times[-1] - times[0], reading.exchange.lag)


def _instants(times: list[float]) -> int:
    """How many moments there are, where one lasts ``INSTANT`` from its first arrival."""
    count, begun = 0, -INSTANT
    for t in times:
        if t - begun >= INSTANT:
            count, begun = count + 1, t
    return count
