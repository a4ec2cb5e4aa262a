"""SYNC: one request, one answer."""

from __future__ import annotations

import math

from conformance.chance import upper_tail
from conformance.checks.refusals import brief, complete, decisive, expect_error, not_limited, unless_down
from conformance.dialects.facts import Fact
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

FEWEST_TIMED = 5
MAY_BE_LATE = 0.05
IMPROBABLE = 0.01
OWN_LAG = 0.5
"""Seconds our own event loop may stall in an exchange whose duration is judged."""


@check("SYNC-01")
def test_a_text_is_classified(classified: Probed) -> str:
    """Every ordinary text gets 200 with a category and a confidence in 0..1."""
    readings = not_limited(classified, "text_")
    for reading in readings:
        expect(reading.status == 200, expected="status 200", seen=brief(reading), at=reading)
        category, confidence = reading.facts["category"], reading.facts["confidence"]
        expect(
            isinstance(category.value, str) and category.value,
            expected="a category",
            seen=category.value,
            at=reading,
            where=category.where,
        )
        value = confidence.value
        expect(
            isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
            expected="a confidence in 0..1",
            seen=value,
            at=reading,
            where=confidence.where,
        )
    return f"{len(readings)} texts classified"


@check("SYNC-02")
def test_synchronous_answers_come_within_the_declared_time(
    classified: Probed, self_description: Probed, exchanges: tuple[Reading, ...]
) -> str:
    """95 of 100 classifications take no longer than capabilities.limits.sync_max_seconds.

    Late answers speak against the claim only if so many of them are improbable (below 1 %, by the binomial
    distribution) where 5 of 100 may be late: of five answers three, of twenty five. So an honest server is blamed in
    at most one run of a hundred, and far less often where it keeps a distance to what it declares.
    """
    classified.some("text_")
    declared = _declared_seconds(self_description["public:capabilities"])
    timed = sorted(
        (r.exchange.t_end, r.exchange.id, r)
        for r in complete(exchanges)
        if r.exchange.operation == "classify" and r.ok and r.exchange.t_end and r.exchange.lag < OWN_LAG
    )
    if len(timed) < FEWEST_TIMED:
        raise Inconclusive(f"only {len(timed)} classifications could be timed, {FEWEST_TIMED} are needed")
    late = sum(seconds > declared for seconds, _, _ in timed)
    seconds, _, slow = timed[math.ceil(0.95 * len(timed)) - 1]
    expect(
        upper_tail(len(timed), MAY_BE_LATE, late) >= IMPROBABLE,
        expected=f"95 of 100 within the declared {declared:g} s",
        seen=f"{late} of {len(timed)} are late; {seconds:.2f} s at the 95th percentile",
        at=slow,
    )
    if late > MAY_BE_LATE * len(timed):
        raise Inconclusive(
            f"{late} of {len(timed)} are later than {declared:g} s: too few to tell from chance"
        )
    return f"p95 {seconds:.2f} s of {len(timed)}, declared {declared:g} s"


@check("SYNC-03")
def test_a_model_that_is_too_slow_is_a_timeout(slow_model: Probed) -> str:
    """504 (408 in some vendors' words) with the code of a model timeout, not a hung or closed connection."""
    sent = slow_model.get("slow")
    if sent is not None and sent.exchange.failure is not None and sent.status is None:
        failure = sent.exchange.failure
        expect(False, expected="status 504", seen=f"no response: {failure.kind}, {failure.detail}", at=sent)
    reading = decisive(slow_model["slow"])
    if reading.ok:
        raise Inconclusive("the declared provocation was answered in time")
    if reading.dialect.name == "contract":
        expect_error(reading, 504, "MODEL_TIMEOUT")
    else:
        expect(
            reading.status in (408, 504) or reading.error.code == "MODEL_TIMEOUT",
            expected="a timeout error",
            seen=brief(reading),
            at=reading,
        )
    return f"answered {brief(reading)}"


@check("SYNC-05")
def test_every_answer_says_why_it_ended(exchanges: tuple[Reading, ...]) -> str:
    """Every generated answer has a finish_reason."""
    answers = _plain_answers(exchanges)
    for reading in answers:
        reason = reading.facts["finish_reason"]
        expect(
            reason and reason.value is not None,
            expected="a finish_reason",
            seen="none",
            at=reading,
            where=reason.where,
        )
    return f"{len(answers)} answers say why they ended"


@check("SYNC-06")
def test_the_output_limit_is_kept_and_said(output_limit: Probed) -> str:
    """An answer cut by the limit has finish_reason length; plain or streamed, it keeps the limit."""
    reading = decisive(output_limit["plain"])
    if not reading.ok:  # some models refuse a limit this small; that is their right
        raise Inconclusive(f"the call with a small output limit was answered {brief(reading)}")
    limit, reason, used = _limit(reading), reading.facts["finish_reason"], reading.facts["usage.output"]
    tokens = _tokens(used)
    if tokens is not None:
        expect(
            tokens <= limit,
            expected=f"at most {limit} output tokens",
            seen=tokens,
            at=reading,
            where=used.where,
        )
    _expect_streamed_limit(output_limit)
    if reason.value == "length":
        return "length" if tokens is None else f"length, {tokens} of {limit} tokens"
    if tokens != limit or reason.value not in ("stop", "tool_call"):
        raise Inconclusive(f"the model ended by itself ({reason.value}) before the limit of {limit} tokens")
    expect(False, expected="finish_reason length", seen=reason.value, at=reading, where=reason.where)
    return ""


@check("SYNC-07")
def test_plain_and_streamed_answers_end_alike(output_limit: Probed) -> str:
    """The same call, plain and streamed, cut by the same limit, has the same finish_reason."""
    plain, streamed = decisive(output_limit["plain"]), decisive(output_limit["streamed"])
    if not plain.ok:
        raise Inconclusive(f"the call with a small output limit was answered {brief(plain)}")
    expect(
        streamed.ok and streamed.exchange.is_sse,
        expected="a 2xx answer as text/event-stream",
        seen=brief(streamed),
        at=streamed,
    )
    reasons = (plain.facts["finish_reason"].value, streamed.stream.finish_reason)
    limit, used = _limit(streamed), streamed.stream.usage.get("output")
    for form, tokens in (("plain", _tokens(plain.facts["usage.output"])), ("streamed", used)):
        if (tokens or 0) > limit:
            raise Inconclusive(f"the {form} answer does not keep the limit of {limit} tokens (SYNC-06)")
    if "length" not in reasons:
        raise Inconclusive(f"the model ended by itself before the limit of {limit} tokens")
    if reasons[0] == reasons[1]:
        return f"both end with {reasons[0]}"
    if set(reasons) == {"length", "stop"} and _ended_early(plain, used, limit, reasons):
        raise Inconclusive("one of the two answers ended by itself before the limit")
    expect(
        False,
        expected=f"finish_reason {reasons[0]} in the stream too",
        seen=reasons[1],
        at=streamed,
    )
    return ""


@check("SYNC-08")
def test_degenerate_inputs_do_not_break_the_server(degenerate_inputs: Probed, baseline: Probed) -> str:
    """Empty, blank and one-character inputs are answered or refused with a 4xx; never 5xx."""
    readings = not_limited(degenerate_inputs)
    for reading in readings:
        status = unless_down(reading, baseline).status or 0
        expect(
            200 <= status < 300 or 400 <= status < 500,
            expected="an answer, or a 4xx",
            seen=f"{reading.role}: {brief(reading)}",
            at=reading,
        )
    return ", ".join(f"{r.role} {r.status}" for r in readings)


@check("SYNC-09")
def test_an_answer_has_text_or_says_why_not(baseline: Probed) -> str:
    """A plain question that ended with `stop` was answered with text."""
    reading = decisive(baseline["chat"])
    if not reading.ok:
        raise Inconclusive(f"the plain call was answered {reading.status}")
    text, reason = reading.facts["text"], reading.facts["finish_reason"]
    if reason.value != "stop" and reason.value is not None:
        return f"ended with {reason.value}"
    expect(
        isinstance(text.value, str) and text.value.strip(),
        expected="text, or a finish_reason other than stop",
        seen=text.value,
        at=reading,
        where=text.where,
    )
    return f"{len(text.value)} characters"


def _plain_answers(exchanges: tuple[Reading, ...]) -> list[Reading]:
    found = [r for r in complete(exchanges) if r.status == 200 and r.exchange.operation == "chat"]
    if not found:
        raise NotTested("no plain chat answer")
    return found


def _tokens(fact: Fact) -> int | None:
    """A count of tokens, if the answer has one and it is a number."""
    return fact.value if isinstance(fact.value, int) and not isinstance(fact.value, bool) else None


def _limit(reading: Reading) -> int:
    return int(reading.exchange.params["max_output_tokens"])


def _expect_streamed_limit(output_limit: Probed) -> None:
    streamed = output_limit.get("streamed")
    if streamed is not None and streamed.ok and streamed.exchange.is_sse:
        used = streamed.stream.usage.get("output")
        limit = _limit(streamed)
        expect(
            used is None or used <= limit,
            expected=f"at most {limit} output tokens in the stream too",
            seen=used,
            at=streamed,
        )


def _ended_early(
    plain: Reading, streamed_output: int | None, limit: int, reasons: tuple[object, object]
) -> bool:
    """Did the answer that says `stop` use fewer tokens than the limit, or say nothing about its tokens?"""
    used = _tokens(plain.facts["usage.output"]) if reasons[0] == "stop" else streamed_output
    return used is None or used < limit


def _declared_seconds(capabilities: Reading) -> float:
    limits = capabilities.body.get("limits") if isinstance(capabilities.body, dict) else None
    declared = limits.get("sync_max_seconds") if isinstance(limits, dict) else None
    expect(
        isinstance(declared, int | float) and not isinstance(declared, bool) and declared > 0,
        expected="a positive number of seconds",
        seen=declared,
        at=capabilities,
        where="/limits/sync_max_seconds",
    )
    assert isinstance(declared, int | float)
    return float(declared)
