"""A log-linear histogram that loses less than 0.1 % and can be merged: what is pooled is what one would have.

Locust's own statistics round to two digits (1 ms below 100 ms, 100 ms below 10 s), too coarse for a stream.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import compress
from typing import Any

DIGITS = 10
"""Binary digits kept: values up to 2047 are exact, larger ones lose less than 1 part in 1024."""

COARSE = 5
"""Enough for a point in a plot (3 %), in a fraction of the memory."""

UNIT = 1e-6
"""Seconds of one count: a microsecond."""


class Histogram:
    """Times in seconds, kept in microseconds. ``count``, ``total`` (seconds), ``low`` and ``high`` are exact.

    ``digits`` binary digits of a value are kept: up to ``2 ** (digits + 1)`` microseconds it is exact. The counts
    stand in one array, which is as long as its highest bucket asks: what is recorded later takes no more memory.
    """

    __slots__ = ("count", "counts", "digits", "high", "low", "total")

    def __init__(self, digits: int = DIGITS) -> None:
        self.digits = digits
        self.counts = array("Q" if digits > COARSE else "I")
        self.count = 0
        self.total = 0.0
        self.low = float("inf")
        self.high = 0.0

    def add(self, seconds: float) -> None:
        """Record one time; a negative one (a clock that steps) counts as 0."""
        if seconds < 0.0:
            seconds = 0.0
        bucket = int(seconds * 1e6 + 0.5)
        shift = bucket.bit_length() - self.digits - 1
        if shift > 0:
            bucket = (shift << self.digits) + (bucket >> shift)
        try:
            self.counts[bucket] += 1
        except IndexError:
            self._reach(bucket)
            self.counts[bucket] += 1
        self.count += 1
        self.total += seconds
        if seconds < self.low:
            self.low = seconds
        if seconds > self.high:
            self.high = seconds

    def extend(self, times: Iterable[float]) -> None:
        for seconds in times:
            self.add(seconds)

    def merge(self, other: Histogram) -> None:
        """Take in another one of the same digits; afterwards it is as if its times had been recorded here."""
        if other.counts:
            self._reach(len(other.counts) - 1)
        counts = self.counts
        for bucket, n in other.filled():
            counts[bucket] += n
        self.count += other.count
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def filled(self) -> list[tuple[int, int]]:
        """``(bucket, count)`` of the buckets that hold something, in order."""
        counts = self.counts
        return [(bucket, counts[bucket]) for bucket in compress(range(len(counts)), counts)]

    def _reach(self, bucket: int) -> None:
        """Make room up to the end of the bucket's power of two."""
        lacking = (bucket | ((1 << self.digits) - 1)) + 1 - len(self.counts)
        if lacking > 0:
            self.counts.frombytes(bytes(lacking * self.counts.itemsize))

    def quantile(self, share: float) -> float:
        """The value below which ``share`` (0 to 1) of all lie, by nearest rank; 0.0 if there are none."""
        return self.quantiles((share,))[0]

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """Several quantiles with one pass; ``shares`` in any order."""
        wanted = list(shares)
        if not self.count:
            return [0.0] * len(wanted)
        ranks = sorted({self._rank(share) for share in wanted})
        found: dict[int, float] = {}
        seen = 0
        waiting = iter(ranks)
        rank = next(waiting, None)
        for bucket, n in self.filled():
            seen += n
            while rank is not None and seen >= rank:
                found[rank] = min(max(self._middle(bucket), self.low), self.high)
                rank = next(waiting, None)
        return [found[self._rank(share)] for share in wanted]

    def _rank(self, share: float) -> int:
        return max(1, min(self.count, -int(-share * self.count // 1)))

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def points(self) -> list[tuple[float, int]]:
        """``(seconds, how often)`` of every bucket."""
        return [(self._middle(bucket), n) for bucket, n in self.filled()]

    def plain(self) -> dict[str, Any]:
        """As plain data, for a message or a file."""
        return {
            "digits": self.digits,
            "buckets": [[b, n] for b, n in self.filled()],
            "total": self.total,
            "low": self.low if self.count else 0.0,
            "high": self.high,
        }

    @classmethod
    def of_plain(cls, data: Mapping[str, Any]) -> Histogram:
        """The histogram that :meth:`plain` described."""
        histogram = cls(int(data["digits"]))
        for bucket, n in data["buckets"]:
            histogram._reach(int(bucket))
            histogram.counts[int(bucket)] = int(n)
        histogram.count = sum(histogram.counts)
        histogram.total, histogram.high = float(data["total"]), float(data["high"])
        histogram.low = float(data["low"]) if histogram.count else float("inf")
        return histogram

    def bars(self, number: int) -> list[tuple[float, float, int]]:
        """``(from, to, count)`` of at most ``number`` bars of equal width between the 0th and 99.9th percentile."""
        if not self.count:
            return []
        low, high = self.low, max(self.quantile(0.999), self.low + UNIT)
        width = (high - low) / number
        counts = [0] * number
        for bucket, n in self.filled():
            value = min(self._middle(bucket), self.high)
            if value <= high:
                counts[min(number - 1, max(0, int((value - low) / width)))] += n
        return [(low + i * width, low + (i + 1) * width, n) for i, n in enumerate(counts)]

    def _middle(self, bucket: int) -> float:
        """The middle of a bucket in seconds."""
        shift = (bucket >> self.digits) - 1
        if shift <= 0:
            return bucket / 1e6
        mantissa = bucket - (shift << self.digits)
        return ((mantissa << shift) + (1 << shift) / 2) / 1e6
