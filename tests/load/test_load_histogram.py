"""The histogram is close to the samples, and merging loses nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.histogram import Histogram

times = st.lists(st.floats(0.0, 3600.0, allow_nan=False), min_size=1, max_size=300)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.extend(values)
    return histogram


def nearest_rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[max(1, -int(-share * len(ordered) // 1)) - 1]


@settings(deadline=None)
@given(times, st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_a_quantile_is_within_a_thousandth_of_the_sample(values: list[float], share: float) -> None:
    true = nearest_rank(values, share)
    assert filled(values).quantile(share) == pytest.approx(true, rel=1e-3, abs=1e-6)


@settings(deadline=None)
@given(times, times)
def test_merged_is_what_pooled_samples_give(one: list[float], two: list[float]) -> None:
    merged, pooled = filled(one), filled(one + two)
    merged.merge(filled(two))
    shares = (0.0, 0.25, 0.5, 0.9, 0.99, 1.0)
    assert merged.quantiles(shares) == pooled.quantiles(shares)
    assert (merged.count, merged.low, merged.high) == (pooled.count, pooled.low, pooled.high)
    assert merged.total == pytest.approx(pooled.total)


@settings(deadline=None)
@given(times)
def test_it_survives_the_wire(values: list[float]) -> None:
    histogram = filled(values)
    again = Histogram.of_plain(json.loads(json.dumps(histogram.plain())))
    assert again.plain() == histogram.plain()
    assert again.quantile(0.5) == histogram.quantile(0.5)


def test_small_times_are_exact_to_the_microsecond() -> None:
    assert filled([0.000_001, 0.000_002, 0.002_047]).quantiles((0.0, 0.5, 1.0)) == [
        0.000001,
        0.000002,
        0.002047,
    ]


def test_an_empty_one_has_no_times() -> None:
    assert Histogram().quantile(0.99) == 0.0
    assert Histogram().bars(10) == []
    again = Histogram.of_plain(Histogram().plain())
    again.add(0.5)
    assert again.low == 0.5


def test_a_clock_that_steps_back_counts_as_no_time() -> None:
    assert filled([-1.0]).quantile(1.0) == 0.0


@settings(deadline=None)
@given(times)
def test_bars_hold_nearly_all(values: list[float]) -> None:
    histogram = filled(values)
    inside = sum(n for _, _, n in histogram.bars(20))
    assert inside >= 0.99 * len(values) - 1


@settings(deadline=None)
@given(times)
def test_it_is_as_large_as_its_largest_time_asks_however_many_there_are(values: list[float]) -> None:
    one, all_of_them = filled([max(values)]), filled(values * 3)
    assert len(one.counts) == len(all_of_them.counts) <= 24 * 1024
    assert sum(all_of_them.counts) == all_of_them.count == 3 * len(values)
