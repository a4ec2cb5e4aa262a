"""Verdicts of a load run in the report format of ``aiconform check`` (``urn:aiconform:report:1``)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from load.ledger import Record
from spec.catalogue import Requirement, requirements
from spec.document import contract_version

if TYPE_CHECKING:
    from load.outcome import Outcome

RESULTS = ("PASS", "FAIL", "WARN", "NOT_OFFERED", "NOT_TESTED", "INCONCLUSIVE", "ERROR")
LEVELS = ("MUST", "SHOULD", "MAY")
LONE = frozenset({"SSE-34"})
"""A network may break one connection of many: one alone decides nothing."""


def verdicts_of(outcome: Outcome) -> list[dict[str, Any]]:
    """A verdict per requirement that the run could judge, in catalogue order."""
    records = outcome.tally.ledger.records
    return [_verdict(r, records[r.id]) for r in requirements().values() if r.id in records]


def report_of(outcome: Outcome) -> dict[str, Any]:
    """The whole report; it is valid against the schema of the suite's own report."""
    verdicts = verdicts_of(outcome)
    counts = Counter(v["verdict"] for v in verdicts)
    pairs = Counter((v["level"], v["verdict"]) for v in verdicts)
    failed = [v["id"] for v in verdicts if v["verdict"] == "FAIL"]
    judged = counts["PASS"] + counts["FAIL"] + counts["WARN"]
    reasons = []
    if failed:
        reasons.append(f"{len(failed)} MUST requirements not kept: {', '.join(failed)}")
    if not judged:
        reasons.append("nothing could be judged")
    config, tally = outcome.config, outcome.tally
    return {
        "$schema": "urn:aiconform:report:1",
        "suite_version": suite_version(),
        "contract_version": contract_version(),
        "target": config.target.public(),
        "dialect": {"name": config.dialect.name, "version": config.dialect.version},
        "started_at": datetime.fromtimestamp(outcome.started_at, UTC).isoformat(),
        "duration_seconds": round(outcome.seconds, 3),
        "calls": tally.own["sent"],
        "tokens": {"input": tally.total("tokens_in"), "output": tally.total("tokens_out")},
        "summary": {
            "verdicts": {r: counts[r] for r in RESULTS},
            "levels": {level: {r: pairs[level, r] for r in RESULTS} for level in LEVELS},
            "judged": judged,
            "applicable": len(verdicts) - counts["NOT_OFFERED"],
            "total": len(verdicts),
        },
        "gate": {
            "passed": not reasons,
            "exit_code": 1 if failed else 3 if reasons else 0,
            "reasons": reasons,
        },
        "verdicts": verdicts,
    }


def suite_version() -> str:
    try:
        return version("aiconform")
    except PackageNotFoundError:  # run from a source tree
        return "0"


def _verdict(requirement: Requirement, record: Record) -> dict[str, Any]:
    result, detail = _result(requirement, record)
    first = record.samples[0] if record.samples and result in ("FAIL", "WARN") else {}
    bad = result in ("FAIL", "WARN")
    return {
        "id": requirement.id,
        "level": requirement.level,
        "capability": requirement.capability,
        "verdict": result,
        "detail": detail,
        "expected": first.get("expected", ""),
        "seen": first.get("seen", ""),
        "where": first.get("where", ""),
        "evidence": [s["exchange"] for s in record.samples] if bad else [],
        "check": "load",
        "text": requirement.text,
        "why": requirement.why if bad else "",
        "fix": requirement.fix if bad else "",
        "reproduce": "",
    }


def _result(requirement: Requirement, record: Record) -> tuple[str, str]:
    if record.broken and not (requirement.id in LONE and record.broken == 1 and record.judged > 1):
        result = "FAIL" if requirement.level == "MUST" else "WARN"
        sample = record.samples[0] if record.samples else {"expected": "", "seen": ""}
        shown = f"expected {sample['expected']}; seen {sample['seen']}"
        return result, f"broken in {record.broken:,} of {record.judged:,} judged: {shown}"
    if record.broken:
        return "INCONCLUSIVE", f"1 of {record.judged:,} streams broke: the network may have done that"
    if record.judged:
        return "PASS", f"kept in all {record.judged:,} judged"
    return "INCONCLUSIVE", record.doubt or "nothing decisive was seen"
