"""JUnit XML, the form that CI systems read: one test suite per area, one test case per requirement.

There is no standard; this keeps to what the Jenkins and the Surefire schema have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.report.model import Report, area_title
from conformance.verdict import Result, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 section 2.2 cannot hold, not even escaped."""

_NONE: Mapping[str, str] = {}


def render_junit(report: Report) -> bytes:
    """The report as a UTF-8 XML document."""
    name = f"aiconform {report.evidence.target.get('base_url', '')}"
    root = _element("testsuites", None, {"name": name, **_totals(report.verdicts)})
    for area, verdicts in groupby(report.verdicts, key=lambda v: report.requirements[v.id].area):
        _suite(root, report, area, tuple(verdicts))
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(root: Element, report: Report, area: str, verdicts: tuple[Verdict, ...]) -> None:
    started = datetime.fromtimestamp(report.evidence.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = _element("testsuite", root, {"name": area_title(area), "timestamp": started, **_totals(verdicts)})
    properties = _element("properties", suite)
    facts = {
        "target": report.evidence.target.get("base_url", ""),
        "dialect": f"{report.dialect.name} {report.dialect.version}",
        "suite_version": report.evidence.suite_version,
        "contract_version": report.evidence.contract_version,
    }
    facts |= dict(line.split(": ", 1) for line in report.replica_lines)
    for name, value in facts.items():
        _element("property", properties, {"name": name, "value": str(value)})
    for verdict in verdicts:
        _case(suite, report, verdict)


def _case(suite: Element, report: Report, verdict: Verdict) -> None:
    requirement = report.requirements[verdict.id]
    case = _element(
        "testcase",
        suite,
        {
            "classname": f"aiconform.{requirement.area}",
            "name": f"{verdict.id} {requirement.text}",
            "time": f"{verdict.duration:.3f}",
        },
    )
    match verdict.result:
        case Result.PASS:
            pass
        case Result.WARN:
            _element("system-out", case).text = _clean(f"WARN\n{_explained(report, verdict)}")
        case Result.FAIL:
            failure = _element("failure", case, {"type": verdict.level, "message": verdict.detail})
            failure.text = _clean(_explained(report, verdict))
        case Result.ERROR:
            error = _element("error", case, {"type": "suite-fault", "message": verdict.detail})
            error.text = _clean(f"The suite's own fault, not the target's.\n{verdict.detail}")
        case Result.NOT_OFFERED | Result.NOT_TESTED | Result.INCONCLUSIVE:
            _element("skipped", case, {"message": f"{verdict.result}: {verdict.detail}"})


def _explained(report: Report, verdict: Verdict) -> str:
    requirement = report.requirements[verdict.id]
    parts = {
        "level": verdict.level,
        "expected": verdict.expected,
        "seen": verdict.seen,
        "at": report.place(verdict, 1),
        "why": requirement.why,
        "fix": requirement.fix,
        "source": requirement.source,
        "reproduce": report.reproduction(verdict),
    }
    return "\n".join(f"{name}: {value}" for name, value in parts.items() if value)


def _totals(verdicts: Iterable[Verdict]) -> Mapping[str, str]:
    kept = tuple(verdicts)
    results = [v.result for v in kept]
    skipped = (Result.NOT_OFFERED, Result.NOT_TESTED, Result.INCONCLUSIVE)
    return {
        "tests": str(len(results)),
        "failures": str(results.count(Result.FAIL)),
        "errors": str(results.count(Result.ERROR)),
        "skipped": str(sum(r in skipped for r in results)),
        "time": f"{sum(v.duration for v in kept):.3f}",
    }


def _element(tag: str, parent: Element | None, attributes: Mapping[str, str] = _NONE) -> Element:
    clean = {name: _clean(value) for name, value in attributes.items()}
    return Element(tag, clean) if parent is None else SubElement(parent, tag, clean)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
