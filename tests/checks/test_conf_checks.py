"""Each CONF check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_conf as conf
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

BODY: dict[str, Any] = {
    "category": "billing",
    "confidence": 0.7,
    "alternatives": [{"category": "technical", "confidence": 0.2}, {"category": "other", "confidence": 0.1}],
    "requires_human_review": True,
    "metadata": {"confidence": {"method": "classifier", "calibrated": False, "threshold": 0.8}},
}


def classified(**changed: Any) -> Probed:
    return gathered("classified", answer(BODY | changed, role="text_0", operation="classify"))


def block(**changed: Any) -> dict[str, Any]:
    return {"confidence": BODY["metadata"]["confidence"] | changed}


def at(
    asked: Any, confidence: float | None = None, role: str = "at", details: Any = None, **more: Any
) -> Reading:
    """One answer of a sweep: 200 with a confidence, or 422 with details."""
    params = {"min_confidence": asked}
    role = f"{role}_{asked}"
    if confidence is not None:
        return answer(BODY | {"confidence": confidence}, role=role, operation="classify", params=params)
    error = {
        "code": "INSUFFICIENT_CONFIDENCE",
        "message": "Not sure.",
        "details": details or {},
        "retryable": False,
    }
    return answer({"error": error | more}, status=422, role=role, operation="classify", params=params)


def refused(asked: float, confidence: float = 0.4) -> Reading:
    details = {"confidence": confidence, "threshold": asked, "best_candidate": {"category": "other"}}
    return at(asked, details=details)


def sweep(*readings: Reading) -> Probed:
    return gathered("classify_thresholds", *readings)


def invalid(status: int, code: str) -> Probed:
    reading = answer(
        {"error": {"code": code, "message": "No.", "details": {}}},
        status=status,
        role="invalid_1.5",
        operation="classify",
        params={"min_confidence": 1.5},
    )
    return gathered("classify_invalid_thresholds", reading)


def flags(evidence: Probed) -> str | None:
    """The verdict on texts of one probe, beside a clear one and none that was sent with a threshold."""
    nothing = gathered("classify_thresholds")
    if evidence.record.name == "classified":
        return conf.test_review_is_demanded_exactly_below_the_threshold(evidence, nothing, nothing)
    return conf.test_review_is_demanded_exactly_below_the_threshold(classified(), nothing, evidence)


def nonsense(**changed: Any) -> Probed:
    return gathered("classified_labelled", answer(BODY | changed, role="nonsense_0", operation="classify"))


NUMBER, ORDER, SUM, FLAG, DISCLOSED, TOO_LITTLE, APPLIED, IMPOSSIBLE, METHOD = (
    conf.test_confidence_is_a_number_from_0_to_1,
    conf.test_alternatives_are_sorted_and_below_the_choice,
    conf.test_confidences_of_a_classifier_add_up_to_at_most_1,
    flags,
    conf.test_the_threshold_of_the_flag_is_disclosed,
    conf.test_too_little_confidence_is_refused,
    conf.test_each_threshold_is_applied_as_given,
    conf.test_an_impossible_threshold_is_refused,
    conf.test_the_method_behind_the_confidence_is_named,
)
GOOD: list[tuple[Any, Probed]] = [
    *((c, classified()) for c in (NUMBER, ORDER, SUM, FLAG, DISCLOSED, METHOD)),
    (NUMBER, classified(confidence=None, confidence_unavailable_reason="no logprobs")),
    (FLAG, classified(confidence=0.8, requires_human_review=False)),
    (FLAG, classified(confidence=0.9, requires_human_review=True, review_reasons=["new customer"])),
    (FLAG, nonsense(confidence=0.3, requires_human_review=True)),
    (TOO_LITTLE, sweep(refused(0.999))),
    (APPLIED, sweep(at(0, 0.4), at(0.2, 0.4), refused(0.5), refused(0.95))),
    (IMPOSSIBLE, invalid(400, "INVALID_REQUEST")),
]
BAD = {
    "percent": (NUMBER, classified(confidence=70)),
    "missing": (NUMBER, classified(confidence=None)),
    "a text": (NUMBER, classified(confidence="0.7")),
    "ascending": (ORDER, classified(alternatives=BODY["alternatives"][::-1])),
    "above the choice": (ORDER, classified(confidence=0.15)),
    "the choice again": (ORDER, classified(alternatives=[{"category": "billing", "confidence": 0.1}])),
    "twice": (ORDER, classified(alternatives=[BODY["alternatives"][0]] * 2)),
    "no list": (ORDER, classified(alternatives=None)),
    "independent scores": (SUM, classified(confidence=0.9)),
    "constant flag": (FLAG, classified(confidence=0.9, requires_human_review=True)),
    "never a flag": (FLAG, nonsense(confidence=0.3, requires_human_review=False)),
    "no flag": (FLAG, classified(requires_human_review="no")),
    "hidden threshold": (DISCLOSED, classified(metadata=block(threshold=None))),
    "200 below the threshold": (TOO_LITTLE, sweep(at(0.999, 0.4))),
    "no candidate": (TOO_LITTLE, sweep(at(0.999, details={"confidence": 0.4, "threshold": 0.999}))),
    "other threshold": (
        TOO_LITTLE,
        sweep(at(0.999, details={"confidence": 0.4, "threshold": 0.5, "best_candidate": "x"})),
    ),
    "answer below": (APPLIED, sweep(at(0.5, 0.4))),
    "refusal above": (APPLIED, sweep(refused(0.5, confidence=0.6))),
    "refusal at 0": (APPLIED, sweep(refused(0))),
    "clamped": (IMPOSSIBLE, gathered("p", at(1.5, 0.4, role="invalid"))),
    "422": (IMPOSSIBLE, invalid(422, "INVALID_REQUEST")),
    "no method": (METHOD, classified(metadata=block(method=""))),
    "not said whether calibrated": (METHOD, classified(metadata=block(calibrated=None))),
}


@pytest.mark.parametrize(("check", "evidence"), GOOD)
def test_an_honest_server_passes(check: Any, evidence: Probed) -> None:
    assert check(evidence)


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Probed) -> None:
    with pytest.raises(Violation):
        check(evidence)


def test_an_engine_that_is_sure_of_everything_decides_nothing() -> None:
    with pytest.raises(Inconclusive):
        TOO_LITTLE(sweep(at(0.999, 1.0)))


def test_scores_of_another_method_need_not_add_up() -> None:
    with pytest.raises(NotTested):
        SUM(classified(confidence=0.9, metadata=block(method="verbalized")))


def test_without_an_answer_nothing_is_judged() -> None:
    with pytest.raises(Inconclusive):
        NUMBER(gathered("classified", answer({}, status=503, role="text_0", operation="classify")))
