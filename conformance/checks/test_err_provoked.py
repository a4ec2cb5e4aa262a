"""ERR: the failures peculiar to AI: too long a prompt, filtered content, a slow model, a failing tool."""

from __future__ import annotations

from conformance.checks.sameness import error_status
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

TIMEOUT_TOLERANCE = 2.0
"""Seconds beyond the timeout that an answer tells of itself."""


@check("ERR-03")
def test_too_long_a_prompt_is_refused_with_its_numbers(context_window: Probed) -> str:
    """400 CONTEXT_LENGTH_EXCEEDED with `input_tokens` > `max_tokens` and a suggestion."""
    reading = context_window["overflow"]
    error_status(reading, 400, "CONTEXT_LENGTH_EXCEEDED", "a prompt of 1.2 times the window")
    size, limit = _sizes(reading)
    suggestion = reading.error.details.get("suggestion")
    _expect(
        reading, "suggestion", suggestion, isinstance(suggestion, str) and suggestion != "", "a suggestion"
    )
    return f"{size} tokens refused, {limit} allowed"


@check("ERR-04")
def test_the_published_window_is_the_real_one(context_window: Probed) -> str:
    """One token more than the published window is refused; input and output that just fit are accepted."""
    window = context_window.notes.get("window")
    over, under = context_window["just_over"], context_window["just_under"]
    if over.ok:
        counted = over.facts["usage.input"].value
        if not isinstance(counted, int) or counted <= int(window or 0):
            raise Inconclusive(f"the prompt just over the window was counted as {counted} tokens")
        expect(
            False,
            expected=f"a refusal above the window of {window} tokens",
            seen=f"{counted} accepted",
            at=over,
        )
    error_status(over, 400, "CONTEXT_LENGTH_EXCEEDED", "one token more than the published window")
    if over.error.details.get("input_tokens") != int(window or 0) + 1:
        raise Inconclusive("the prompt could not be cut to the token, so the edge was not met")
    expect(
        under.ok,
        expected=f"input and output that fit into the window of {window} tokens are accepted",
        seen=f"{under.status} {under.error.code}",
        at=under,
    )
    return f"the window of {window} tokens is exact"


@check("ERR-21")
def test_too_long_a_prompt_is_a_recognisable_client_error(context_window: Probed, baseline: Probed) -> str:
    """A prompt beyond the window is a 4xx that says so by code, not a cut prompt and not a server fault."""
    reading = context_window["overflow"]
    if reading.status in (401, 403, 429, 503, 529):
        raise Inconclusive(f"refused with {reading.status}, which is not about the length")
    if (reading.status or 0) >= 500 and not baseline["chat"].ok:
        raise Inconclusive(f"the plain request was answered {baseline['chat'].status} as well")
    expect(
        reading.status in (400, 413, 422) and reading.error.code == "CONTEXT_LENGTH_EXCEEDED",
        expected="400 (or 413, 422), recognisable as a context overflow",
        seen=f"status {reading.status}, code {reading.error.raw_code.value}",
        at=reading,
        where=reading.error.raw_code.where,
    )
    return f"{reading.status} {reading.error.raw_code.value or reading.error.type.value or ''}".strip()


@check("ERR-22")
def test_a_context_overflow_tells_size_and_limit(context_window: Probed) -> str:
    """The refusal tells how long the prompt is and how long it may be."""
    reading = context_window["overflow"]
    if reading.error.code != "CONTEXT_LENGTH_EXCEEDED":
        raise Inconclusive("the overflow was not recognisable as one (see ERR-21)")
    size, limit = _sizes(reading)
    return f"{size} tokens, {limit} allowed"


@check("ERR-05")
def test_a_filtered_prompt_is_refused_as_such(provoked_errors: Probed) -> str:
    """400 CONTENT_FILTER_TRIGGERED with stage and categories, and no generated text."""
    reading = provoked_errors["content_filter_input"]
    error_status(reading, 400, "CONTENT_FILTER_TRIGGERED", "a filtered prompt")
    details = reading.error.details
    _expect(reading, "stage", details.get("stage"), details.get("stage") == "input", "input")
    categories = details.get("categories")
    named = isinstance(categories, list) and bool(categories) and all(isinstance(c, str) for c in categories)
    _expect(reading, "categories", categories, named, "a non-empty list of names")
    expect(not reading.facts["text"], expected="no generated text", seen="some", at=reading)
    return f"refused: {', '.join(categories or [])}"


@check("ERR-23")
def test_a_filtered_prompt_does_not_look_like_success(provoked_errors: Probed) -> str:
    """A 4xx with the filter's code, or a finish reason that says so."""
    reading = provoked_errors["content_filter_input"]
    by_error = reading.error.code == "CONTENT_FILTER_TRIGGERED" and 400 <= (reading.status or 0) < 500
    by_reason = reading.ok and reading.facts["finish_reason"].value == "content_filter"
    expect(
        by_error or by_reason,
        expected="a 4xx error of the content filter, or the finish reason content_filter",
        seen=f"status {reading.status}, code {reading.error.raw_code.value}, "
        f"finish reason {reading.facts['finish_reason'].value}",
        at=reading,
    )
    return "visible as an error" if by_error else "visible by its finish reason"


@check("ERR-06")
def test_filtered_output_ends_with_that_reason(provoked_errors: Probed) -> str:
    """200 with the finish reason `content_filter` (or 400 with stage output), in JSON and in a stream."""
    plain = provoked_errors["content_filter_output"]
    _filtered_output(plain, str(plain.facts["finish_reason"].value))
    if provoked_errors.get("content_filter_output.stream") is None:
        return "the JSON answer says content_filter"
    stream = provoked_errors["content_filter_output.stream"]
    _filtered_output(stream, str(stream.stream.finish_reason) if stream.exchange.is_sse else "")
    return "the JSON answer and the stream say content_filter"


@check("ERR-07")
def test_a_model_timeout_is_504_with_its_times(provoked_errors: Probed) -> str:
    """504 MODEL_TIMEOUT with `timeout_ms` and `elapsed_ms`, and in time."""
    reading = provoked_errors["model_timeout"]
    error_status(reading, 504, "MODEL_TIMEOUT", "a model that is too slow")
    times = {}
    for name in ("timeout_ms", "elapsed_ms"):
        value = reading.error.details.get(name)
        _expect(reading, name, value, _is_count(value), "milliseconds as an integer")
        times[name] = int(value or 0)
    took = reading.exchange.t_end or 0.0
    expect(
        took <= times["timeout_ms"] / 1000 + TIMEOUT_TOLERANCE + reading.exchange.lag,
        expected=f"an answer within the timeout of {times['timeout_ms']} ms and {TIMEOUT_TOLERANCE:g} s",
        seen=f"{took:.1f} s",
        at=reading,
    )
    return f"504 after {took:.1f} s, timeout {times['timeout_ms']} ms"


@check("ERR-08")
def test_insufficient_confidence_is_final(classify_thresholds: Probed) -> str:
    """INSUFFICIENT_CONFIDENCE invites no retry: no retryable mark, no Retry-After."""
    refused = [
        r for r in classify_thresholds.some("at_") if r.error.code == "INSUFFICIENT_CONFIDENCE" and not r.ok
    ]
    if not refused:
        raise NotTested("no threshold led to INSUFFICIENT_CONFIDENCE (see CONF-06)")
    for reading in refused:
        expect(reading.status == 422, expected="status 422", seen=f"status {reading.status}", at=reading)
        told, wait = reading.error.retryable.value, reading.header("Retry-After")
        expect(told is False, expected="retryable: false", seen=told, at=reading, where="/error/retryable")
        expect(
            wait is None, expected="no Retry-After", seen=str(wait), at=reading, where="header Retry-After"
        )
    return f"{len(refused)} refusals, all final"


@check("ERR-09")
def test_a_failing_tool_is_424_and_says_what_it_left_behind(provoked_errors: Probed) -> str:
    """424 TOOL_EXECUTION_FAILED names tool and call, and tells of retries and side effects."""
    reading = provoked_errors["tool_failure"]
    error_status(reading, 424, "TOOL_EXECUTION_FAILED", "a failing tool")
    details = reading.error.details
    for name in ("tool", "tool_call_id"):
        value = details.get(name)
        _expect(reading, name, value, isinstance(value, str) and value != "", "a non-empty text")
    _expect(
        reading,
        "retryable",
        details.get("retryable"),
        isinstance(details.get("retryable"), bool),
        "a boolean",
    )
    _expect(
        reading,
        "side_effects",
        details.get("side_effects"),
        details.get("side_effects") is not None,
        "a value",
    )
    return f"424, tool {details['tool']}"


@check("ERR-24")
def test_an_outage_is_503_of_its_own_code(provoked_errors: Probed) -> str:
    """503 SERVICE_UNAVAILABLE, retryable, with Retry-After: neither a defect nor the caller's fault."""
    reading = provoked_errors["unavailable"]
    if reading.status in (429, 529) or reading.error.code == "MODEL_OVERLOADED":
        raise Inconclusive(f"answered {reading.status} {reading.error.code}, which may be true as well")
    expect(
        reading.status == 503 and reading.error.code == "SERVICE_UNAVAILABLE",
        expected="503 SERVICE_UNAVAILABLE",
        seen=f"{reading.status} {reading.error.code or ''}".strip(),
        at=reading,
        where="/error/code",
    )
    retryable = reading.error.retryable
    expect(
        retryable.value is True,
        expected="retryable true",
        seen=str(retryable.value),
        at=reading,
        where=retryable.where or "/error/retryable",
    )
    wait = reading.header("Retry-After")
    expect(wait, expected="Retry-After on the 503", seen="none", at=reading, where="header Retry-After")
    return f"503 with Retry-After: {wait}"


def _sizes(reading: Reading) -> tuple[int, int]:
    size, limit = (reading.error.details.get(n) for n in ("input_tokens", "max_tokens"))
    _expect(reading, "input_tokens", size, _is_count(size), "the prompt's size as an integer")
    _expect(reading, "max_tokens", limit, _is_count(limit), "the limit as an integer")
    sizes = int(size or 0), int(limit or 0)
    _expect(reading, "input_tokens", sizes[0], sizes[0] > sizes[1], f"more than max_tokens {sizes[1]}")
    return sizes


def _filtered_output(reading: Reading, reason: str) -> None:
    refused = reading.status == 400 and reading.error.details.get("stage") == "output"
    expect(
        refused or (reading.ok and reason == "content_filter"),
        expected="the finish reason content_filter (or 400 with stage output)",
        seen=f"status {reading.status}, finish reason {reason}",
        at=reading,
        where="/finish_reason",
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _expect(reading: Reading, detail: str, seen: object, good: bool, expected: str) -> None:
    where = f"/error/details/{detail}"
    expect(
        good,
        expected=f"{detail}: {expected}",
        seen="absent" if seen is None else seen,
        at=reading,
        where=where,
    )
