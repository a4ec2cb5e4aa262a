"""The numbers of a run: counters and histograms per operation and per second. Mergeable and plain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from load.histogram import COARSE, Histogram
from load.ledger import Ledger
from load.observation import Observation

TIMES = ("ttfb", "ttft", "itl", "itl_worst", "tpot", "e2e", "job_queue", "job_run")
COUNTS = (
    "requests", "ok", "good", "refused", "overloaded", "failed", "truncated", "stalls", "coalesced", "gaps",
    "tokens_in", "tokens_out", "bytes", "violations",
)  # fmt: skip


class OperationTally:
    """One operation's counters, error codes and histograms."""

    __slots__ = ("codes", "counts", "times")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.times: dict[str, Histogram] = {name: Histogram() for name in TIMES}

    def add(self, seen: Observation, good: bool) -> None:
        counts, times = self.counts, self.times
        counts["requests"] += 1
        counts["bytes"] += seen.size
        if seen.ok:
            counts["ok"] += 1
            if good:
                counts["good"] += 1
            times["e2e"].add(seen.e2e)
            if seen.ttfb is not None:
                times["ttfb"].add(seen.ttfb)
            if seen.tokens_in or seen.tokens_out:
                counts["tokens_in"] += seen.tokens_in
                counts["tokens_out"] += seen.tokens_out
        else:
            self.codes[seen.code] += 1
            if seen.status == 429:
                counts["refused"] += 1
            elif seen.status == 503:
                counts["overloaded"] += 1
            else:
                counts["failed"] += 1
        if seen.ttft is not None:
            times["ttft"].add(seen.ttft)
            counts["coalesced"] += seen.coalesced
            if seen.gaps:
                counts["gaps"] += len(seen.gaps)
                add = times["itl"].add
                for gap in seen.gaps:
                    add(gap)
            if seen.worst_gap is not None:
                times["itl_worst"].add(seen.worst_gap)
            if seen.tpot is not None:
                times["tpot"].add(seen.tpot)
            if seen.stalls:
                counts["stalls"] += seen.stalls
        if seen.truncated:
            counts["truncated"] += 1
        if seen.broken:
            counts["violations"] += 1
        if seen.queued is not None:
            times["job_queue"].add(seen.queued)
        if seen.run is not None:
            times["job_run"].add(seen.run)

    def merge(self, other: OperationTally) -> None:
        self.counts.update(other.counts)
        self.codes.update(other.codes)
        for name, histogram in other.times.items():
            self.times[name].merge(histogram)

    def plain(self) -> dict[str, Any]:
        times = {name: h.plain() for name, h in self.times.items() if h.count}
        return {"counts": dict(self.counts), "codes": dict(self.codes), "times": times}

    @classmethod
    def of_plain(cls, data: Mapping[str, Any]) -> OperationTally:
        tally = cls()
        tally.counts.update(data["counts"])
        tally.codes.update(data["codes"])
        tally.times.update({name: Histogram.of_plain(h) for name, h in data["times"].items()})
        return tally


MAX_INTERVALS = 240
"""Points in time that are kept; a longer run has wider ones, so that its memory does not grow."""


class Second:
    """What ended in one interval of the run: a second, or ``Tally.width`` seconds of a long one."""

    __slots__ = ("counts", "e2e", "most", "retry_after", "ttft")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # done, ok, refused, failed, tokens_out
        self.most: dict[str, int] = {}  # requests open at once, by process
        self.ttft, self.e2e = Histogram(COARSE), Histogram(COARSE)
        self.retry_after = 0.0

    def merge(self, other: Second) -> None:
        self.counts.update(other.counts)
        for process, most in other.most.items():
            self.note_busy(process, most)
        self.ttft.merge(other.ttft)
        self.e2e.merge(other.e2e)
        self.retry_after = max(self.retry_after, other.retry_after)

    @property
    def busy(self) -> int:
        """Requests open at once, at most: the processes run side by side."""
        return sum(self.most.values())

    def note_busy(self, process: str, most: int) -> None:
        if most > self.most.get(process, 0):
            self.most[process] = most

    def plain(self) -> list[Any]:
        return [dict(self.counts), self.ttft.plain(), self.e2e.plain(), self.retry_after, self.most]

    @classmethod
    def of_plain(cls, data: list[Any]) -> Second:
        second = cls()
        second.counts.update(data[0])
        second.ttft, second.e2e = Histogram.of_plain(data[1]), Histogram.of_plain(data[2])
        second.retry_after, second.most = float(data[3]), dict(data[4])
        return second


class Tally:
    """All numbers of one process, or of several merged."""

    def __init__(self) -> None:
        self.operations: dict[str, OperationTally] = {}
        self.seconds: dict[int, Second] = {}  # by the number of the interval
        self.width = 1  # of an interval, in seconds: a power of 2
        self.ledger = Ledger()
        self.lag = Histogram()  # by how much requests began late
        self.loop_lag = Histogram()  # by how much our own event loop came late
        self.own: Counter[str] = (
            Counter()
        )  # scheduled, sent, resent, dropped, connections, cpu_us of watched_us

    def operation(self, name: str) -> OperationTally:
        found = self.operations.get(name)
        if found is None:
            found = self.operations[name] = OperationTally()
        return found

    def second(self, at: int) -> Second:
        """The interval that holds second ``at`` of the run."""
        number = at // self.width
        found = self.seconds.get(number)
        if found is None:
            if len(self.seconds) >= MAX_INTERVALS:
                self.widen(self.width * 2)
                return self.second(at)
            found = self.seconds[number] = Second()
        return found

    def widen(self, width: int) -> None:
        """Join intervals until they are so wide."""
        if width <= self.width:
            return
        old, ratio = self.seconds, width // self.width
        self.seconds, self.width = {}, width
        for number, second in old.items():
            self.seconds.setdefault(number // ratio, Second()).merge(second)

    def add(self, seen: Observation, at: int, good: bool, exchange: str) -> None:
        """Count one finished request, which ended in second ``at`` of the run."""
        self.operation(seen.operation).add(seen, good)
        second = self.second(at)
        counts = second.counts
        counts["done"] += 1
        if seen.ok:
            counts["ok"] += 1
            counts["tokens_out"] += seen.tokens_out
            second.e2e.add(seen.e2e)
            if seen.ttft is not None:
                second.ttft.add(seen.ttft)
        elif seen.status == 429:
            counts["refused"] += 1
            if seen.retry_after is not None and seen.retry_after > second.retry_after:
                second.retry_after = seen.retry_after
        else:
            counts["failed"] += 1
        if seen.judged:
            self.ledger.judged(seen.judged)
        for broken in seen.broken:
            self.ledger.broken(broken, exchange)

    def merge(self, other: Tally) -> None:
        for name, theirs in other.operations.items():
            self.operation(name).merge(theirs)
        self.widen(other.width)
        for number, second in other.seconds.items():
            self.second(number * other.width).merge(second)
        self.ledger.merge(other.ledger)
        self.lag.merge(other.lag)
        self.loop_lag.merge(other.loop_lag)
        self.own.update(other.own)

    def plain(self) -> dict[str, Any]:
        return {
            "operations": {name: o.plain() for name, o in self.operations.items()},
            "width": self.width,
            "seconds": [[n, s.plain()] for n, s in sorted(self.seconds.items())],
            "ledger": self.ledger.plain(),
            "lag": self.lag.plain(),
            "loop_lag": self.loop_lag.plain(),
            "own": dict(self.own),
        }

    @classmethod
    def of_plain(cls, data: Mapping[str, Any]) -> Tally:
        tally = cls()
        tally.operations = {n: OperationTally.of_plain(o) for n, o in data["operations"].items()}
        tally.width = int(data["width"])
        tally.seconds = {int(n): Second.of_plain(s) for n, s in data["seconds"]}
        tally.ledger = Ledger.of_plain(data["ledger"])
        tally.lag = Histogram.of_plain(data["lag"])
        tally.loop_lag = Histogram.of_plain(data["loop_lag"])
        tally.own.update(data["own"])
        return tally

    def total(self, name: str, operations: Iterable[str] | None = None) -> int:
        """A counter summed over operations (all of them by default)."""
        chosen = self.operations if operations is None else [o for o in operations if o in self.operations]
        return sum(self.operations[o].counts[name] for o in chosen)

    def time(self, name: str) -> Histogram:
        """A histogram merged over all operations."""
        merged = Histogram()
        for operation in self.operations.values():
            merged.merge(operation.times[name])
        return merged
