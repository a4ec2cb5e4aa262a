"""CONF: a confidence that can be acted upon."""

from __future__ import annotations

from conformance.calibration import is_share
from conformance.checks.classifications import (
    alternatives,
    classifications,
    confidence_block,
    expect_field,
)
from conformance.checks.sameness import error_status
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested

ROUNDING = 1e-6
COUNTED_METHODS = ("classifier", "softmax", "logprob")


@check("CONF-01")
def test_confidence_is_a_number_from_0_to_1(classified: Probed) -> str:
    """`confidence` is in [0, 1], or null with the reason."""
    values = []
    for reading in classifications(classified):
        value = reading.body.get("confidence")
        if value is None and reading.body.get("confidence_unavailable_reason"):
            continue
        expect_field(reading, "/confidence", value, is_share(value), "a number from 0 to 1")
        values.append(value)
    return f"{len(values)} values from {min(values)} to {max(values)}" if values else "null, with a reason"


@check("CONF-02")
def test_alternatives_are_sorted_and_below_the_choice(classified: Probed) -> str:
    """Descending, none above the chosen one, and none of them the chosen one."""
    count = 0
    for reading in classifications(classified):
        chosen, confidence = reading.body.get("category"), reading.body.get("confidence")
        listed = alternatives(reading)
        values, labels = [a["confidence"] for a in listed], [a.get("category") for a in listed]
        count += len(listed)
        expect_field(
            reading, "/alternatives", values, values == sorted(values, reverse=True), "confidences descending"
        )
        unique = len(set(map(str, labels))) == len(labels) and chosen not in labels
        expect_field(
            reading,
            "/alternatives",
            labels,
            unique,
            f"each other category once, without the chosen '{chosen}'",
        )
        if values and is_share(confidence):
            expect_field(
                reading, "/alternatives/0/confidence", values[0], values[0] <= confidence, f"<= {confidence}"
            )
    return f"{count} alternatives in order"


@check("CONF-03")
def test_confidences_of_a_classifier_add_up_to_at_most_1(classified: Probed) -> str:
    """Chosen and alternatives are shares of one whole."""
    judged = [
        r
        for r in classifications(classified)
        if confidence_block(r).get("method") in COUNTED_METHODS and is_share(r.body.get("confidence"))
    ]
    if not judged:
        raise NotTested("no answer names a method whose values are shares of one whole")
    for reading in judged:
        total = reading.body["confidence"] + sum(a["confidence"] for a in alternatives(reading))
        expect_field(
            reading, "/alternatives", f"a sum of {total}", total <= 1 + ROUNDING, "a sum of at most 1"
        )
    return f"{len(judged)} answers add up to at most 1"


@check("CONF-04")
def test_review_is_demanded_exactly_below_the_threshold(
    classified: Probed, classify_thresholds: Probed, classified_labelled: Probed
) -> str:
    """`requires_human_review` is true below the disclosed threshold, false from it on."""
    flags = []
    more = [*classify_thresholds.all(), *classified_labelled.all()]
    more = [r for r in more if r.exchange.operation == "classify" and r.ok and isinstance(r.body, dict)]
    for reading in (*classifications(classified), *more):
        flag, threshold = (
            reading.body.get("requires_human_review"),
            confidence_block(reading).get("threshold"),
        )
        expect_field(reading, "/requires_human_review", flag, isinstance(flag, bool), "a boolean")
        confidence = reading.body.get("confidence")
        flags.append(flag)
        if not (is_share(threshold) and is_share(confidence)) or reading.body.get("review_reasons"):
            continue
        expect_field(
            reading,
            "/requires_human_review",
            flag,
            flag is (confidence < threshold),
            f"{confidence < threshold}: confidence {confidence}, threshold {threshold}",
        )
    return f"{flags.count(True)} of {len(flags)} answers ask for review, as their threshold says"


@check("CONF-05")
def test_the_threshold_of_the_flag_is_disclosed(classified: Probed) -> str:
    """`metadata.confidence.threshold` is the number that decides."""
    for reading in classifications(classified):
        value = confidence_block(reading).get("threshold")
        expect_field(
            reading, "/metadata/confidence/threshold", value, is_share(value), "a number from 0 to 1"
        )
    return "every answer discloses its threshold"


@check("CONF-06")
def test_too_little_confidence_is_refused(classify_thresholds: Probed) -> str:
    """`min_confidence` above what was obtained: 422 with confidence, threshold and the best candidate."""
    reading = classify_thresholds["at_0.999"]
    obtained = reading.body.get("confidence") if reading.ok and isinstance(reading.body, dict) else None
    if is_share(obtained) and obtained >= 0.999:
        raise Inconclusive(f"the engine is {obtained} sure of an ambiguous text")
    error_status(reading, 422, "INSUFFICIENT_CONFIDENCE", "min_confidence above the confidence obtained")
    details = reading.error.details
    for name in ("confidence", "threshold"):
        value = details.get(name)
        expect_field(reading, f"/error/details/{name}", value, is_share(value), "a number from 0 to 1")
    expect_field(
        reading,
        "/error/details/threshold",
        details["threshold"],
        details["threshold"] == 0.999,
        "0.999, as asked",
    )
    best = details.get("best_candidate")
    expect_field(reading, "/error/details/best_candidate", best, bool(best), "the best candidate")
    return f"refused with {details['confidence']} below 0.999"


@check("CONF-07")
def test_each_threshold_is_applied_as_given(classify_thresholds: Probed) -> str:
    """Never an answer below `min_confidence`, never a refusal at or above it, and none at 0."""
    answers = classify_thresholds.some("at_")
    judged = 0
    for reading in answers:
        asked = reading.exchange.params.get("min_confidence")
        if not isinstance(asked, int | float):
            continue
        if reading.ok:
            value = reading.body.get("confidence") if isinstance(reading.body, dict) else None
            if is_share(value):
                judged += 1
                expect_field(reading, "/confidence", value, value >= asked, f">= the asked {asked}")
        elif reading.error.code == "INSUFFICIENT_CONFIDENCE":
            judged += 1
            value = reading.error.details.get("confidence")
            expect_field(
                reading, "/error/code", f"INSUFFICIENT_CONFIDENCE at {asked}", asked > 0, "no refusal at 0"
            )
            expect_field(
                reading,
                "/error/details/confidence",
                value,
                is_share(value) and value < asked,
                f"< the asked {asked}",
            )
    if not judged:
        raise Inconclusive("no answer tells a confidence")
    return f"{judged} thresholds applied"


@check("CONF-08")
def test_an_impossible_threshold_is_refused(classify_invalid_thresholds: Probed) -> str:
    """`min_confidence` outside [0, 1] or of another type: 400."""
    readings = classify_invalid_thresholds.some("invalid_")
    for reading in readings:
        error_status(
            reading, 400, "INVALID_REQUEST", f"min_confidence {reading.exchange.params['min_confidence']}"
        )
    return f"{len(readings)} impossible thresholds refused"


@check("CONF-13")
def test_the_method_behind_the_confidence_is_named(classified: Probed) -> str:
    """`metadata.confidence.method` and `calibrated` say what the number means."""
    methods: set[str] = set()
    for reading in classifications(classified):
        block = confidence_block(reading)
        method, calibrated = block.get("method"), block.get("calibrated")
        expect_field(
            reading,
            "/metadata/confidence/method",
            method,
            isinstance(method, str) and method != "",
            "a method",
        )
        expect_field(
            reading,
            "/metadata/confidence/calibrated",
            calibrated,
            isinstance(calibrated, bool),
            "true or false",
        )
        methods.add(str(method))
    return f"method {', '.join(sorted(methods))}"
