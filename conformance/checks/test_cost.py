"""Estimates against what it really took (DOC), budgets and concurrency (RATE), usage by trace (TRC)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from conformance.checks.limit_fields import FieldError, Level, Policy, levels, policies, too_many
from conformance.checks.metadata import described, is_count
from conformance.checks.refusals import brief, decisive
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail

GUESS = 0.1
"""Share by which an estimate that is not exact may miss."""

MICRO = 1_000_000


@check("DOC-04")
def test_an_estimate_tells_a_range_and_takes_nothing(estimation: Probed) -> str:
    """input_tokens, max_output_tokens, cost min and max; tokens and budget stay as they were."""
    first, again = (decisive(estimation[role]) for role in ("estimate", "estimate_again"))
    for reading in (first, again):
        expect(reading.ok, expected="a 2xx answer", seen=brief(reading), at=reading)
    told = _estimate(first)
    for unit in ("tokens", "cost"):
        before, after = (_levels(reading).get(unit) for reading in (first, again))
        if before is None or after is None or after.remaining > before.remaining:
            continue  # the policy is not told, or a new window began
        expect(
            after.remaining == before.remaining,
            expected=f"{before.remaining} of the policy {unit} left after an estimate",
            seen=after.remaining,
            at=again,
            where="header RateLimit",
        )
    return f"{told['input_tokens']} tokens, {told['cost']}"


@check("DOC-05")
def test_the_estimated_input_is_the_real_one(estimation: Probed) -> str:
    """The same request, estimated and sent."""
    told, real = _estimate(decisive(estimation["estimate"])), _answered(estimation, "real")
    tokens = real.facts["usage.input"].value
    if not is_count(tokens):
        raise Inconclusive("the real answer tells no input tokens")
    allowed = 0 if told.get("exact") is True else math.ceil(GUESS * tokens)
    expect(
        abs(told["input_tokens"] - tokens) <= allowed,
        expected=f"the {tokens} input tokens of the real answer" + (f", ±{allowed}" if allowed else ""),
        seen=told["input_tokens"],
        at=estimation["estimate"],
        where="/input_tokens",
    )
    most, out = told["max_output_tokens"], real.facts["usage.output"].value
    expect(
        is_count(most) and is_count(out) and out <= most,
        expected=f"at least the {out} output tokens of the real answer",
        seen=most,
        at=estimation["estimate"],
        where="/max_output_tokens",
    )
    return f"{tokens} input tokens, estimated and real"


@check("DOC-06")
def test_the_real_cost_is_within_the_estimate(estimation: Probed) -> str:
    """min ≤ real ≤ max, in one currency."""
    told, real = _estimate(decisive(estimation["estimate"])), _answered(estimation, "real")
    cost = _cost_of(real)
    least, most = _decimal(told["cost"].get("min")), _decimal(told["cost"].get("max"))
    amount = _decimal(cost.get("amount"))
    if amount is None:
        raise Inconclusive("the real answer tells no cost")
    expect(
        least is not None and most is not None and least <= amount <= most,
        expected=f"a range that holds the real cost of {amount}",
        seen=told["cost"],
        at=estimation["estimate"],
        where="/cost",
    )
    expect(
        told["cost"].get("currency") == cost.get("currency"),
        expected=f"the currency of the real cost, {cost.get('currency')}",
        seen=told["cost"].get("currency"),
        at=estimation["estimate"],
        where="/cost/currency",
    )
    return f"{amount} within {least} and {most}"


@check("RATE-10")
def test_a_budget_that_is_used_up_refuses(cost_burst: Probed) -> str:
    """429 BUDGET_EXCEEDED naming the policy `cost` and its currency, and again at once afterwards."""
    spent = cost_burst.some("spend")
    refused = next((r for r in spent if not r.ok), None)
    if refused is None:
        _expect_within_budget(spent)
        raise Inconclusive(f"{len(spent)} calls cost less than the budget")
    _expect_budget_exceeded(refused)
    still = cost_burst["still"]
    if not still.ok or not _renewed(refused, still):
        _expect_budget_exceeded(still)
    return f"refused after {sum(r.ok for r in spent)} answers"


@check("RATE-18")
def test_concurrency_is_limited_and_freed(concurrent_streams: Probed) -> str:
    """One too many is a 429 that names the policy; who hangs up frees the slot."""
    beside = concurrent_streams.some("beside")
    policy = _policies(concurrent_streams["level"]).get("concurrent")
    if policy is None:
        raise NotTested("no policy 'concurrent' is advertised")
    expect(
        policy.unit == "concurrent-requests",
        expected='qu="concurrent-requests"',
        seen=policy.unit,
        at=concurrent_streams["level"],
        where="header RateLimit-Policy",
    )
    refused = [r for r in beside if r.status == 429]
    if any(r.error.code == "BUDGET_EXCEEDED" for r in refused):
        raise Inconclusive("the budget of the key ended first")
    served = [r for r in beside if r.ok]
    if not refused and not _overlap(served):
        raise Inconclusive("the streams did not overlap")
    expect(
        refused,
        expected=f"429 for one of {len(beside)} streams at once where {policy.quota} are allowed",
        seen=f"{len(served)} streams",
        at=beside[-1],
    )
    named = refused[0].error.details.get("policy")
    expect(
        named == "concurrent",
        expected="the policy concurrent",
        seen=named,
        at=refused[0],
        where="/error/details/policy",
    )
    freed = concurrent_streams["freed"]
    if freed.error.code == "BUDGET_EXCEEDED":
        raise Inconclusive("the budget of the key ended first")
    expect(freed.ok, expected="a free slot after all streams were hung up", seen=brief(freed), at=freed)
    return f"{len(served)} of {len(beside)} streams, slots freed"


@check("RATE-27")
def test_a_429_names_a_policy_that_is_advertised(exchanges: tuple[Reading, ...]) -> str:
    """details.policy is one of RateLimit-Policy."""
    refused = too_many(exchanges)
    if not refused:
        raise NotTested("no 429 was seen")
    for reading in refused:
        known, named = _policies(reading), reading.error.details.get("policy")
        expect(
            named in known,
            expected=f"one of the advertised policies ({', '.join(known) or 'none'})",
            seen=named,
            at=reading,
            where="/error/details/policy",
        )
    return f"{len(refused)} answers of 429"


@check("RATE-28")
def test_the_budget_goes_down_by_the_cost_told(quota_steps: Probed) -> str:
    """The level of `cost` before and after one answer."""
    before, answer, after = (quota_steps[role] for role in ("level_0", "keyed", "level_1"))
    found = [_levels(reading).get("cost") for reading in (before, after)]
    if found[0] is None or found[1] is None:
        raise NotTested("the main key has no policy 'cost'")
    amount = _decimal(_cost_of(answer).get("amount")) if answer.ok else None
    if amount is None:
        raise Inconclusive("the answer tells no cost")
    step, wanted = found[0].remaining - found[1].remaining, math.ceil(amount * MICRO)
    if step < 0:
        raise Inconclusive("a new window began between the calls")
    expect(
        step == wanted,
        expected=f"{wanted} millionths less, for a cost of {amount}",
        seen=f"{step} less",
        at=after,
        where="header RateLimit",
    )
    return f"{step} millionths for a cost of {amount}"


@check("TRC-17")
def test_usage_is_found_by_its_trace(usage_of_trace: Probed) -> str:
    """Each answer under the trace, with the tokens and the cost that it told."""
    seen = decisive(usage_of_trace["usage"])
    expect(seen.ok, expected="a 2xx answer", seen=brief(seen), at=seen)
    listed = seen.body.get("data") if isinstance(seen.body, dict) else None
    entries = {e.get("request_id"): e for e in listed or () if isinstance(e, dict)}
    answers = described([_answered(usage_of_trace, role) for role in ("plain", "streamed")])
    for answer in answers:
        entry = entries.get(answer.metadata.get("request_id"), {})
        told = _amounts(answer.metadata)
        expect(
            _amounts(entry) == told,
            expected=f"an entry for {answer.metadata.get('request_id')} with (input, output, cost) {told}",
            seen=_amounts(entry) if entry else "no such entry",
            at=seen,
            where="/data",
        )
    return f"{len(entries)} entries"


@check("TRC-22")
def test_usage_of_another_principal_is_invisible(usage_of_trace: Probed) -> str:
    """The other key asks for the same trace and learns nothing."""
    if usage_of_trace.get("usage_of_other") is None:
        raise NotTested("needs a second credential: --other-key")
    seen = usage_of_trace["usage_of_other"]
    listed = seen.body.get("data") if isinstance(seen.body, dict) else None
    expect(
        (seen.ok and listed == []) or seen.status in (403, 404),
        expected="an empty list (or 404)",
        seen=listed if seen.ok else brief(seen),
        at=seen,
        where="/data",
    )
    return "nothing to see"


def _estimate(reading: Reading) -> Mapping[str, Any]:
    body = reading.body if isinstance(reading.body, dict) else {}
    cost = body.get("cost")
    whole = is_count(body.get("input_tokens")) and is_count(body.get("max_output_tokens"))
    bounds = [_decimal(cost.get(n)) for n in ("min", "max")] if isinstance(cost, dict) else [None]
    expect(
        reading.ok and whole and None not in bounds,
        expected="input_tokens, max_output_tokens, and cost with decimal min and max",
        seen=body or brief(reading),
        at=reading,
    )
    return body


def _expect_budget_exceeded(reading: Reading) -> None:
    details = reading.error.details
    expect(
        reading.status == 429 and reading.error.raw_code.value == "BUDGET_EXCEEDED",
        expected="429 BUDGET_EXCEEDED",
        seen=brief(reading),
        at=reading,
        where="/error/code",
    )
    expect(
        details.get("policy") == "cost" and isinstance(details.get("currency"), str),
        expected="the policy cost and its currency",
        seen={name: details.get(name) for name in ("policy", "currency")},
        at=reading,
        where="/error/details",
    )


def _expect_within_budget(spent: list[Reading]) -> None:
    """Fail when answers within one window cost more than the advertised budget."""
    policy = _policies(spent[0]).get("cost")
    costs = [_decimal(_cost_of(r).get("amount")) for r in spent]
    if policy is None or None in costs:
        raise Inconclusive("no budget is advertised, or the answers tell no cost")
    if spent[-1].exchange.started_at - spent[0].exchange.started_at >= (policy.window or 0):
        raise Inconclusive("the calls took longer than the window of the budget")
    total = sum((c for c in costs if c is not None), Decimal(0)) * MICRO
    if total > 2 * policy.quota:  # twice: the calls may lie across two windows
        fail(
            expected=f"429 BUDGET_EXCEEDED beyond a budget of {policy.quota} millionths",
            seen=f"{len(spent)} answers for {total:f}",
            at=spent[-1],
        )


def _renewed(refused: Reading, later: Reading) -> bool:
    """Whether the budget's window may have ended between two answers."""
    level = _levels(refused).get("cost")
    if level is None or level.reset is None:
        return False
    return (
        later.exchange.started_at + (later.exchange.t_end or 0.0) - refused.exchange.started_at
        >= level.reset - 1
    )


def _answered(probed: Probed, role: str) -> Reading:
    reading = decisive(probed[role])
    if not reading.ok:
        raise Inconclusive(f"{reading.exchange.id} ({role}) was answered {brief(reading)}")
    return reading


def _cost_of(reading: Reading) -> Mapping[str, Any]:
    (answer,) = described([reading])
    cost = answer.metadata.get("cost")
    return cost if isinstance(cost, dict) else {}


def _amounts(block: Mapping[str, Any]) -> tuple[Any, Any, Decimal | None]:
    tokens, cost = block.get("tokens_used"), block.get("cost")
    used = tokens if isinstance(tokens, dict) else {}
    return (
        used.get("input"),
        used.get("output"),
        _decimal(cost.get("amount") if isinstance(cost, dict) else None),
    )


def _decimal(value: object) -> Decimal | None:
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def _overlap(served: list[Reading]) -> bool:
    """Whether all streams were under way at one moment."""
    begun = max((r.exchange.started_at + (r.exchange.t_headers or 0.0) for r in served), default=0.0)
    ended = min((r.exchange.started_at + (r.exchange.t_end or 0.0) for r in served), default=0.0)
    return begun < ended


def _levels(reading: Reading) -> dict[str, Level]:
    try:
        return levels(reading)
    except FieldError:
        return {}  # RATE-07 says so


def _policies(reading: Reading) -> dict[str, Policy]:
    try:
        return policies(reading)
    except FieldError:
        return {}
