"""Two runs side by side, with confidence intervals of the quantiles, so that noise is not taken for a change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from load.errors import LoadError
from load.histogram import Histogram
from load.report.document import SCHEMA_ID

Z = 1.96
"""Standard deviations of a two-sided confidence of 95 %."""


@dataclass(frozen=True)
class Change:
    """A quantile (or share) before and after, each with its interval of 95 %."""

    name: str
    before: tuple[float, float, float]  # low, value, high
    after: tuple[float, float, float]
    unit: str = "ms"
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """``same`` unless the two intervals do not touch."""
        if self.before[0] <= self.after[2] and self.after[0] <= self.before[2]:
            return "same"
        return "better" if (self.after[1] > self.before[1]) == self.more_is_better else "worse"


def interval(histogram: Histogram, share: float) -> tuple[float, float, float]:
    """A quantile with its confidence interval, from order statistics (the ranks are binomial)."""
    n = histogram.count
    if not n:
        return 0.0, 0.0, 0.0
    spread = Z * sqrt(share * (1 - share) / n)
    low, value, high = histogram.quantiles((max(0.0, share - spread), share, min(1.0, share + spread)))
    return low * 1000, value * 1000, high * 1000


def proportion(count: int, total: int) -> tuple[float, float, float]:
    """A share with its interval after Wilson, which holds near 0 and 1 too."""
    if not total:
        return 0.0, 0.0, 1.0
    p = count / total
    middle = (p + Z * Z / (2 * total)) / (1 + Z * Z / total)
    half = Z * sqrt(p * (1 - p) / total + Z * Z / (4 * total * total)) / (1 + Z * Z / total)
    return max(0.0, middle - half), p, min(1.0, middle + half)


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The changes of every operation and metric that both runs have."""
    changes: list[Change] = []
    for name in sorted(before["operations"].keys() & after["operations"].keys()):
        a, b = before["operations"][name], after["operations"][name]
        for metric in a["histograms"]:
            if metric not in b["histograms"]:
                continue
            one, two = (Histogram.of_plain(o["histograms"][metric]) for o in (a, b))
            for share in (0.5, 0.95, 0.99):
                label = f"{name} {metric} p{share * 100:g}"
                changes.append(Change(label, interval(one, share), interval(two, share)))
        failed = [proportion(o["requests"] - o["ok"], o["requests"]) for o in (a, b)]
        changes.append(Change(f"{name} errors", failed[0], failed[1], "share"))
    return changes


def read_run(path: str) -> dict[str, Any]:
    """A ``load.json``, or the directory that holds one. Raises :class:`LoadError`."""
    file = Path(path) / "load.json" if Path(path).is_dir() else Path(path)
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{file} cannot be read as a run: {error}") from None
    if not isinstance(document, dict) or document.get("$schema") != SCHEMA_ID:
        raise LoadError(f"{file} is no load.json of a run")
    return document


def table(changes: list[Change]) -> str:
    """The comparison as text."""
    lines = [f"{'':<34}{'before (95 % interval)':>30}{'after (95 % interval)':>30}"]
    lines += [f"{c.name:<34}{_shown(c.before):>30}{_shown(c.after):>30}  {c.verdict}" for c in changes]
    return "\n".join(lines)


def _shown(value: tuple[float, float, float]) -> str:
    low, middle, high = value
    return f"{middle:,.4g} ({low:,.4g} … {high:,.4g})"
