"""SARIF against its schema, and what a code-scanning service makes of it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
import report_samples as samples
from public_schemas import sarif_validator

from conformance.gate.baseline import Baseline, Earlier
from conformance.gate.policy import Policy, Waiver
from conformance.report.model import Report
from conformance.report.sarif import render_sarif
from conformance.verdict import Result


def run(report: Report | None = None) -> Any:
    return json.loads(render_sarif(report or samples.report()))["runs"][0]


def with_policy(policy: Policy) -> Report:
    found = samples.report()
    return Report(found.evidence, found.dialect, found.verdicts, found.requirements, (), policy)


def hostile() -> Report:
    verdict = samples.verdict(
        "ERR-03", Result.FAIL, expected="x", seen="\ud800" + samples.HOSTILE, evidence=("x0003",)
    )
    return samples.report((verdict,))


@pytest.mark.parametrize("report", [samples.report(), samples.report(()), hostile()])
def test_it_is_valid(report: Report) -> None:
    sarif_validator().validate(json.loads(render_sarif(report)))


def test_the_schema_notices_a_wrong_document() -> None:
    document = json.loads(render_sarif(samples.report()))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert list(sarif_validator().iter_errors(document))


def test_failures_warnings_and_open_questions_are_results() -> None:
    found = {r["ruleId"]: (r["kind"], r["level"]) for r in run()["results"]}
    assert found == {
        "ERR-03": ("fail", "error"),
        "RATE-03": ("fail", "error"),
        "SSE-04": ("fail", "error"),
        "TRC-04": ("fail", "error"),
        "ERR-12": ("fail", "warning"),
        "SSE-11": ("fail", "warning"),
        "SSE-09": ("review", "none"),
    }


def test_a_result_points_at_its_rule_and_at_the_evidence() -> None:
    one = run()
    for result in one["results"]:
        assert one["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    location = next(r for r in one["results"] if r["ruleId"] == "SSE-11")["locations"][0]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "exchanges/x0002.response", "uriBaseId": "EVIDENCE"},
        "region": {"byteOffset": 12},
    }


def test_a_broken_check_is_the_tools_own_notification() -> None:
    invocation = run()["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert "SSE-21" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_waived_finding_is_suppressed_with_its_reason() -> None:
    day = date(2026, 11, 24)
    policy = Policy(waivers=(Waiver("ERR-03", "ticket 7", day),), day=day)
    found = {r["ruleId"]: r.get("suppressions") for r in run(with_policy(policy))["results"]}
    assert found["ERR-03"] == [{"kind": "external", "status": "accepted", "justification": "ticket 7"}]
    assert found["SSE-04"] is None
    sarif_validator().validate(json.loads(render_sarif(with_policy(policy))))


def test_a_baseline_tells_new_from_old() -> None:
    last = Baseline("last.json", {"ERR-03": Earlier("MUST", Result.FAIL, "t")})
    found = {r["ruleId"]: r["baselineState"] for r in run(with_policy(Policy(baseline=last)))["results"]}
    assert (found["ERR-03"], found["SSE-04"]) == ("unchanged", "new")


def test_no_fingerprint_depends_on_the_run() -> None:
    first = [r["partialFingerprints"] for r in run()["results"]]
    other = [
        r["partialFingerprints"] for r in run(samples.report(base_url="https://else.example"))["results"]
    ]
    assert first == other
