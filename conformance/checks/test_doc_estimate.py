"""DOC: estimates against what it really took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from conformance.checks.amounts import cost_of, decimal, levels_of
from conformance.checks.metadata import is_count
from conformance.checks.refusals import brief, decisive
from conformance.checks.sameness import answered
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect

GUESS = 0.1
"""Share by which an estimate that is not exact may miss."""


@check("DOC-04")
def test_an_estimate_tells_a_range_and_takes_nothing(estimation: Probed) -> str:
    """input_tokens, max_output_tokens, cost min and max; tokens and budget stay as they were."""
    first, again = (decisive(estimation[role]) for role in ("estimate", "estimate_again"))
    for reading in (first, again):
        expect(reading.ok, expected="a 2xx answer", seen=brief(reading), at=reading)
    told = _estimate(first)
    for unit in ("tokens", "cost"):
        before, after = (levels_of(reading).get(unit) for reading in (first, again))
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
    told, real = _estimate(decisive(estimation["estimate"])), answered(estimation["real"])
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
    told, real = _estimate(decisive(estimation["estimate"])), answered(estimation["real"])
    cost = cost_of(real)
    least, most = decimal(told["cost"].get("min")), decimal(told["cost"].get("max"))
    amount = decimal(cost.get("amount"))
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


def _estimate(reading: Reading) -> Mapping[str, Any]:
    body = reading.body if isinstance(reading.body, dict) else {}
    cost = body.get("cost")
    whole = is_count(body.get("input_tokens")) and is_count(body.get("max_output_tokens"))
    bounds = [decimal(cost.get(n)) for n in ("min", "max")] if isinstance(cost, dict) else [None]
    expect(
        reading.ok and whole and None not in bounds,
        expected="input_tokens, max_output_tokens, and cost with decimal min and max",
        seen=body or brief(reading),
        at=reading,
    )
    return body
