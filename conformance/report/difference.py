"""What changed between two reports, as lines for a terminal or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.gate.baseline import Change, compare
from conformance.report.saved import SavedReport
from conformance.verdict import Result

TITLES: Mapping[str, str] = {
    "new": "not kept now, and was not found before",
    "lost": "kept before, not judged now",
    "open": "not kept before, not judged now",
    "fixed": "not kept before, kept now",
    "known": "not kept, as before",
}
_BAD = (Result.FAIL, Result.WARN)


def difference(old: SavedReport, new: SavedReport) -> Change:
    """By requirement; both failures and warnings count as not kept. One that left the catalogue is left out."""
    bad_before, bad_now = ([i for i, r in s.results.items() if r in _BAD] for s in (old, new))
    return compare(old.results, new.results, bad_before, bad_now)


def regressed(change: Change, new: SavedReport) -> tuple[str, ...]:
    """The MUST requirements that are newly not kept."""
    return tuple(i for i in change.new if new.results[i] is Result.FAIL)


def difference_lines(old: SavedReport, new: SavedReport) -> Iterator[str]:
    """A title per kind of change, and a line per requirement; then what became of capabilities."""
    change = difference(old, new)
    nothing = True
    for name, title in TITLES.items():
        ids: tuple[str, ...] = getattr(change, name)
        if not ids:
            continue
        nothing = nothing and name == "known"
        yield f"{title} ({len(ids)}):"
        for identity in ids:
            yield f"  {_line(old.verdicts.get(identity), new.verdicts[identity])}"
    for capability, became in _offers(old, new):
        nothing = False
        yield f"{capability}: {became}"
    if nothing:
        yield "nothing has changed"


def _line(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    was = before["verdict"] if before else "absent"
    step = now["verdict"] if was == now["verdict"] else f"{was} -> {now['verdict']}"
    return f"{step} {now['id']} {now['text']}"


def _offers(old: SavedReport, new: SavedReport) -> Iterator[tuple[str, str]]:
    before, now = _offered(old), _offered(new)
    for capability in sorted(before.keys() & now.keys()):
        if before[capability] != now[capability]:
            yield capability, "offered now" if now[capability] else "not offered any more"


def _offered(saved: SavedReport) -> Mapping[str, bool]:
    found: dict[str, bool] = {}
    for verdict in saved.document["verdicts"]:
        here = verdict["verdict"] != Result.NOT_OFFERED
        found[verdict["capability"]] = found.get(verdict["capability"], False) or here
    return found
