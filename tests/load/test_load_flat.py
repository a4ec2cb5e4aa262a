"""The soak's judgement on memory: a leak is seen, noise is none, and too little says nothing."""

from __future__ import annotations

import random

import pytest

from load.bench.flat import trend


def memory(
    leak: float = 0.0, noise: float = 0.2, step: float = 0.0, seconds: int = 600
) -> list[tuple[float, float]]:
    """Megabytes once a second: a warm-up, a leak in MB per minute, noise, a step up at the half."""
    dice = random.Random(4)
    warm = [min(t, 200) * 0.02 for t in range(seconds)]
    return [
        (float(t), 60 + warm[t] + leak * t / 60 + dice.gauss(0, noise) + (step if t > seconds / 2 else 0))
        for t in range(seconds)
    ]


def test_noise_after_a_warm_up_is_flat() -> None:
    found = trend(memory())
    assert found.flat
    assert abs(found.growth) <= found.bound < 0.5
    assert found.seconds == pytest.approx(360, abs=2)


@pytest.mark.parametrize("leak", [0.4, 2.0])
def test_a_leak_is_not_flat(leak: float) -> None:
    found = trend(memory(leak))
    assert not found.flat
    assert found.growth == pytest.approx(leak * 6, abs=0.3)


def test_a_jump_that_stays_is_not_flat() -> None:
    assert not trend(memory(step=3.0)).flat


def test_memory_that_jumps_about_is_not_shown_to_be_flat() -> None:
    assert not trend([(float(t), 60 + 12 * (t // 37 % 2)) for t in range(600)]).flat


def test_a_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="samples"):
        trend(memory(seconds=30))
