"""TRC: usage that is found by its trace, by whom it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from conformance.checks.amounts import decimal
from conformance.checks.metadata import described
from conformance.checks.refusals import brief, decisive
from conformance.checks.sameness import answered
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

A_MINUTE = 60.0


@check("TRC-17")
def test_usage_is_found_by_its_trace(usage_of_trace: Probed) -> str:
    """Each answer under the trace, with the tokens and the cost that it told."""
    seen = decisive(usage_of_trace["usage"])
    expect(seen.ok, expected="a 2xx answer", seen=brief(seen), at=seen)
    listed = seen.body.get("data") if isinstance(seen.body, dict) else None
    entries = {e.get("request_id"): e for e in listed or () if isinstance(e, dict)}
    answers = described([answered(usage_of_trace[role]) for role in ("plain", "streamed")])
    missing = []
    for answer in answers:
        name, told = answer.metadata.get("request_id"), _amounts(answer.metadata)
        if name not in entries:
            missing.append(name)
            continue
        expect(
            _amounts(entries[name]) == told,
            expected=f"an entry for {name} with (input, output, cost) {told}",
            seen=_amounts(entries[name]),
            at=seen,
            where="/data",
        )
    waited = seen.exchange.started_at - max(_ended(answer.reading) for answer in answers)
    if missing and waited < A_MINUTE:
        raise Inconclusive(f"no entry for {missing[0]} after {waited:.0f} s: it may come within a minute")
    expect(
        not missing,
        expected=f"an entry for each of {len(answers)} answers within a minute",
        seen=f"none for {', '.join(map(str, missing))}",
        at=seen,
        where="/data",
    )
    return f"{len(entries)} entries"


@check("TRC-22")
def test_usage_of_another_principal_is_invisible(usage_of_trace: Probed) -> str:
    """The other key asks for the same trace and learns nothing."""
    if usage_of_trace.get("usage_of_other") is None:
        raise NotTested("needs a second credential: --other-key")
    seen = decisive(usage_of_trace["usage_of_other"])
    listed = seen.body.get("data") if isinstance(seen.body, dict) else None
    expect(
        (seen.ok and listed == []) or seen.status in (403, 404),
        expected="an empty list (or 404)",
        seen=listed if seen.ok else brief(seen),
        at=seen,
        where="/data",
    )
    return "nothing to see"


def _ended(reading: Reading) -> float:
    return reading.exchange.started_at + (reading.exchange.t_end or 0.0)


def _amounts(block: Mapping[str, Any]) -> tuple[Any, Any, Decimal | None]:
    tokens, cost = block.get("tokens_used"), block.get("cost")
    used = tokens if isinstance(tokens, dict) else {}
    return (
        used.get("input"),
        used.get("output"),
        decimal(cost.get("amount") if isinstance(cost, dict) else None),
    )
