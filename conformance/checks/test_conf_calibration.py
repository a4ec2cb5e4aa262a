"""CONF: whether the confidence means what it says, judged on texts whose category is known."""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

from conformance.calibration import RISK, is_share, least_share, settled
from conformance.chance import lower_tail
from conformance.checks.classifications import (
    classifications,
    confidence_block,
    expect_field,
)
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested

SAMPLE = 20
"""Answers below which chance alone could explain any number of errors."""

SPACE_TOLERANCE = 0.05


@check("CONF-09")
def test_the_confidence_differs_between_texts(classified_labelled: Probed) -> str:
    """Over at least ten different texts the confidence is not one constant."""
    values = [r.body["confidence"] for r in _sure(classified_labelled, "labelled_")]
    if len(values) < 10:
        raise Inconclusive(f"only {len(values)} answers tell a confidence")
    different = len(set(values))
    first = classified_labelled.some("labelled_")[0]
    expect_field(
        first, "/confidence", f"{values[0]} for all {len(values)} texts", different > 1, "various values"
    )
    return f"{different} different values over {len(values)} texts"


@check("CONF-10")
def test_texts_without_meaning_are_less_certain(classified_labelled: Probed) -> str:
    """The median confidence of nonsense is below that of plain requests."""
    clear = [r.body["confidence"] for r in _sure(classified_labelled, "labelled_")]
    unclear = _sure(classified_labelled, "nonsense_")
    if len(clear) < 10 or len(unclear) < 3:
        raise Inconclusive(f"only {len(clear)} plain and {len(unclear)} unclear texts were answered")
    low, high = median(r.body["confidence"] for r in unclear), median(clear)
    expect_field(
        unclear[0], "/confidence", f"a median of {low} for nonsense", low < high, f"less than {high}"
    )
    return f"median {low} for nonsense, {high} for plain requests"


@check("CONF-11")
def test_white_space_does_not_move_the_confidence(classified_labelled: Probed) -> str:
    """The same words with other white space: the same category, the confidence within 0.05."""
    spaced = _told(classified_labelled["spaced"])
    twin = _told(classified_labelled[str(classified_labelled.notes["spaced_twin"])])
    expect_field(
        spaced, "/category", spaced.body.get("category"), spaced.body.get("category") == twin.body.get("category"),
        f"'{twin.body.get('category')}', as with single spaces",
    )  # fmt: skip
    moved = abs(spaced.body["confidence"] - twin.body["confidence"])
    expect_field(
        spaced, "/confidence", spaced.body["confidence"], moved <= SPACE_TOLERANCE,
        f"{twin.body['confidence']} +- {SPACE_TOLERANCE}",
    )  # fmt: skip
    return f"moved by {moved:.4f}"


@check("CONF-12")
def test_the_declared_calibration_error_is_possible(classified_labelled: Probed) -> str:
    """On labelled texts there are not more errors than confidence and declared calibration error leave room for.

    A claim is only refused if what was seen is less probable than 0.001 under it (:mod:`conformance.calibration`).
    Fewer answers than were planned do where the others could not have changed that.
    """
    labels = classified_labelled.notes.get("labels") or {}
    answers = [r for r in _sure(classified_labelled, "labelled_") if r.role in labels]
    declared = next((v for r in answers if is_share(v := confidence_block(r).get("ece"))), None)
    if declared is None:
        raise NotTested("no answer declares a calibration error (metadata.confidence.ece)")
    planned = max(classified_labelled.notes.get("planned", 0), len(answers))
    right = sum(r.body.get("category") == labels[r.role] for r in answers)
    confidences = [r.body["confidence"] for r in answers]
    early = planned >= SAMPLE and settled(confidences, right, declared, planned)
    if len(answers) < SAMPLE and not early:
        raise Inconclusive(f"{len(answers)} labelled answers: fewer than {SAMPLE} decide nothing")
    sure, size = fmean(confidences), planned if early else len(answers)
    least = least_share(confidences, declared, len(answers))
    chance = 1.0 if early else lower_tail(size, least, right)
    told = f"{right} of {len(answers)} right at a mean confidence of {sure:.2f}, declared error {declared}"
    worst = (
        next(r for r in answers if r.body.get("category") != labels[r.role])
        if right < len(answers)
        else answers[0]
    )
    expect_field(
        worst, "/metadata/confidence/ece", f"{told}: probability {chance:.1g}",
        chance >= RISK, f"at least {least:.2f} right on average",
    )  # fmt: skip
    if lower_tail(size, least, 0) >= RISK:
        raise Inconclusive(f"{told}: even no right answer at all would not contradict it")
    return told


@check("CONF-14")
def test_a_calibrated_confidence_tells_its_error(classified: Probed) -> str:
    """`calibrated: true` comes with `ece` from 0 to 1 and the number of texts it was measured on."""
    judged = [r for r in classifications(classified) if confidence_block(r).get("calibrated") is True]
    if not judged:
        raise NotTested("no answer says that its confidence is calibrated")
    for reading in judged:
        block: dict[str, Any] = confidence_block(reading)
        error, samples = block.get("ece"), block.get("ece_samples")
        expect_field(reading, "/metadata/confidence/ece", error, is_share(error), "a number from 0 to 1")
        expect_field(
            reading, "/metadata/confidence/ece_samples", samples, type(samples) is int and samples > 0,
            "a positive integer",
        )  # fmt: skip
    return f"{len(judged)} answers tell it"


def _sure(probe: Probed, prefix: str) -> list[Reading]:
    """Answers that tell a confidence."""
    return [r for r in classifications(probe, prefix) if is_share(r.body.get("confidence"))]


def _told(reading: Reading) -> Reading:
    if not reading.ok or not isinstance(reading.body, dict) or not is_share(reading.body.get("confidence")):
        raise Inconclusive(f"'{reading.role}' was answered without a confidence ({reading.exchange.id})")
    return reading
