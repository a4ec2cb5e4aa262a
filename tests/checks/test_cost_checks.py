"""Checks of estimates, budgets, concurrency and usage on recorded bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from building import answer, event, gathered, stream

from conformance.checks import test_doc_estimate as doc
from conformance.checks import test_rate_budget as budget
from conformance.checks import test_trc_query as query
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

POLICY = (
    '"requests";q=600;w=60, "tokens";q=2000;qu="tokens";w=60, "cost";q=150;qu="cost-microunits";w=8, '
    '"concurrent";q=2;qu="concurrent-requests"'
)


def levels(tokens: int = 900, cost: int = 80, reset: int = 8) -> dict[str, str]:
    return {
        "RateLimit-Policy": POLICY,
        "RateLimit": f'"requests";r=599;t=60, "tokens";r={tokens};t=60, "cost";r={cost};t={reset}, "concurrent";r=1',
    }


def estimate(role: str = "estimate", headers: dict[str, str] | None = None, **changes: Any) -> Reading:
    body = {
        "input_tokens": 40,
        "max_output_tokens": 10,
        "cost": {"min": "0.000040", "max": "0.000080", "currency": "USD"},
        "exact": True,
        **changes,
    }
    return answer(body, role=role, operation="estimate", headers=levels() if headers is None else headers)


def real(
    role: str = "real",
    tokens: int = 40,
    output: int = 8,
    amount: str = "0.000072",
    currency: str = "USD",
    **more: Any,
) -> Reading:
    used = {"input": tokens, "output": output, "total": tokens + output}
    metadata = {
        "request_id": f"req_{role}",
        "tokens_used": used,
        "cost": {"amount": amount, "currency": currency},
    }
    return answer({"metadata": metadata}, role=role, **{"headers": levels(), **more})


def estimation(*readings: Reading) -> Probed:
    return gathered("estimation", *readings)


def test_doc_04_wants_numbers_and_no_charge() -> None:
    check = doc.test_an_estimate_tells_a_range_and_takes_nothing
    check(estimation(estimate(), estimate("estimate_again")))
    check(estimation(estimate(headers={}), estimate("estimate_again", headers={})))
    check(estimation(estimate(), estimate("estimate_again", headers=levels(2000, 150))))
    for bad in (
        (estimate(), estimate("estimate_again", headers=levels(tokens=860))),
        (estimate(), estimate("estimate_again", headers=levels(cost=40))),
        (estimate(input_tokens="40"), estimate("estimate_again")),
        (estimate(max_output_tokens=None), estimate("estimate_again")),
        (estimate(cost={"min": "0", "max": 1.5}), estimate("estimate_again")),
        (answer({}, status=404, role="estimate"), estimate("estimate_again")),
    ):
        with pytest.raises(Violation):
            check(estimation(*bad))


def test_doc_05_wants_the_real_input() -> None:
    check = doc.test_the_estimated_input_is_the_real_one
    check(estimation(estimate(), real()))
    check(estimation(estimate(exact=False, input_tokens=43), real()))
    for bad in (
        (estimate(), real(tokens=41)),
        (estimate(exact=False, input_tokens=45), real()),
        (estimate(), real(output=11)),
    ):
        with pytest.raises(Violation):
            check(estimation(*bad))
    with pytest.raises(Inconclusive):
        check(estimation(estimate(), answer({}, status=500, role="real")))


def test_doc_06_wants_the_cost_within_the_range() -> None:
    check = doc.test_the_real_cost_is_within_the_estimate
    for amount in ("0.000040", "0.000072", "0.00008"):
        check(estimation(estimate(), real(amount=amount)))
    for bad in (real(amount="0.000081"), real(amount="0.000039"), real(currency="EUR")):
        with pytest.raises(Violation):
            check(estimation(estimate(), bad))
    with pytest.raises(Inconclusive):
        check(estimation(estimate(), real(amount="free")))


def refused(
    role: str = "spend", status: int = 429, code: str = "BUDGET_EXCEEDED", policy: str = "cost", **more: Any
) -> Reading:
    details = {"policy": policy, "unit": "cost-microunits", "currency": "USD"}
    details |= more.pop("details", {})
    body = {"error": {"code": code, "message": "words", "details": details}}
    return answer(body, status=status, role=role, **{"headers": levels(cost=0), **more})


def spent(*readings: Reading) -> Probed:
    return gathered("cost_burst", *readings)


def test_rate_10_wants_the_budget_to_end_as_declared() -> None:
    check = budget.test_a_budget_that_is_used_up_refuses
    check(spent(real("spend"), refused(), refused("still")))
    later = real("still", started_at=1_800_000_008.0)
    check(spent(real("spend"), refused(), later))
    for bad in (
        (real("spend"), refused(status=402), refused("still")),
        (real("spend"), refused(status=500), refused("still")),
        (real("spend"), refused(code="RATE_LIMITED"), refused("still")),
        (real("spend"), refused(policy="tokens"), refused("still")),
        (real("spend"), refused(details={"currency": None}), refused("still")),
        (real("spend"), refused(), real("still")),
        tuple(real("spend") for _ in range(8)),
    ):
        with pytest.raises(Violation):
            check(spent(*bad))
    busy = [refused(status=503, code="MODEL_OVERLOADED"), refused("still")]
    for unclear in ([real("spend")] * 3, [real("spend", headers={})] * 8, busy):
        with pytest.raises(Inconclusive):
            check(spent(*unclear))


def slots(freed: Reading | None = None, *beside: Reading, policy: str = POLICY) -> Probed:
    level = answer({"data": []}, role="level", operation="models", headers={"RateLimit-Policy": policy})
    return gathered("concurrent_streams", level, *beside, freed or real("freed"))


def test_rate_18_wants_a_limit_that_is_enforced_and_freed() -> None:
    check = budget.test_concurrency_is_limited_and_freed
    one = stream(b"data: {}\n\n", (0.9, b"data: [DONE]\n\n"), role="beside")
    late = stream(b"data: {}\n\n", (0.9, b"data: [DONE]\n\n"), role="beside", started_at=1_800_000_002.0)
    hung_up = replace(one, exchange=replace(one.exchange, t_end=None))
    too_many = refused("beside", code="RATE_LIMITED", policy="concurrent")
    check(slots(None, one, one, too_many))
    for bad in (
        slots(None, one, one, one),
        slots(None, hung_up, hung_up, hung_up),
        slots(None, one, one, refused("beside", code="RATE_LIMITED", policy="requests")),
        slots(refused("freed", code="RATE_LIMITED", policy="concurrent"), one, one, too_many),
        slots(None, one, one, too_many, policy=POLICY.replace("concurrent-requests", "requests")),
    ):
        with pytest.raises(Violation):
            check(bad)
    for unclear in (
        slots(refused("freed", status=503, code="MODEL_OVERLOADED"), one, one, too_many),
        slots(None, one, one, late),
        slots(None, one, one, refused("beside")),
        slots(refused("freed"), one, one, too_many),
    ):
        with pytest.raises(Inconclusive):
            check(unclear)
    with pytest.raises(NotTested):
        check(slots(None, one, policy='"requests";q=5;w=4'))


def test_rate_27_wants_advertised_policies_only() -> None:
    check = budget.test_a_429_names_a_policy_that_is_advertised
    check((real(), refused()))
    for bad in (refused(policy="secret"), refused(headers={}), refused(details={"policy": None})):
        with pytest.raises(Violation):
            check((refused(), bad))
    with pytest.raises(NotTested):
        check((real(),))


def steps(before: int, after: int, amount: str = "0.0000721") -> Probed:
    return gathered(
        "quota_steps",
        answer({}, role="level_0", operation="models", headers=levels(cost=before)),
        real("keyed", amount=amount),
        answer({}, role="level_1", operation="models", headers=levels(cost=after)),
    )


def test_rate_28_wants_the_cost_that_was_told() -> None:
    check = budget.test_the_budget_goes_down_by_the_cost_told
    check(steps(150, 77))
    for after in (78, 150, 102):
        with pytest.raises(Violation):
            check(steps(150, after))
    with pytest.raises(Inconclusive):
        check(steps(20, 150))
    with pytest.raises(Inconclusive):
        check(steps(150, 77, amount="?"))


def usage(role: str, *entries: Reading, later: float = 1_800_000_070.0, **changes: Any) -> Reading:
    data = [{**entry.body["metadata"], **changes} for entry in entries]
    return answer({"data": data}, role=role, operation="usage", started_at=later)


def test_trc_17_wants_each_answer_with_its_numbers() -> None:
    check = query.test_usage_is_found_by_its_trace
    plain, twin = real("plain"), real("streamed")
    streamed = stream(
        event({"type": "done", "metadata": twin.body["metadata"]}, "done"),
        b"data: [DONE]\n\n",
        role="streamed",
    )
    probe = [plain, streamed]
    check(gathered("usage_of_trace", *probe, usage("usage", plain, twin)))
    other = {"input": 40, "output": 9, "total": 49}
    for bad in (
        usage("usage"),
        usage("usage", plain),
        usage("usage", plain, twin, tokens_used=other),
        usage("usage", plain, twin, cost={"amount": "0.1", "currency": "USD"}),
        answer({}, status=404, role="usage"),
    ):
        with pytest.raises(Violation):
            check(gathered("usage_of_trace", *probe, bad))


def test_trc_17_gives_an_entry_a_minute() -> None:
    check, early = query.test_usage_is_found_by_its_trace, 1_800_000_010.0
    plain, streamed = real("plain"), real("streamed")
    with pytest.raises(Inconclusive, match="10 s"):
        check(gathered("usage_of_trace", plain, streamed, usage("usage", plain, later=early)))
    other = {"input": 40, "output": 9, "total": 49}
    with pytest.raises(Violation):
        check(
            gathered("usage_of_trace", plain, streamed, usage("usage", plain, later=early, tokens_used=other))
        )


def test_trc_22_wants_nothing_for_others() -> None:
    check = query.test_usage_of_another_principal_is_invisible
    check(gathered("usage_of_trace", usage("usage_of_other")))
    check(gathered("usage_of_trace", answer({"error": {}}, status=404, role="usage_of_other")))
    with pytest.raises(Inconclusive):
        check(gathered("usage_of_trace", answer({"error": {}}, status=503, role="usage_of_other")))
    with pytest.raises(Violation):
        check(gathered("usage_of_trace", usage("usage_of_other", real())))
    with pytest.raises(NotTested, match="--other-key"):
        check(gathered("usage_of_trace", usage("usage", real())))
