"""How a target stands: one sentence for the gate, notes beside it, a row per capability."""

from __future__ import annotations

from datetime import date

import pytest
import report_samples as samples

from conformance.claims import Claim
from conformance.gate.baseline import Baseline, Earlier
from conformance.gate.policy import BUILT_IN, FailOn, Policy, Waiver
from conformance.report.model import Report
from conformance.report.standing import capability_rows, gate_notes, gate_sentence
from conformance.verdict import Result

DAY = date(2026, 11, 24)
FAILED = ("ERR-03", "RATE-03", "SSE-04", "TRC-04")


def report(policy: Policy, claims: tuple[Claim, ...] = (), broken: bool = False) -> Report:
    found = samples.report()
    kept = tuple(v for v in found.verdicts if broken or v.result is not Result.ERROR)
    return Report(found.evidence, found.dialect, kept, found.requirements, claims, policy)


def waived(*ids: str) -> Policy:
    return Policy(waivers=tuple(Waiver(i, "ticket 7", DAY) for i in ids), day=DAY)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (Policy(), "The gate fails: 4 MUST requirements are not kept."),
        (waived(*FAILED[1:]), "The gate fails: 1 MUST requirement is not kept."),
        (waived(*FAILED), "The gate passes, with 4 MUST requirements not kept that it was told to accept."),
        (
            Policy(baseline=Baseline("last.json", {i: Earlier("MUST", Result.FAIL, "t") for i in FAILED[1:]})),
            "The gate fails: 1 MUST requirement is not kept any more.",
        ),
        (waived(*FAILED, "ERR-07"), "The gate fails: the waiver of ERR-07 is stale: the requirement is kept now; remove it."),
    ],
)  # fmt: skip
def test_the_gate_in_one_sentence(policy: Policy, says: str) -> None:
    assert gate_sentence(report(policy)) == says


def test_nothing_judged_is_no_result() -> None:
    assert gate_sentence(samples.report(())) == "No result: nothing could be judged."


def test_a_clean_run_passes() -> None:
    clean = samples.report((samples.verdict("ERR-07", Result.PASS),))
    assert gate_sentence(clean) == "The gate passes: every MUST requirement that could be judged is kept."
    assert gate_notes(clean) == ()


def test_notes_say_what_verdicts_do_not() -> None:
    policy = Policy(
        BUILT_IN["enterprise"],
        FailOn(),
        (Waiver("SSE-04", "ticket 7", DAY),),
        Baseline("last.json", {"TRC-04": Earlier("MUST", Result.FAIL, "t")}),
        DAY,
    )
    claim = Claim("usage", ("the tester",), "not kept", "no answer reports usage", unshown=True)
    assert gate_notes(report(policy, (claim,))) == (
        "the profile enterprise demands what is not offered: idempotency",
        "advertised, not kept: usage (the tester): no answer reports usage",
        "Waived until 2026-11-24: SSE-04: ticket 7",
        "New since the baseline: ERR-03, RATE-03, SSE-04",
        "Known since the baseline: TRC-04",
    )


def test_a_capability_says_who_claims_and_who_demands_it() -> None:
    claims = (
        Claim("streaming", ("GET /capabilities",), "not kept", "SSE-04 failed"),
        Claim("usage", ("its OpenAPI document",), "kept", "4 of 4"),
        Claim("rate_limits", (), "not advertised", "kept all the same"),
    )
    rows = {r.name: r for r in capability_rows(report(Policy(BUILT_IN["core"]), claims))}
    assert next(iter(rows)) == "core"
    assert {name: r.note for name, r in rows.items()} == {
        "core": "demanded by the profile",
        "idempotency": "",
        "rate_limits": "kept, not advertised",
        "streaming": "advertised by GET /capabilities, not kept: SSE-04 failed",
        "usage": "advertised by its OpenAPI document",
    }
    assert rows["streaming"].counts[Result.FAIL] == 1
