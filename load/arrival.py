"""When requests begin in an open loop: by the plan, whatever the server does.

A plan is a rate over time, made of straight pieces. Arrivals are the times at which its integral reaches 1, 2, 3 …
(constant spacing), or reaches the sums of exponential steps (a Poisson process of that rate).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import sqrt
from pathlib import Path

from load.errors import LoadError


@dataclass(frozen=True)
class Piece:
    """``seconds`` in which the rate goes from ``start`` to ``end`` (requests per second)."""

    seconds: float
    start: float
    end: float

    @property
    def arrivals(self) -> float:
        return self.seconds * (self.start + self.end) / 2


@dataclass(frozen=True)
class Plan:
    """``pieces`` of rate, or the ``moments`` of a trace (seconds from the start)."""

    label: str
    pieces: tuple[Piece, ...] = ()
    moments: tuple[float, ...] = ()
    poisson: bool = False

    @property
    def duration(self) -> float:
        return self.moments[-1] if self.moments else sum(p.seconds for p in self.pieces)

    def requested(self, start: float, end: float) -> float:
        """How many arrivals the plan holds between two times."""
        if self.moments:
            return float(sum(1 for m in self.moments if start <= m < end))
        return _integral(self.pieces, end) - _integral(self.pieces, start)

    def arrivals(self, shard: int = 0, shards: int = 1, seed: int = 0) -> Iterator[float]:
        """Seconds from the start, in order. Each of ``shards`` processes takes its part of the same plan."""
        if self.moments:
            yield from self.moments[shard::shards]
            return
        levels = _poisson(random.Random(f"{seed}/{shard}"), shards) if self.poisson else _even(shard, shards)
        yield from _reach(self.pieces, levels)


def parse_plan(rate: float, shape: str, duration: float, poisson: bool = False) -> Plan:
    """The plan of ``--rate`` and ``--shape``, at most ``duration`` seconds long.

    ``constant``; ``ramp:FROM:TO`` over the whole time; ``spike:PEAK:AT:FOR`` above ``rate``; ``step:BY:EVERY``
    up from ``rate``; ``trace:FILE`` (seconds from the start, one a line).

    Raises:
        LoadError: a shape that is none, or a trace that cannot be read.
    """
    name, _, rest = shape.partition(":")
    if name == "trace":
        moments = tuple(m for m in _trace(rest) if m <= duration)
        if not moments:
            raise LoadError(f"--shape trace: {rest} has no moment within {duration:g} s")
        return Plan(shape, moments=moments)
    try:
        numbers = [float(n) for n in rest.split(":")] if rest else []
    except ValueError:
        raise LoadError(f"--shape {shape}: '{rest}' holds something that is no number") from None
    if any(n < 0 for n in numbers):
        raise LoadError(f"--shape {shape}: no number may be negative")
    match name, numbers:
        case "constant", []:
            pieces: Sequence[Piece] = [Piece(duration, rate, rate)]
        case "ramp", [low, high]:
            pieces = [Piece(duration, low, high)]
        case "spike", [peak, at, lasts] if at + lasts <= duration:
            rest_of_it = duration - at - lasts
            pieces = [Piece(at, rate, rate), Piece(lasts, peak, peak), Piece(rest_of_it, rate, rate)]
        case "step", [by, every] if every > 0:
            steps = max(1, int(duration / every))
            pieces = [Piece(every, rate + i * by, rate + i * by) for i in range(steps)]
        case _:
            raise LoadError(
                f"--shape {shape} is none of constant, ramp:FROM:TO, spike:PEAK:AT:FOR (within the duration), "
                "step:BY:EVERY, trace:FILE"
            )
    kept = tuple(p for p in pieces if p.seconds > 0)
    if sum(p.arrivals for p in kept) < 1:
        raise LoadError(f"--rate {rate:g} with --shape {shape} gives no arrival within {duration:g} s")
    return Plan(shape, pieces=kept, poisson=poisson)


def parse_rate(text: str) -> float:
    """``20``, ``20/s``, ``90/m`` or ``5000/h`` as requests per second. Raises :class:`LoadError`."""
    number, _, unit = text.strip().partition("/")
    try:
        rate = float(number) / {"": 1, "s": 1, "m": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        raise LoadError(f"--rate {text}: write 20, 20/s, 90/m or 5000/h") from None
    if not 0 < rate < 1e6:
        raise LoadError(f"--rate {text}: must be above 0")
    return rate


def _trace(path: str) -> list[float]:
    try:
        lines = Path(path).read_text("utf-8").split()
        moments = sorted(float(line) for line in lines)
    except OSError as error:
        raise LoadError(f"--shape trace: {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise LoadError(f"--shape trace: {path} must hold one number of seconds per line") from None
    if moments and moments[0] < 0:
        raise LoadError(f"--shape trace: {path} begins before 0")
    return moments


def _even(shard: int, shards: int) -> Iterator[float]:
    return (n * shards + shard + 1.0 for n in count())


def _poisson(dice: random.Random, shards: int) -> Iterator[float]:
    level = 0.0
    while True:
        level += dice.expovariate(1.0) * shards
        yield level


def _reach(pieces: Sequence[Piece], levels: Iterator[float]) -> Iterator[float]:
    """The times at which the integral of the rate reaches each level."""
    begun = done = 0.0
    level = next(levels)
    for piece in pieces:
        while level <= done + piece.arrivals:
            yield begun + _time_of(piece, level - done)
            level = next(levels)
        begun += piece.seconds
        done += piece.arrivals


def _time_of(piece: Piece, amount: float) -> float:
    """Seconds into the piece at which ``amount`` arrivals have come: ``start·t + slope·t²/2 = amount``."""
    slope = (piece.end - piece.start) / piece.seconds
    if abs(slope) < 1e-12:
        return amount / piece.start if piece.start else piece.seconds
    root = sqrt(max(0.0, piece.start * piece.start + 2 * slope * amount))
    return min(piece.seconds, 2 * amount / (piece.start + root) if piece.start + root else 0.0)


def _integral(pieces: Sequence[Piece], end: float) -> float:
    total = begun = 0.0
    for piece in pieces:
        t = min(max(0.0, end - begun), piece.seconds)
        slope = (piece.end - piece.start) / piece.seconds
        total += piece.start * t + slope * t * t / 2
        begun += piece.seconds
    return total
