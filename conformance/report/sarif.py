"""SARIF 2.1.0 (OASIS), the form that code-scanning services read: one rule per requirement, one result per finding.

A result is located where a reader of the repository can look: in the folder of the evidence, at the exchange. It
keeps its identity from run to run by the requirement alone, so that a service can tell old findings from new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.report.model import Report
from conformance.report.plain import visible
from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Mapping[Result, str] = {Result.FAIL: "error", Result.WARN: "warning"}
_KINDS: Mapping[Result, str] = {Result.FAIL: "fail", Result.WARN: "fail", Result.INCONCLUSIVE: "review"}
NOWHERE = "run.json"
"""The file of the evidence that a finding without an exchange points at."""


def render_sarif(report: Report) -> bytes:
    """The report as a UTF-8 JSON document. Failures, warnings and what a human has to look at are results; broken
    checks are notifications of the tool."""
    rules = list(report.requirements.values())
    index = {r.id: i for i, r in enumerate(rules)}
    started = datetime.fromtimestamp(report.evidence.started_at, UTC)
    ended = started + timedelta(seconds=report.evidence.duration)
    run = {
        "tool": {
            "driver": {
                "name": "aiconform",
                "semanticVersion": report.evidence.suite_version or "0.0.0",
                "rules": [_rule(r) for r in rules],
            }
        },
        "automationDetails": {"id": f"aiconform/{report.dialect.name}/"},
        "originalUriBaseIds": {"EVIDENCE": {"description": {"text": "The folder `evidence` of the run."}}},
        "invocations": [
            {
                "executionSuccessful": not report.counts[Result.ERROR],
                "exitCode": report.gate.exit_code,
                "startTimeUtc": _utc(started),
                "endTimeUtc": _utc(ended),
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": f"{v.id}: {visible(v.detail)}"}}
                    for v in report.verdicts
                    if v.result is Result.ERROR
                ],
            }
        ],
        "results": [_result(report, v, index[v.id]) for v in report.verdicts if v.result in _KINDS],
        "properties": {
            "target": report.evidence.target.get("base_url", ""),
            **({"replicas": report.evidence.target["replicas"]} if report.replica_lines else {}),
            "gatePassed": report.gate.passed,
        },
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _rule(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "shortDescription": {"text": requirement.text},
        "fullDescription": {"text": f"{requirement.text} {requirement.why}"},
        "help": {"text": f"{requirement.fix} Source: {requirement.source}"},
        "defaultConfiguration": {"level": "error" if requirement.level == "MUST" else "warning"},
        "properties": {"tags": [requirement.capability, requirement.level]},
    }


def _result(report: Report, verdict: Verdict, rule: int) -> dict[str, Any]:
    exchange = next((i for i in verdict.evidence if i in report.exchanges), None)
    found: dict[str, Any] = {
        "ruleId": verdict.id,
        "ruleIndex": rule,
        "kind": _KINDS[verdict.result],
        "level": _LEVELS.get(verdict.result, "none"),
        "message": {"text": visible(verdict.detail) or str(verdict.result)},
        "locations": [_location(exchange, verdict.where)],
        "partialFingerprints": {"requirement/v1": verdict.id},
    }
    waiver = next((w for w in report.gate.waived if w.requirement == verdict.id), None)
    if waiver:
        found["suppressions"] = [{"kind": "external", "status": "accepted", "justification": waiver.reason}]
    change = report.gate.change
    if change:
        found["baselineState"] = "new" if verdict.id in change.new else "unchanged"
    reproduction = report.reproduction(verdict)
    if reproduction:
        found["properties"] = {"reproduce": reproduction}
    return found


def _location(exchange: str | None, where: str) -> dict[str, Any]:
    uri = f"exchanges/{exchange}.response" if exchange else NOWHERE
    place: dict[str, Any] = {"artifactLocation": {"uri": uri, "uriBaseId": "EVIDENCE"}}
    kind, _, number = where.partition(" ")
    if exchange and kind == "byte" and number.isdigit():
        place["region"] = {"byteOffset": int(number)}
    location: dict[str, Any] = {"physicalLocation": place}
    if where:
        location["logicalLocations"] = [{"fullyQualifiedName": visible(where)}]
    return location
