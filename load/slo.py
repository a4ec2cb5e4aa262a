"""Objectives: what they are, where they come from, and whether the run met them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from load.errors import LoadError
from load.histogram import Histogram
from load.observation import Observation
from load.tally import TIMES, OperationTally, Tally
from spec.slo import objectives

SHARES = ("error_rate", "goodput", "refused_rate", "truncated_rate", "error_code_rate")
RATES = ("requests_per_second", "tokens_per_second")
METRICS = (*TIMES, *SHARES, *RATES, "stalls")
AT_LEAST = ("goodput", *RATES)


@dataclass(frozen=True)
class Objective:
    """``metric`` of ``operation`` (empty: all) is at most (or at least) ``bound``: ms, a share, or per second."""

    metric: str
    bound: float
    percentile: float = 95.0
    operation: str = ""
    code: str = ""

    @property
    def name(self) -> str:
        what = f"{self.metric} p{self.percentile:g}" if self.metric in TIMES else self.metric
        return f"{self.operation or 'all'} {what}{' ' + self.code if self.code else ''}"

    @property
    def unit(self) -> str:
        return " ms" if self.metric in TIMES else "/s" if self.metric in RATES else ""

    @property
    def relation(self) -> str:
        return "≥" if self.metric in AT_LEAST else "≤"


@dataclass(frozen=True)
class Judged:
    """An objective and what the run came to; ``seen`` None: nothing was measured, so it is not met."""

    objective: Objective
    seen: float | None

    @property
    def met(self) -> bool:
        if self.seen is None:
            return False
        bound = self.objective.bound
        return self.seen >= bound if self.objective.metric in AT_LEAST else self.seen <= bound


@dataclass(frozen=True)
class Goodput:
    """Bounds in seconds that a single request must keep to count as good; a failed one never does."""

    bounds: tuple[tuple[str, str, float], ...] = ()  # operation ("" for all), metric, seconds

    def good(self, seen: Observation) -> bool:
        if seen.code:
            return False
        for operation, metric, bound in self.bounds:
            if operation and operation != seen.operation:
                continue
            value = _WORTH[metric](seen)
            if value is not None and value > bound:
                return False
        return True


_WORTH: Mapping[str, Callable[[Observation], float | None]] = {
    "ttfb": lambda s: s.ttfb,
    "ttft": lambda s: s.ttft,
    "itl": lambda s: sum(s.gaps) / len(s.gaps) if s.gaps else None,
    "itl_worst": lambda s: s.worst_gap,
    "tpot": lambda s: s.tpot,
    "e2e": lambda s: s.e2e,
    "job_queue": lambda s: s.queued,
    "job_run": lambda s: s.run,
}


def goodput_of(wanted: Iterable[Objective]) -> Goodput:
    """A request is good if it keeps each time bound of the objectives that are about requests like it."""
    tightest: dict[tuple[str, str], float] = {}
    for o in wanted:
        if o.metric in TIMES:
            key = (o.operation, o.metric)
            tightest[key] = min(tightest.get(key, o.bound), o.bound)
    return Goodput(tuple((op, metric, ms / 1000) for (op, metric), ms in tightest.items()))


def read_objectives(path: str) -> tuple[Objective, ...]:
    """Objectives from a YAML (or JSON) file with a list ``objectives``. Raises :class:`LoadError`."""
    try:
        document = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise LoadError(f"--slo {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LoadError(f"--slo {path} is not YAML: {' '.join(str(error).split())[:150]}") from None
    items = document.get("objectives") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise LoadError(f"--slo {path} needs a list 'objectives'")
    return tuple(parse_objective(item, f"--slo {path}: objective {i}") for i, item in enumerate(items, 1))


def parse_objective(item: Any, where: str) -> Objective:
    """One objective: ``{metric: ttft, percentile: 95, max_ms: 500, operation: chat_stream}``."""
    if not isinstance(item, Mapping):
        raise LoadError(f"{where} is no mapping")
    known = {"metric", "percentile", "max_ms", "max", "min", "operation", "code"}
    if unknown := sorted(set(map(str, item)) - known):
        raise LoadError(f"{where}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}")
    metric = str(item.get("metric"))
    if metric not in METRICS:
        raise LoadError(f"{where}: metric {metric} is none of {', '.join(METRICS)}")
    key = "max_ms" if metric in TIMES else "min" if metric in AT_LEAST else "max"
    bound, percentile = item.get(key), item.get("percentile", 95)
    for name, value in ((key, bound), ("percentile", percentile)):
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise LoadError(f"{where}: {metric} needs a number '{name}'")
    if not 0 < percentile <= 100:
        raise LoadError(f"{where}: a percentile is above 0 and at most 100")
    code = str(item.get("code", ""))
    if (metric == "error_code_rate") != bool(code):
        raise LoadError(f"{where}: 'code' belongs to the metric error_code_rate, and it needs one")
    return Objective(metric, float(bound or 0), float(percentile), str(item.get("operation", "")), code)


def contract_objectives() -> tuple[Objective, ...]:
    """The ``x-slo`` values of the contract."""
    return tuple(
        parse_objective(item, f"x-slo of {name}") for name, items in objectives().items() for item in items
    )


def judge(wanted: Sequence[Objective], tally: Tally, seconds: float) -> list[Judged]:
    """Hold a run against its objectives. Those of operations that the run never called are left out."""
    relevant = [o for o in wanted if not o.operation or o.operation in tally.operations]
    return [Judged(o, _seen(o, tally, seconds)) for o in relevant]


def _seen(objective: Objective, tally: Tally, seconds: float) -> float | None:
    names = [objective.operation] if objective.operation else list(tally.operations)
    chosen: list[OperationTally] = [tally.operations[n] for n in names]
    metric = objective.metric
    if metric in TIMES:
        merged = Histogram()
        for operation in chosen:
            merged.merge(operation.times[metric])
        return merged.quantile(objective.percentile / 100) * 1000 if merged.count else None
    requests = sum(o.counts["requests"] for o in chosen)
    if not requests:
        return None
    match metric:
        case "error_rate":
            count = requests - sum(o.counts["ok"] for o in chosen)
        case "refused_rate":
            count = sum(o.counts["refused"] for o in chosen)
        case "truncated_rate":
            count = sum(o.counts["truncated"] for o in chosen)
        case "error_code_rate":
            count = sum(o.codes[objective.code] for o in chosen)
        case "goodput":
            count = sum(o.counts["good"] for o in chosen)
        case "stalls":
            return float(sum(o.counts["stalls"] for o in chosen))
        case "requests_per_second":
            return sum(o.counts["ok"] for o in chosen) / max(seconds, 1e-9)
        case _:
            return sum(o.counts["tokens_out"] for o in chosen) / max(seconds, 1e-9)
    return count / requests
