"""GEN: what Schemathesis found with requests generated from the description."""

from __future__ import annotations

from collections.abc import Callable

from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, fail

_CRASH = {"ServerError"}
_ACCEPTED = {"AcceptedNegativeData", "MissingHeaderNotRejected"}
_UNDECLARED = {
    "UndefinedStatusCode",
    "UndefinedContentType",
    "MissingContentType",
    "MalformedMediaType",
    "MissingHeaders",
    "JsonSchemaError",
    "MalformedJson",
    "ContentDeserializationError",
}
_REFUSED = {"RejectedPositiveData"}
_CALLED_INVALID = {"INVALID_REQUEST", "INVALID_JSON"}


def _none_of(
    generated: Probed,
    kinds: set[str],
    expected: str,
    counts: Callable[[Reading | None], bool] = lambda _: True,
) -> str:
    answers = generated.some()
    readings = {r.exchange.id: r for r in generated}
    named = [f for f in generated.notes.get("findings", ()) if f["kind"] in kinds]
    found = [f for f in named if counts(readings.get(f["exchange"]))]
    if found:
        first = found[0]
        reading = readings.get(first["exchange"])
        fail(expected=expected, seen=f"{len(found)} of {len(answers)}: {first['message']}", at=reading)
    if "findings" not in generated.notes:
        raise Inconclusive("the probe ended before Schemathesis had judged the answers")
    return f"{len(answers)} generated requests"


@check("GEN-01")
def test_no_generated_request_makes_the_server_fail(generated: Probed) -> str:
    """No status of 500 or above."""
    return _none_of(generated, _CRASH, "no server error on any generated request")


@check("GEN-02")
def test_generated_invalid_requests_are_refused(generated: Probed) -> str:
    """No 2xx for a request that breaks the schema."""
    return _none_of(generated, _ACCEPTED, "4xx for every request that breaks the published schema")


@check("GEN-03")
def test_generated_requests_get_declared_answers(generated: Probed) -> str:
    """Status, media type, headers and body as declared."""
    return _none_of(generated, _UNDECLARED, "every answer as the description declares it")


@check("GEN-04")
def test_generated_valid_requests_are_not_called_invalid(generated: Probed) -> str:
    """No INVALID_REQUEST for what the schema allows."""
    return _none_of(generated, _REFUSED, "valid requests are not refused as invalid", _is_called_invalid)


def _is_called_invalid(reading: Reading | None) -> bool:
    """A code of its own, such as that of two keys that contradict each other, is what the fix asks for."""
    return reading is None or reading.error.code is None or reading.error.code in _CALLED_INVALID
