"""What the benchmark saw, as tables, and whether it meets what is demanded of the load client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from load.bench.clients import AIPERF, BARE, US, WRK

ERRORS = {
    "first_p50": "TTFT error p50",
    "first_p99": "TTFT error p99",
    "gap_p50": "gap error p50",
    "gap_p99": "gap error p99",
}
TIMES_BARE, OF_WRK, TIMES_AIPERF, TWO_OF_ONE = 3.0, 0.65, 5.0, 1.7
MEMORY_MB, START_S = 100.0, 1.5


@dataclass
class Row:
    """All repetitions of one client: errors in milliseconds, streams per second, MB, microseconds per stream."""

    first_p50: list[float] = field(default_factory=list)
    first_p99: list[float] = field(default_factory=list)
    gap_p50: list[float] = field(default_factory=list)
    gap_p99: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Goal:
    """One demand: what was seen, and whether that meets it. ``met`` None: it was not measured."""

    demand: str
    seen: str
    met: bool | None

    @property
    def result(self) -> str:
        return "not measured" if self.met is None else "pass" if self.met else "FAIL"


def goals(
    rows: Mapping[str, Row], pairs: Sequence[tuple[float, float]], start: Sequence[float]
) -> list[Goal]:
    """Every demand. ``pairs``: streams/s of one process and of two; ``start`` in seconds."""
    us, base = rows[US], rows[BARE]
    found = []
    for name, words in ERRORS.items():
        mine, bare = getattr(us, name), getattr(base, name)
        ratio = _middle(mine) / max(1e-9, _middle(bare))
        found.append(
            Goal(
                f"{words} at most {TIMES_BARE:g} × the bare client's",
                f"{ratio:.2f} ×",
                _if(mine, ratio <= TIMES_BARE),
            )
        )
    found += [_beats(us, name, row) for name, row in rows.items() if name not in (US, BARE, WRK)]
    found.append(_ratio(f"at least {OF_WRK:g} × wrk's streams/s, all checks on", us, rows[WRK], OF_WRK))
    found.append(
        _ratio(f"at least {TIMES_AIPERF:g} × AIPerf's streams/s", us, rows.get(AIPERF, Row()), TIMES_AIPERF)
    )
    both = [two / one for one, two in pairs]
    found.append(
        Goal(f"two processes on two cores, at least {TWO_OF_ONE:g} × one",
             f"{_middle(both):.2f} × ({spread(both)})", _if(both, _middle(both) >= TWO_OF_ONE))
    )  # fmt: skip
    most = max(us.memory, default=float("nan"))
    found.append(
        Goal(f"peak memory under {MEMORY_MB:g} MB", f"{most:.0f} MB", _if(us.memory, most < MEMORY_MB))
    )
    found.append(
        Goal(f"start to first request under {START_S:g} s",
             f"{_middle(start):.2f} s ({spread(start)})", _if(start, _middle(start) < START_S))
    )  # fmt: skip
    return found


def tables(rows: Mapping[str, Row], goals: Sequence[Goal]) -> str:
    """Both tables as Markdown."""
    lines = [
        "| client | TTFT error p50 ms | p99 ms | gap error p50 ms | p99 ms | streams/s | memory MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [row.first_p50, row.first_p99, row.gap_p50, row.gap_p99, row.rate, row.memory]
        lines.append(f"| {name} | " + " | ".join(_cell(c) for c in cells) + " |")
    lines += ["", "| demand | seen | |", "|---|---|---|"]
    lines += [f"| {g.demand} | {g.seen} | {g.result} |" for g in goals]
    cost = rows[US].cpu
    lines += ["", f"Our own processor time per stream, checks included: {_cell(cost)} µs."]
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    return f"{_number(min(values))} … {_number(max(values))}" if values else "–"


def _number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _beats(us: Row, name: str, other: Row) -> Goal:
    """All four errors below another tool's, where it reports the time."""
    shown, met = [], []
    for error in ERRORS:
        mine, theirs = getattr(us, error), getattr(other, error)
        if mine and theirs:
            shown.append(f"{_number(_middle(mine))} to {_number(_middle(theirs))}")
            met.append(_middle(mine) < _middle(theirs))
    return Goal(f"the four errors (ms) below those of {name}", ", ".join(shown) or "–", _if(met, all(met)))


def _ratio(demand: str, us: Row, other: Row, bound: float) -> Goal:
    """Streams/s, pair by pair: both sides of a pair were measured one after the other."""
    ratios = [mine / theirs for mine, theirs in zip(us.rate, other.rate, strict=False)]
    seen = f"{_middle(ratios):.2f} × ({spread(ratios)})" if ratios else "–"
    return Goal(demand, seen, _if(ratios, _middle(ratios) >= bound))


def _if(measured: Sequence[object], met: bool) -> bool | None:
    return met if measured else None


def _middle(values: Sequence[float]) -> float:
    return median(values) if values else float("nan")


def _cell(values: Sequence[float]) -> str:
    return f"{_number(median(values))} ({spread(values)})" if values else "–"
