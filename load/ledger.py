"""How often each requirement was judged and broken under load, with samples of what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLES = 3
"""Broken exchanges that are kept per requirement; all are counted."""


@dataclass(frozen=True)
class Broken:
    """One violation: what was expected and seen, and where (``byte N``, ``header NAME``, a JSON Pointer)."""

    requirement: str
    expected: str
    seen: str
    where: str = ""


@dataclass
class Record:
    """What one requirement's judgements came to. ``doubt`` says why the rest could not be decided."""

    judged: int = 0
    broken: int = 0
    undecided: int = 0
    doubt: str = ""
    samples: list[dict[str, str]] = field(default_factory=list)


class Ledger:
    """Counts per requirement id. Mergeable, so that workers can keep their own."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def record(self, requirement: str) -> Record:
        found = self.records.get(requirement)
        if found is None:
            found = self.records[requirement] = Record()
        return found

    def judged(self, requirements: tuple[str, ...]) -> None:
        """One more exchange was judged by these; violations are added by :meth:`broken`."""
        records = self.records
        for name in requirements:
            try:
                records[name].judged += 1
            except KeyError:
                self.record(name).judged = 1

    def broken(self, broken: Broken, exchange: str) -> None:
        """A violation in an exchange that was counted as judged."""
        record = self.record(broken.requirement)
        record.broken += 1
        if len(record.samples) < SAMPLES:
            record.samples.append(
                {
                    "exchange": exchange,
                    "expected": broken.expected,
                    "seen": broken.seen,
                    "where": broken.where,
                }
            )

    def undecided(self, requirement: str, why: str) -> None:
        """Evidence was there and could not decide."""
        record = self.record(requirement)
        record.undecided += 1
        record.doubt = why

    def merge(self, other: Ledger) -> None:
        for name, theirs in other.records.items():
            mine = self.record(name)
            mine.judged += theirs.judged
            mine.broken += theirs.broken
            mine.undecided += theirs.undecided
            mine.doubt = mine.doubt or theirs.doubt
            mine.samples = (mine.samples + theirs.samples)[:SAMPLES]

    def plain(self) -> dict[str, Any]:
        return {
            name: [r.judged, r.broken, r.undecided, r.doubt, r.samples] for name, r in self.records.items()
        }

    @classmethod
    def of_plain(cls, data: Mapping[str, Any]) -> Ledger:
        ledger = cls()
        for name, (judged, broken, undecided, doubt, samples) in data.items():
            ledger.records[name] = Record(judged, broken, undecided, doubt, [dict(s) for s in samples])
        return ledger
