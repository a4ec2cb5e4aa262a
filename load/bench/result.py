"""What is asked of a client of the benchmark, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """What is asked of a client: users, seconds (after ``warmup``), and the processor to run on."""

    url: str
    users: int
    seconds: float
    warmup: float
    prefix: Sequence[str]


@dataclass
class Result:
    """What one client reported. ``firsts`` and ``gaps``: ``(seconds, how often)``; memory in MB.

    ``cpu``: microseconds of the processor per stream, where the client says so."""

    streams_per_second: float
    firsts: list[tuple[float, int]] = field(default_factory=list)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    memory: float = 0.0
    cpu: float | None = None


Client = Callable[[Load], Result]


def ones(times: list[float]) -> list[tuple[float, int]]:
    """Times that were reported one by one."""
    return [(t, 1) for t in times]
