"""The CONF checks on labelled texts pass on an honest server's answers and fail on one defect."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.chance import lower_tail, upper_tail
from conformance.checks import test_conf_calibration as conf
from conformance.reading import Probed
from conformance.verdict import Inconclusive, NotTested, Violation


def classification(role: str, category: str, confidence: float | None, **block: Any) -> Any:
    told = {
        "method": "classifier",
        "calibrated": True,
        "threshold": 0.6,
        "ece": 0.05,
        "ece_samples": 80,
        **block,
    }
    body = {
        "category": category,
        "confidence": confidence,
        "alternatives": [],
        "requires_human_review": False,
        "metadata": {"confidence": {k: v for k, v in told.items() if v is not ...}},
    }
    return answer(body, role=role, operation="classify")


def labelled(
    right: int, of: int = 24, sure: float = 0.8, step: float = 0.001, nonsense: float = 0.3, **block: Any
) -> Probed:
    """``right`` of so many labelled texts have the labelled category."""
    readings = [
        classification(
            f"labelled_{n}", "billing" if n < right else "other", round(sure + n * step, 4), **block
        )
        for n in range(of)
    ]
    readings += [classification(f"nonsense_{n}", "other", nonsense) for n in range(4)]
    notes = {"labels": {f"labelled_{n}": "billing" for n in range(of)}, "spaced_twin": "labelled_0"}
    spaced = classification("spaced", "billing", sure + 0.01)
    return gathered("classified_labelled", *readings, spaced, notes=notes)


CONSTANT, NONSENSE, SPACE, POSSIBLE, TOLD = (
    conf.test_the_confidence_differs_between_texts,
    conf.test_texts_without_meaning_are_less_certain,
    conf.test_white_space_does_not_move_the_confidence,
    conf.test_the_declared_calibration_error_is_possible,
    conf.test_a_calibrated_confidence_tells_its_error,
)


@pytest.mark.parametrize("check", [CONSTANT, NONSENSE, SPACE, POSSIBLE])
def test_an_honest_server_passes(check: Any) -> None:
    assert check(labelled(right=19))


@pytest.mark.parametrize("right", [24, 16, 13])
def test_luck_within_the_bound_is_no_violation(right: int) -> None:
    assert POSSIBLE(labelled(right=right))


def test_certain_and_wrong_is_a_violation() -> None:
    with pytest.raises(Violation, match="9 of 24 right"):
        POSSIBLE(labelled(right=9, sure=0.95, step=0))
    with pytest.raises(Violation):
        POSSIBLE(labelled(right=4))


def test_a_large_declared_error_is_honest_about_many_mistakes() -> None:
    assert POSSIBLE(labelled(right=9, sure=0.95, step=0, ece=0.5))


def test_too_few_answers_decide_nothing() -> None:
    with pytest.raises(Inconclusive):
        POSSIBLE(labelled(right=0, of=19))
    with pytest.raises(Inconclusive):
        POSSIBLE(labelled(right=24, sure=0.3, ece=0.3))
    with pytest.raises(NotTested):
        POSSIBLE(labelled(right=20, ece=...))


def test_one_value_for_all_is_a_violation() -> None:
    with pytest.raises(Violation):
        CONSTANT(labelled(right=20, step=0))
    with pytest.raises(Inconclusive):
        CONSTANT(labelled(right=4, of=5))


def test_certain_nonsense_is_a_violation() -> None:
    with pytest.raises(Violation):
        NONSENSE(labelled(right=20, nonsense=0.99))


def test_moving_with_white_space_is_a_violation() -> None:
    probed = labelled(right=20)
    for spaced in (classification("spaced", "billing", 0.5), classification("spaced", "other", 0.8)):
        with pytest.raises(Violation):
            SPACE(gathered("p", *probed.readings, spaced, notes=probed.notes))
    with pytest.raises(Inconclusive):
        SPACE(gathered("p", *probed.readings, classification("spaced", "billing", None), notes=probed.notes))


def test_calibrated_without_numbers_is_a_violation() -> None:
    assert TOLD(gathered("classified", classification("text_0", "billing", 0.9)))
    for block in ({"ece": ...}, {"ece": 7}, {"ece_samples": ...}, {"ece_samples": 0}):
        with pytest.raises(Violation):
            TOLD(gathered("classified", classification("text_0", "billing", 0.9, **block)))
    with pytest.raises(NotTested):
        TOLD(gathered("classified", classification("text_0", "billing", 0.9, calibrated=False)))


@pytest.mark.parametrize(
    ("n", "share", "successes", "expected"),
    [(1, 0.5, 0, 0.5), (2, 0.5, 1, 0.75), (10, 0.0, 0, 1.0), (10, 1.0, 9, 0.0), (3, 0.2, 3, 1.0)],
)
def test_the_binomial_tail(n: int, share: float, successes: int, expected: float) -> None:
    assert lower_tail(n, share, successes) == pytest.approx(expected)
    assert upper_tail(n, share, successes + 1) == pytest.approx(1 - expected)
