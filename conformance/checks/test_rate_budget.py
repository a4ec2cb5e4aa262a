"""RATE: budgets that end, and slots that are freed."""

from __future__ import annotations

import math
from decimal import Decimal

from conformance.checks.amounts import cost_of, decimal, levels_of, policies_of
from conformance.checks.limit_fields import too_many
from conformance.checks.refusals import brief, decisive
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail

MICRO = 1_000_000


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
    policy = policies_of(concurrent_streams["level"]).get("concurrent")
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
    freed = _unless_overloaded(concurrent_streams["freed"])
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
        known, named = policies_of(reading), reading.error.details.get("policy")
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
    found = [levels_of(reading).get("cost") for reading in (before, after)]
    if found[0] is None or found[1] is None:
        raise NotTested("the main key has no policy 'cost'")
    amount = decimal(cost_of(answer).get("amount")) if answer.ok else None
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


def _unless_overloaded(reading: Reading) -> Reading:
    """The reading; here a 429 is what it is about, and only an overload decides nothing."""
    return reading if reading.status == 429 else decisive(reading)


def _expect_budget_exceeded(reading: Reading) -> None:
    details = _unless_overloaded(reading).error.details
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
    policy = policies_of(spent[0]).get("cost")
    costs = [decimal(cost_of(r).get("amount")) for r in spent]
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
    level = levels_of(refused).get("cost")
    if level is None or level.reset is None:
        return False
    return (
        later.exchange.started_at + (later.exchange.t_end or 0.0) - refused.exchange.started_at
        >= level.reset - 1
    )


def _overlap(served: list[Reading]) -> bool:
    """Whether all streams were under way at one moment."""
    begun = max((r.exchange.started_at + (r.exchange.t_headers or 0.0) for r in served), default=0.0)
    ended = min((r.exchange.started_at + _last_seen(r) for r in served), default=0.0)
    return begun < ended


def _last_seen(reading: Reading) -> float:
    """When the response was last known to go on: a stream that was hung up on has no end."""
    exchange = reading.exchange
    return exchange.t_end or (exchange.chunks[-1].t if exchange.chunks else exchange.t_headers) or 0.0
