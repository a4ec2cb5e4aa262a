"""Each RATE check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from building import answer, event, gathered, no_answer, stream
from hypothesis import given
from hypothesis import strategies as st

from conformance.checks import test_rate as rate
from conformance.checks import test_rate_burst as burst_checks
from conformance.checks import test_rate_fields as fields
from conformance.checks.limit_fields import FieldError, levels, policies
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

POLICY = '"requests";q=5;w=4, "tokens";q=400;qu="tokens";w=4'
DETAILS: dict[str, Any] = {
    "policy": "requests",
    "unit": "requests",
    "limit": 5,
    "remaining": 0,
    "window_seconds": 4,
    "tier": "development",
    "retry_after_seconds": 3,
    "suggestion": "Wait 3 seconds.",
}


def limit_headers(
    requests: int = 3, tokens: int = 120, reset: int = 2, policy: str = POLICY
) -> dict[str, str]:
    first = policy.split(",")[0]
    quota = first.split("q=")[1].split(";")[0]
    return {
        "RateLimit-Policy": policy,
        "RateLimit": f'"requests";r={requests};t={reset}, "tokens";r={tokens};t={reset}',
        "x-ratelimit-limit-requests": quota,
        "x-ratelimit-remaining-requests": str(requests),
        "x-ratelimit-reset-requests": f"{reset}s",
        "x-ratelimit-limit-tokens": policy.split("q=")[2].split(";")[0],
        "x-ratelimit-remaining-tokens": str(tokens),
        "x-ratelimit-reset-tokens": f"{reset}s",
    }


def ok(
    role: str = "burst", headers: Mapping[str, str] | None = None, total: int = 20, **more: Any
) -> Reading:
    body = {
        "id": "chat_1",
        "message": {"role": "assistant", "content": "Yes."},
        "metadata": {"tokens_used": {"input": total - 5, "output": 5, "total": total}},
    }
    return answer(body, role=role, headers=limit_headers() if headers is None else headers, **more)


def refused(
    role: str = "burst",
    retry_after: str | None = "3",
    code: str = "RATE_LIMITED",
    details: Any = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Reading:
    error = {"code": code, "message": "Too many.", "details": DETAILS if details is None else details}
    sent = dict(limit_headers(requests=0) if headers is None else headers)
    if retry_after is not None:
        sent["Retry-After"] = retry_after
    return answer({"error": error}, status=429, role=role, headers=sent, **more)


def openai_429(retry_after: str | None = None, code: str = "rate_limit_exceeded") -> Reading:
    body = {"error": {"message": "Rate limit reached.", "type": "requests", "param": None, "code": code}}
    return answer(
        body,
        status=429,
        speaks="openai-chat",
        headers={} if retry_after is None else {"Retry-After": retry_after},
    )


def burst(*readings: Reading, **notes: Any) -> Probed:
    return gathered("limit_burst", *readings, notes={"principal": "limited", **notes})


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in DETAILS.items() if k != name}


EXCEEDED = burst_checks.test_exceeding_the_request_limit_is_answered_with_429
HAS_WAIT = rate.test_every_429_has_retry_after
VALID_WAIT = rate.test_retry_after_is_a_valid_wait
SECONDS = rate.test_retry_after_is_delta_seconds
SUFFICES = burst_checks.test_after_retry_after_the_request_is_accepted
NECESSARY = burst_checks.test_half_of_retry_after_is_too_early
EXPLAINS = rate.test_a_429_explains_which_limit_was_hit
LONG = rate.test_a_long_wait_tells_sdks_not_to_sleep
ALONE = burst_checks.test_one_principals_exhaustion_does_not_limit_another
FAST = burst_checks.test_a_429_is_answered_at_once
STREAM = burst_checks.test_a_limited_stream_request_is_an_http_429
OVERLOAD = rate.test_overload_is_not_reported_as_a_quota
BODY_429 = rate.test_a_429_body_says_by_code_what_happened
LISTS = fields.test_limit_fields_are_structured_lists_that_agree
EARLIER = fields.test_retry_after_is_not_earlier_than_the_reset
TIERS = fields.test_tiers_have_their_own_limits
ALIASES = fields.test_the_alias_headers_agree_with_the_standard_ones
CARRIED = fields.test_every_authenticated_answer_carries_the_limit_fields
PLAUSIBLE = fields.test_limit_headers_are_plausible_numbers
FREE_429 = fields.test_a_429_takes_no_tokens
TOLD = fields.test_a_limited_api_tells_what_is_left_before_it_refuses
TOKENS = fields.test_the_token_limit_refuses_while_requests_are_left
COUNTS = fields.test_the_remaining_quota_goes_down_by_what_was_used
FREE_4XX = fields.test_a_refused_request_takes_no_tokens

OTHER_POLICY = '"requests";q=6000;w=60, "tokens";q=2000000;qu="tokens";w=60'
LIMIT_EVENT = event(
    {"type": "error", "sequence_number": 0, "error": {"code": "RATE_LIMITED", "message": "No."}}, "error"
)


def steps(
    keyed: int = 480, level_1: int = 480, level_3: int = 480, requests: tuple[int, ...] = (9, 8, 7, 4, 3)
) -> Probed:
    def level(role: str, left: int, tokens: int) -> Reading:
        return answer({"data": []}, role=role, operation="models", headers=limit_headers(left, tokens))

    return gathered(
        "quota_steps",
        level("level_0", requests[0], 500),
        ok("keyed", limit_headers(requests[1], keyed)),
        level("level_1", requests[2], level_1),
        level("level_2", 6, 480),
        answer({"error": {"code": "INVALID_REQUEST"}}, status=400, role="refused"),
        level("level_3", 5, level_3),
        ok("plain_1", limit_headers(requests[3], 460)),
        ok("plain_2", limit_headers(requests[4], 440)),
    )


def token_burst(*large: Reading) -> Probed:
    return gathered("token_burst", *large)


TOKEN_429 = refused(
    "large",
    code="TOKEN_LIMIT_EXCEEDED",
    details=DETAILS | {"policy": "tokens"},
    headers=limit_headers(requests=3, tokens=100),
)
MAIN, LIMITED = ok(headers=limit_headers(policy=OTHER_POLICY)), ok(principal="limited")

GOOD: list[tuple[Any, Any]] = [
    (EXCEEDED, burst(ok(), refused())),
    (HAS_WAIT, (ok(), refused())),
    (HAS_WAIT, (openai_429("6"), openai_429(None, "insufficient_quota"))),
    (VALID_WAIT, (refused(),)),
    (VALID_WAIT, (answer({}, status=429, headers={"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"}),)),
    (SECONDS, (refused(),)),
    (SUFFICES, burst(refused(), ok("after_wait"))),
    (NECESSARY, burst(refused(), refused("half_wait"))),
    (EXPLAINS, (refused(),)),
    (LONG, (refused(retry_after="600", headers={"x-should-retry": "false"}),)),
    (ALONE, burst(refused(), ok("bystander"), refused("still"))),
    (FAST, burst(ok(t_end=0.05), refused(t_end=0.01))),
    (STREAM, burst(refused(), refused("stream_limited"))),
    (BODY_429, (openai_429("6"), refused())),
    (LISTS, (ok(), refused())),
    (EARLIER, (refused(retry_after="2"),)),
    (TIERS, (MAIN, LIMITED, refused(principal="limited"))),
    (ALIASES, (ok(),)),
    (CARRIED, (ok(), answer({}, operation="health"))),
    (PLAUSIBLE, (ok(), refused())),
    (FREE_429, burst(refused("stream_limited"), refused("still"))),
    (TOLD, (ok(), refused())),
    (TOKENS, token_burst(ok("large"), TOKEN_429)),
    (COUNTS, steps()),
    (FREE_4XX, steps()),
]
BAD: dict[str, tuple[Any, Any]] = {
    "never enforced": (EXCEEDED, burst(*(ok() for _ in range(11)))),
    "503 at the limit": (
        EXCEEDED,
        burst(ok(headers=limit_headers(requests=0)), answer({}, status=503, role="burst")),
    ),
    "no Retry-After": (HAS_WAIT, (refused(retry_after=None),)),
    "no Retry-After, other dialect": (HAS_WAIT, (openai_429(),)),
    "0": (VALID_WAIT, (refused(retry_after="0"),)),
    "fraction": (VALID_WAIT, (refused(retry_after="1.5"),)),
    "unit": (VALID_WAIT, (refused(retry_after="3s"),)),
    "past date": (VALID_WAIT, (refused(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),)),
    "negative": (VALID_WAIT, (refused(retry_after="-1"),)),
    "date": (SECONDS, (refused(retry_after="Fri, 15 Jan 2027 08:00:09 GMT"),)),
    "too short": (SUFFICES, burst(refused(), refused("after_wait"), ok("after_second_wait"))),
    "too long": (NECESSARY, burst(refused(), ok("half_wait"))),
    **{f"no {name}": (EXPLAINS, (refused(details=without(name)),)) for name in DETAILS},
    "text for a number": (EXPLAINS, (refused(details=DETAILS | {"limit": "five"}),)),
    "sleeps": (LONG, (refused(retry_after="600"),)),
    "shared bucket": (ALONE, burst(refused(), refused("bystander"), refused("still"))),
    "queued": (FAST, burst(ok(t_end=0.05), refused(t_end=3.0))),
    "event in a 200": (STREAM, burst(refused(), stream(LIMIT_EVENT, role="stream_limited"))),
    "HTML": (BODY_429, (answer("<html>", status=429, content_type="text/html", speaks="openai-chat"),)),
    "empty": (BODY_429, (answer(b"", status=429, speaks="openai-chat"),)),
    "no list": (LISTS, (ok(headers={"RateLimit": "limit=5"}),)),
    "token names": (LISTS, (ok(headers={"RateLimit": "requests;r=1", "RateLimit-Policy": POLICY}),)),
    "unknown policy": (LISTS, (ok(headers={"RateLimit": '"cost";r=1', "RateLimit-Policy": POLICY}),)),
    "more than the quota": (LISTS, (ok(headers=limit_headers(requests=9)),)),
    "earlier than the reset": (EARLIER, (refused(retry_after="1"),)),
    "one tier for all": (TIERS, (ok(), LIMITED)),
    "tier not named": (TIERS, (MAIN, LIMITED, refused(principal="limited", details={}))),
    "alias of another window": (
        ALIASES,
        (ok(headers=limit_headers() | {"x-ratelimit-remaining-requests": "4"}),),
    ),
    "not on success": (CARRIED, (ok(headers={}),)),
    "-1": (PLAUSIBLE, (ok(headers={"x-ratelimit-remaining-requests": "-1"}, speaks="openai-chat"),)),
    "rest above the limit": (
        PLAUSIBLE,
        (
            ok(
                headers={"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "11"},
                speaks="openai-chat",
            ),
        ),
    ),
    "429 is charged": (
        FREE_429,
        burst(refused("stream_limited"), refused("still", headers=limit_headers(0, tokens=100))),
    ),
    "tells nothing": (TOLD, (ok(headers={}), refused())),
    "no token limit": (TOKENS, token_burst(ok("large"), ok("large"), ok("large"))),
    "wrong code": (TOKENS, token_burst(ok("large"), refused("large", headers=limit_headers(3, 100)))),
    "two requests for one": (COUNTS, steps(requests=(9, 7, 6, 4, 3))),
    "tokens not counted": (COUNTS, steps(level_1=500)),
    "4xx is charged": (FREE_4XX, steps(level_3=440)),
}


@pytest.mark.parametrize(("check", "evidence"), GOOD)
def test_an_honest_server_passes(check: Any, evidence: Any) -> None:
    assert check(evidence)


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Any) -> None:
    with pytest.raises(Violation):
        check(evidence)


UNDECIDED: dict[str, tuple[type[Exception], Any, Any]] = {
    "limit not reached": (Inconclusive, EXCEEDED, burst(ok(), ok())),
    "slow burst across windows": (
        Inconclusive,
        EXCEEDED,
        burst(*(ok(started_at=1_800_000_000.0 + n) for n in range(11))),
    ),
    "no limit told": (Inconclusive, EXCEEDED, burst(ok(headers={}))),
    "hung": (Inconclusive, EXCEEDED, burst(no_answer("timeout_headers", role="burst"))),
    "no 429": (NotTested, HAS_WAIT, (ok(),)),
    "only money": (NotTested, HAS_WAIT, (openai_429(None, "insufficient_quota"),)),
    "no wait made": (NotTested, SUFFICES, burst(refused(), wait="x does not say how long to wait")),
    "shared key": (
        Inconclusive,
        SUFFICES,
        burst(refused(), refused("after_wait"), ok("after_second_wait"), principal="main"),
    ),
    "too short to halve": (Inconclusive, NECESSARY, burst(refused(), half_wait="Retry-After is 1 s")),
    "too late for a half": (
        Inconclusive,
        NECESSARY,
        burst(refused(), ok("half_wait", started_at=1_800_000_002.1)),
    ),
    "one account": (
        Inconclusive,
        ALONE,
        burst(
            answer({}, status=429, role="bystander", speaks="openai-chat"),
            answer({}, status=429, role="still", speaks="openai-chat"),
        ),
    ),
    "busy machine": (Inconclusive, FAST, burst(ok(), refused(t_end=1.5, lag=0.5))),
    "limit over": (Inconclusive, STREAM, burst(refused(), stream(event("[DONE]"), role="stream_limited"))),
    "aliases not sent": (NotOffered, ALIASES, (ok(headers={"RateLimit": '"a";r=1'}),)),
    "no limits": (NotOffered, PLAUSIBLE, (ok(headers={}),)),
    "new window": (Inconclusive, COUNTS, steps(level_1=520)),
}


@pytest.mark.parametrize(("signal", "check", "evidence"), UNDECIDED.values(), ids=list(UNDECIDED))
def test_what_cannot_be_decided_is_not(signal: type[Exception], check: Any, evidence: Any) -> None:
    with pytest.raises(signal):
        check(evidence)


def test_two_refusals_in_a_row_count_on_a_shared_key_too() -> None:
    with pytest.raises(Violation):
        SUFFICES(burst(refused(), refused("after_wait"), refused("after_second_wait"), principal="main"))


def test_overload() -> None:
    def overloaded(status: int, code: str, headers: Any) -> Probed:
        body = {"error": {"code": code, "message": "Busy.", "details": {}}}
        return gathered("provoked_errors", answer(body, status=status, role="overloaded", headers=headers))

    wait = {"Retry-After": "1"}
    assert OVERLOAD(overloaded(503, "MODEL_OVERLOADED", wait), ())
    for defect in (overloaded(429, "RATE_LIMITED", wait), overloaded(503, "MODEL_OVERLOADED", {})):
        with pytest.raises(Violation):
            OVERLOAD(defect, ())


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_any_field_parses_or_is_refused(value: str) -> None:
    reading = ok(headers={"RateLimit": value, "RateLimit-Policy": value})
    for parse in (levels, policies):
        with suppress(FieldError):  # any other exception fails the test
            assert all(isinstance(name, str) for name in parse(reading))


def test_a_429_to_head_has_no_body_and_is_no_fault() -> None:
    told = answer(
        {"error": {"code": "rate_limited", "message": "slow down"}}, status=429, speaks="openai-chat"
    )
    head = answer(None, status=429, method="HEAD", speaks="openai-chat")
    assert rate.test_a_429_body_says_by_code_what_happened((told, head))
    empty = answer(None, status=429, speaks="openai-chat")
    with pytest.raises(Violation):
        rate.test_a_429_body_says_by_code_what_happened((told, empty))


def test_a_burst_that_is_refused_whole_is_told_as_that() -> None:
    """LiteLLM with a key of three requests a minute, already used up: the reason said that no 429 came."""
    with pytest.raises(NotTested, match="no call of the burst was answered"):
        FAST(burst(refused()))
    with pytest.raises(NotTested, match="no call of an authenticated principal was answered"):
        TOLD((refused(),))


@pytest.mark.parametrize(("late", "raised"), [(1.6, Violation), (2.4, Inconclusive)])
def test_rate_05_believes_an_early_answer_only_if_it_was_early(late: float, raised: type[Exception]) -> None:
    """On a busy machine half of 3 s took 2.4 s, and the server rightly let the request in."""
    begin = 1_800_000_000.0
    run = burst(
        refused(started_at=begin - 9),
        ok("after_wait", started_at=begin - 5),
        refused(started_at=begin),
        ok("half_wait", started_at=begin + late, t_end=0.1),
    )
    with pytest.raises(raised):
        NECESSARY(run)


def test_rate_15_holds_a_queue_against_a_server_that_our_own_stalls_cannot_explain() -> None:
    with pytest.raises(Violation, match="median"):
        FAST(burst(ok(), refused(t_end=3.0, lag=0.15)))


def test_rate_20_sees_overload_that_is_told_as_429_again_and_again() -> None:
    """The session repeats a 429 once; both went unjudged, so that this defect could never be a finding."""
    twice = [answer({}, status=429, role="overloaded!429") for _ in range(2)]
    provoked = gathered("provoked_errors", *twice)
    with pytest.raises(Violation, match="no other call was limited"):
        OVERLOAD(provoked, (*twice, ok()))
    with pytest.raises(Inconclusive):
        OVERLOAD(provoked, (*twice, answer({}, status=429, role="chat")))
