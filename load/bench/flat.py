"""Whether memory is flat: how much it may still be growing, with an error bound, once a run has warmed up.

A line is fitted to the means of ``BATCHES`` equal parts of the run after its warm-up. Samples a second apart say
nearly the same, so that a line through all of them would be far surer of itself than it may be; means of parts are
nearly independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

WARM_UP = 0.4
"""Share of a run in which memory may grow: a run of ten minutes has all of its points in time after 240 s."""

BATCHES = 10
T = 2.306
"""Student's t of a two-sided 95 % with ``BATCHES - 2`` degrees of freedom."""

LIMIT = 0.02
"""Share of the memory by which it may grow in the time that was looked at, at the upper end of the error bound."""


@dataclass(frozen=True)
class Trend:
    """Growth of memory over ``seconds``: MB, with the half width of its 95 % interval; ``mean`` MB in use."""

    growth: float
    bound: float
    mean: float
    seconds: float

    @property
    def flat(self) -> bool:
        return self.growth + self.bound <= LIMIT * self.mean

    def __str__(self) -> str:
        return (
            f"{self.growth:+.2f} ± {self.bound:.2f} MB in the last {self.seconds:.0f} s, at {self.mean:.1f} MB "
            f"(flat: at most {LIMIT:.0%}, {LIMIT * self.mean:.2f} MB, at the upper end)"
        )


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """The trend of ``(seconds since the start, MB)`` after the warm-up. Raises ``ValueError`` for too few."""
    end = samples[-1][0] if samples else 0.0
    kept = [(t, mb) for t, mb in samples if t >= WARM_UP * end]
    if len(kept) < 3 * BATCHES:
        raise ValueError(f"{len(kept)} samples after the warm-up say nothing about a trend")
    size = len(kept) / BATCHES
    parts = [kept[round(i * size) : round((i + 1) * size)] for i in range(BATCHES)]
    times = [fmean(t for t, _ in part) for part in parts]
    values = [fmean(mb for _, mb in part) for part in parts]
    middle, mean = fmean(times), fmean(values)
    spread = sum((t - middle) ** 2 for t in times)
    slope = sum((t - middle) * (v - mean) for t, v in zip(times, values, strict=True)) / spread
    rest = sum((v - mean - slope * (t - middle)) ** 2 for t, v in zip(times, values, strict=True))
    error = sqrt(rest / (BATCHES - 2) / spread)
    seconds = kept[-1][0] - kept[0][0]
    return Trend(slope * seconds, T * error * seconds, mean, seconds)
