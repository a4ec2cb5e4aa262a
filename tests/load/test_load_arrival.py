"""The open loop's schedule: the right number at the right times, in whatever shape and however it is shared out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.arrival import parse_plan, parse_rate
from load.errors import LoadError


def test_a_constant_rate_is_evenly_spaced() -> None:
    moments = list(parse_plan(20, "constant", 2).arrivals())
    assert len(moments) == 40
    assert all(b - a == pytest.approx(0.05) for a, b in pairwise(moments))


def test_a_ramp_gets_denser() -> None:
    moments = list(parse_plan(0, "ramp:0:100", 10).arrivals())
    assert len(moments) == 500
    assert sum(1 for m in moments if m < 5) == pytest.approx(125, abs=1)


def test_a_spike_is_where_it_was_asked_for() -> None:
    plan = parse_plan(10, "spike:200:2:1", 5)
    moments = list(plan.arrivals())
    assert sum(1 for m in moments if 2 < m <= 3) == pytest.approx(200, abs=1)
    assert len(moments) == pytest.approx(240, abs=1)


def test_steps_go_up() -> None:
    plan = parse_plan(10, "step:10:2", 6)
    assert [p.start for p in plan.pieces] == [10, 20, 30]
    assert len(list(plan.arrivals())) == pytest.approx(120, abs=1)


def test_poisson_arrivals_have_the_rate_and_the_spread() -> None:
    moments = list(parse_plan(100, "constant", 100, poisson=True).arrivals(seed=3))
    gaps = [b - a for a, b in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    variance = sum((g - mean) ** 2 for g in gaps) / len(gaps)
    assert len(moments) == pytest.approx(10_000, rel=0.04)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)  # exponential: as wide as its mean


@settings(deadline=None)
@given(st.integers(1, 7), st.sampled_from(["constant", "ramp:5:50", "spike:90:1:1", "step:10:1"]))
def test_shards_together_are_the_whole(shards: int, shape: str) -> None:
    plan = parse_plan(20, shape, 4)
    parts = sorted(m for shard in range(shards) for m in plan.arrivals(shard, shards))
    assert parts == pytest.approx(list(plan.arrivals()))


@settings(deadline=None)
@given(st.floats(0, 4), st.floats(0, 4), st.sampled_from(["constant", "ramp:5:50", "step:10:1"]))
def test_what_is_requested_is_what_arrives(one: float, two: float, shape: str) -> None:
    start, end = sorted((one, two))
    plan = parse_plan(20, shape, 4)
    arrived = sum(1 for m in plan.arrivals() if start < m <= end)
    assert plan.requested(start, end) == pytest.approx(arrived, abs=1.01)


def test_a_trace_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("0.5\n0.1\n2.0\n9.0\n")
    plan = parse_plan(0, f"trace:{tmp_path / 'trace.txt'}", 5)
    assert list(plan.arrivals()) == [0.1, 0.5, 2.0]


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("sine", "is none of"),
        ("ramp:1", "is none of"),
        ("ramp:a:b", "no number"),
        ("ramp:-1:5", "negative"),
        ("spike:10:9:5", "within the duration"),
        ("trace:/nowhere", "cannot be read"),
    ],
)
def test_a_bad_shape_is_one_clear_line(shape: str, says: str) -> None:
    with pytest.raises(LoadError, match=says) as error:
        parse_plan(5, shape, 10)
    assert "\n" not in str(error.value)


def test_rates_are_read_with_their_unit() -> None:
    assert [parse_rate(t) for t in ("20", "20/s", "90/m", "7200/h")] == [20, 20, 1.5, 2]
    for bad in ("", "x", "0", "-1", "5/day"):
        with pytest.raises(LoadError):
            parse_rate(bad)
