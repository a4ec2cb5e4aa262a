"""The benchmark's judgement: each demand passes and fails on numbers that are known, and says when it has none."""

from __future__ import annotations

import sys

import pytest

from load.bench.clients import AIPERF, BARE, US, WRK
from load.bench.goals import Row, goals, tables
from load.bench.process import run

GOOD = Row([0.4], [1.5], [0.3], [1.2], [4000.0, 4100.0], [66.0], [190.0])
OTHERS = {
    BARE: Row([0.9], [2.8], [0.4], [1.1], [4200.0, 4100.0], [30.0]),
    "Locust HttpUser": Row([19.0], [140.0], [3.0], [25.0], [1400.0], [70.0]),
    AIPERF: Row([100.0], [500.0], [1.7], [5.8], [220.0, 230.0], [800.0]),
    WRK: Row(rate=[5000.0, 5200.0], memory=[5.0]),
}


def results(
    us: Row = GOOD, pairs: tuple[float, float] = (2000.0, 3800.0), start: float = 0.7
) -> dict[str, str]:
    return {g.demand: g.result for g in goals({US: us, **OTHERS}, [pairs], [start])}


def test_all_demands_are_met() -> None:
    assert set(results().values()) == {"pass"}
    assert len(results()) == 11


@pytest.mark.parametrize(
    ("found", "demand"),
    [
        (results(Row([2.8], [1.5], [0.3], [1.2], [4000.0], [66.0])), "TTFT error p50 at most 3 ×"),
        (results(Row([0.4], [1.5], [0.3], [3.4], [4000.0], [66.0])), "gap error p99 at most 3 ×"),
        (results(Row([0.4], [1.5], [1.8], [1.2], [4000.0], [66.0])), f"below those of {AIPERF}"),
        (results(Row([0.4], [1.5], [0.3], [1.2], [3000.0], [66.0])), "wrk's streams/s"),
        (results(Row([0.4], [1.5], [0.3], [1.2], [1000.0], [66.0])), "AIPerf's streams/s"),
        (results(Row([0.4], [1.5], [0.3], [1.2], [4000.0], [66.0, 101.0])), "peak memory"),
        (results(pairs=(2000.0, 3300.0)), "two processes"),
        (results(start=1.6), "start to first request"),
    ],
)
def test_a_demand_that_is_not_met_fails(found: dict[str, str], demand: str) -> None:
    assert [result for name, result in found.items() if demand in name] == ["FAIL"]


def test_what_was_not_measured_neither_passes_nor_fails() -> None:
    rows = {US: GOOD, BARE: OTHERS[BARE], WRK: OTHERS[WRK]}
    found = goals(rows, [], [0.7])
    missing = [g.demand for g in found if g.result == "not measured"]
    assert missing == ["at least 5 × AIPerf's streams/s", "two processes on two cores, at least 1.7 × one"]
    text = tables(rows, found)
    assert f"| {WRK} | – | – | – | – | 5,100 (5,000 … 5,200) | 5 (5 … 5) |" in text
    assert "190 (190 … 190) µs" in text


def test_a_client_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("load.bench.process.PATIENCE", 0.2)
    with pytest.raises(RuntimeError, match="did not end"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    memory, out = run([sys.executable, "-c", "import time; print('hi'); time.sleep(0.3)"], 5.0)
    assert out == "hi\n"
    assert memory > 1
