"""What the pytest plugin keeps on ``config`` for one run: settings, evidence, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance.dialects.model import Dialect
from conformance.evidence import Evidence
from conformance.gate.policy import Policy
from conformance.gather import Watcher
from conformance.judge import Bench
from conformance.registry import Check
from conformance.report.model import Report
from conformance.selection import Selection
from conformance.target import Target
from conformance.verdict import Verdict


@dataclass(frozen=True)
class Settings:
    """One run. Either ``target`` is probed, or ``saved`` evidence is judged again without a network. ``document``: the
    vendor's OpenAPI document, if the tester gave it."""

    dialect: Dialect
    target: Target | None = None
    saved: Path | None = None
    selection: Selection = field(default_factory=Selection)
    out: Path | None = None
    watch: Watcher = lambda _: None
    policy: Policy = field(default_factory=Policy)
    document: Mapping[str, Any] | None = None


@dataclass
class RunState:
    """``stopped`` is set when the run ended before its verdicts: one line for the user, and the exit code.
    ``report`` is there when the session has finished, unless nothing was judged."""

    settings: Settings
    stopped: tuple[str, int] | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    evidence: Evidence | None = None
    bench: Bench | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    report: Report | None = None


STATE: pytest.StashKey[RunState] = pytest.StashKey()


def bench_of(config: pytest.Config) -> Bench:
    """The evidence of this pytest run.

    Raises:
        pytest.UsageError: the checks were run without a target.
    """
    state = config.stash.get(STATE, None)
    if state is None or state.bench is None:
        raise pytest.UsageError("these checks judge a target: give --target URL or --evidence DIR")
    return state.bench
