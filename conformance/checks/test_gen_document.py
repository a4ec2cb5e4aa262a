"""GEN: what Schemathesis found with the API's own document, given by the tester.

Such a document may be wrong where the API is right. So a contradiction is told as one, between the two.
"""

from __future__ import annotations

from collections.abc import Callable

from conformance.checks.test_gen import _ACCEPTED, _CALLED_INVALID, _CRASH, _REFUSED, _UNDECLARED
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, fail

_PASSING = {502, 503, 504, 529}
"""Statuses of a gateway or of load: any other request gets them too at that time."""


def _none_of(
    described: Probed,
    kinds: set[str],
    expected: str,
    counts: Callable[[Reading], bool],
    of: str = "",
) -> str:
    answers = described.some(of)
    judged = described.notes["findings"]
    readings = {r.exchange.id: r for r in described}
    unreadable = [f for f in judged if f["kind"] == "Unreadable"]
    for finding in judged:
        reading = readings[finding["exchange"]]
        if finding["kind"] in kinds and counts(reading):
            fail(expected=expected, seen=finding["message"], at=reading)
    if described.record.outcome == "stopped":
        raise NotTested(
            f"{len(answers)} generated requests broke nothing, and then {described.record.reason}"
        )
    if unreadable:
        raise NotTested(f"the document cannot be applied to an answer: {unreadable[0]['message']}")
    return f"{len(answers)} requests generated from the document"


@check("GEN-05")
def test_no_request_from_the_document_makes_the_server_fail(described: Probed) -> str:
    """No status of 500 or above, but those that tell of a gateway or of load."""
    return _none_of(described, _CRASH, "a 4xx, or an answer", lambda r: r.status not in _PASSING)


@check("GEN-06")
def test_what_the_document_forbids_is_not_answered(described: Probed) -> str:
    """API and document agree on what is invalid."""
    expected = "API and document agree on what is invalid: one of the two is wrong here"
    return _none_of(described, _ACCEPTED, expected, lambda r: r.ok, "invalid")


@check("GEN-07")
def test_good_answers_are_as_the_document_describes_them(described: Probed) -> str:
    """Status, media type, headers and body; an error that the document leaves out is a gap in it."""
    expected = "API and document agree on good answers: one of the two is wrong here"
    detail = _none_of(described, _UNDECLARED, expected, lambda r: r.ok)
    if not any(r.ok for r in described):
        raise Inconclusive("no generated request got a good answer to compare")
    gaps = {f["exchange"] for f in described.notes["findings"] if f["kind"] in _UNDECLARED}
    statuses = ", ".join(sorted({str(r.status) for r in described if r.exchange.id in gaps}))
    return detail + (f"; the document does not describe these errors as they are: {statuses}" if gaps else "")


@check("GEN-08")
def test_what_the_document_allows_is_not_refused_as_invalid(described: Probed) -> str:
    """API and document agree on what is valid."""
    expected = "API and document agree on what is valid: one of the two is wrong here"
    return _none_of(described, _REFUSED, expected, _called_invalid, "valid")


def _called_invalid(reading: Reading) -> bool:
    return reading.status in (400, 422) and reading.error.code in (None, *_CALLED_INVALID)
