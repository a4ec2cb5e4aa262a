"""RATE: what an answer of 429 tells."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from conformance.checks.limit_fields import limited_operations, too_many
from conformance.evidence import NOT_JSON
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import NotTested, expect, fail

NO_429 = "no 429 was seen in {} answers"
ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


@check("RATE-02")
def test_every_429_has_retry_after(exchanges: tuple[Reading, ...]) -> str:
    """Without Retry-After a client can only guess, and guesses at 0.4 s."""
    refused = _waitable(exchanges)
    for reading in refused:
        expect(
            reading.header("Retry-After") is not None,
            expected="a Retry-After header on the 429",
            seen="none",
            at=reading,
            where="header Retry-After",
        )
    return f"{len(refused)} answers of 429, each with Retry-After"


@check("RATE-03")
def test_retry_after_is_a_valid_wait(exchanges: tuple[Reading, ...]) -> str:
    """Whole seconds of at least 1, or an HTTP-date in the future; SDKs ignore 0 and fractions."""
    values = _retry_afters(exchanges)
    for reading, value in values:
        good = int(value) >= 1 if re.fullmatch(r"[0-9]{1,9}", value) else _is_later_date(value, reading)
        expect(
            good,
            expected="whole seconds >= 1, or an HTTP-date in the future",
            seen=value,
            at=reading,
            where="header Retry-After",
        )
    return f"{len(values)} values: {', '.join(sorted({v for _, v in values})[:5])}"


@check("RATE-23")
def test_retry_after_is_delta_seconds(exchanges: tuple[Reading, ...]) -> str:
    """The contract's form is delta-seconds: a date depends on two clocks."""
    values = _retry_afters(exchanges)
    for reading, value in values:
        good = re.fullmatch(r"[0-9]{1,9}", value) and int(value) >= 1
        expect(good, expected="delta-seconds >= 1", seen=value, at=reading, where="header Retry-After")
    return f"{len(values)} values, all delta-seconds"


@check("RATE-06")
def test_a_429_explains_which_limit_was_hit(exchanges: tuple[Reading, ...]) -> str:
    """Details name policy, unit, limit, rest, window, tier and wait, and suggest what to do."""
    refused = _refused(exchanges)
    texts, numbers = (
        ("policy", "unit", "tier", "suggestion"),
        ("limit", "window_seconds", "retry_after_seconds"),
    )
    for reading in refused:
        details = reading.error.details
        for name in texts:
            value = details.get(name)
            _detail(reading, name, value, isinstance(value, str) and value != "", "a non-empty text")
        for name in numbers:
            # What is limited at the same time has no window.
            endless = name == "window_seconds" and details.get("unit") == "concurrent-requests"
            good = _is_number(details.get(name)) or (endless and details.get(name) is None)
            _detail(reading, name, details.get(name), good, "a number >= 0")
        rest = details.get("remaining", details.get("used"))
        _detail(reading, "remaining", rest, _is_number(rest), "a number >= 0 (or 'used')")
    return f"{len(refused)} answers of 429 explain themselves"


@check("RATE-11")
def test_a_long_wait_tells_sdks_not_to_sleep(exchanges: tuple[Reading, ...]) -> str:
    """Beyond 60 seconds `x-should-retry: false` keeps SDKs from sleeping in the request."""
    long = [(r, v) for r, v in _retry_afters(exchanges) if v.isdigit() and int(v) > 60]
    if not long:
        raise NotTested("no 429 asked to wait for more than 60 seconds")
    for reading, value in long:
        expect(
            (reading.header("x-should-retry") or "").strip().lower() == "false",
            expected=f"x-should-retry: false beside Retry-After: {value}",
            seen=str(reading.header("x-should-retry")),
            at=reading,
            where="header x-should-retry",
        )
    return f"{len(long)} long waits marked"


@check("RATE-20")
def test_overload_is_not_reported_as_a_quota(provoked_errors: Probed, exchanges: tuple[Reading, ...]) -> str:
    """Overload is 503 MODEL_OVERLOADED with Retry-After: the caller's quota is not the cause."""
    refused = [r for r in provoked_errors.all("overloaded!429") if r.status == 429]
    # Refused again after the wait, where no other call of this principal is: the overload itself is meant.
    if len(refused) > 1 and not _limited_elsewhere(refused[0], exchanges):
        fail(
            expected="503 MODEL_OVERLOADED",
            seen=f"429 {refused[-1].error.code}, though no other call was limited",
            at=refused[-1],
            where="/error/code",
        )
    overloaded = provoked_errors["overloaded"]
    expect(
        overloaded.status == 503 and overloaded.error.code == "MODEL_OVERLOADED",
        expected="503 MODEL_OVERLOADED",
        seen=f"{overloaded.status} {overloaded.error.code}",
        at=overloaded,
        where="/error/code",
    )
    wait = overloaded.header("Retry-After")
    expect(wait, expected="Retry-After on the 503", seen="none", at=overloaded, where="header Retry-After")
    return f"503 with Retry-After: {wait}"


@check("RATE-26")
def test_a_429_body_says_by_code_what_happened(exchanges: tuple[Reading, ...]) -> str:
    """The body of a 429 is a JSON error with a code or type and a message."""
    # An answer to HEAD has no body (RFC 9110 section 9.3.2).
    refused = _refused(tuple(r for r in exchanges if r.exchange.sent.method != "HEAD"))
    for reading in refused:
        error = reading.error
        expect(
            reading.exchange.json is not NOT_JSON
            and (error.raw_code or error.type or error.code)
            and error.message,
            expected="a JSON error with a code or type, and a message",
            seen=reading.exchange.content[:120].decode("utf-8", "replace") or "an empty body",
            at=reading,
        )
    return f"{len(refused)} answers of 429 with code and message"


def _limited_elsewhere(refused: Reading, exchanges: tuple[Reading, ...]) -> bool:
    return any(
        r.exchange.principal == refused.exchange.principal and not r.role.startswith("overloaded")
        for r in too_many(exchanges)
    )


def _refused(exchanges: tuple[Reading, ...]) -> list[Reading]:
    refused = too_many(exchanges)
    if not refused:
        raise NotTested(NO_429.format(len(limited_operations(exchanges))))
    return refused


def _waitable(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """The 429 answers that waiting helps against: neither a vendor's account without money, nor one prompt that is
    larger than the whole limit, which a server marks as not retryable."""
    found = [r for r in _refused(exchanges) if not (_is_about_money(r) or _can_never_fit(r))]
    if not found:
        raise NotTested("each 429 is about something that no waiting cures")
    return found


def _is_about_money(reading: Reading) -> bool:
    if reading.dialect.name == "contract":
        return False  # there a budget is one of a window, which waiting renews
    return reading.error.code == "BUDGET_EXCEEDED" or str(reading.error.raw_code.value) in ACCOUNT_CODES


def _can_never_fit(reading: Reading) -> bool:
    return reading.error.code == "TOKEN_LIMIT_EXCEEDED" and reading.error.retryable.value is False


def _retry_afters(exchanges: tuple[Reading, ...]) -> list[tuple[Reading, str]]:
    values = [(r, v.strip()) for r in _refused(exchanges) if (v := r.header("Retry-After")) is not None]
    if not values:
        raise NotTested("no 429 has a Retry-After (see RATE-02)")
    return values


def _is_later_date(value: str, reading: Reading) -> bool:
    date = reading.header("Date")
    try:
        answered = (
            parsedate_to_datetime(date) if date else datetime.fromtimestamp(reading.exchange.started_at, UTC)
        )
        return parsedate_to_datetime(value) > answered
    except (ValueError, TypeError):
        return False


def _detail(reading: Reading, name: str, value: object, good: bool, expected: str) -> None:
    where = f"/error/details/{name}"
    expect(
        good,
        expected=f"{name}: {expected}",
        seen="absent" if value is None else value,
        at=reading,
        where=where,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
