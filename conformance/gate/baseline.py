"""An earlier report that a run is compared with: only what has become worse fails the gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.verdict import Result


@dataclass(frozen=True)
class Earlier:
    """One verdict of the earlier report."""

    level: str
    result: Result
    check: str


@dataclass(frozen=True)
class Baseline:
    """``unmet``: capabilities that its profile demanded, or its target advertised, and that were not there."""

    name: str
    verdicts: Mapping[str, Earlier]
    unmet: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Change:
    """Requirement ids. ``new``: bad now and not before; ``known``: bad before and now; ``fixed``: bad before, kept
    now; ``open``: bad before, not judged now; ``lost``: kept before, not judged now."""

    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def compare(
    before: Mapping[str, Result], now: Mapping[str, Result], bad_before: Iterable[str], bad_now: Iterable[str]
) -> Change:
    """What became of each requirement. One that was not in the earlier report counts as not bad before."""
    was, bad = set(bad_before), set(bad_now)
    rest = [i for i in now if i not in bad]
    return Change(
        new=tuple(i for i in now if i in bad and i not in was),
        known=tuple(i for i in now if i in bad and i in was),
        fixed=tuple(i for i in rest if i in was and now[i].judged),
        open=tuple(i for i in rest if i in was and not now[i].judged),
        lost=tuple(i for i in rest if before.get(i) is Result.PASS and not now[i].judged),
    )
