"""Where a run had several replicas, a report names the one behind each exchange; where not, it is as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import report_samples as samples
from jsonschema import Draft202012Validator
from public_schemas import sarif_validator

from conformance.evidence import Sent
from conformance.replicas import Naming
from conformance.report.html import render_html
from conformance.report.junit import render_junit
from conformance.report.markdown import render_markdown
from conformance.report.model import Report
from conformance.report.sarif import render_sarif

SECOND = "https://two.vendor.example/api/v1"
NAMED = f"replica 2: {SECOND}"
SCHEMA: Any = json.loads((files("conformance.report") / "report.schema.json").read_text("utf-8"))


def several() -> Report:
    """Exchange x0003 went to the second of two replicas, all others to the first."""
    sent = tuple(
        replace(e, sent=Sent("POST", f"{SECOND}/chat", e.sent.headers, e.sent.body)) if e.id == "x0003" else e
        for e in samples.exchanges()
    )
    return samples.report(sent=sent, replicas=[samples.BASE, SECOND])


def test_the_json_report_is_valid_and_says_it_beside_the_evidence() -> None:
    found = several().as_json()
    Draft202012Validator(SCHEMA).validate(found)
    verdicts = {v["id"]: v for v in found["verdicts"]}
    assert verdicts["ERR-03"]["replicas"] == [NAMED]
    assert verdicts["TRC-04"]["replicas"] == [f"replica 1: {samples.BASE}"]
    assert "replicas" not in verdicts["ERR-07"]


def test_all_formats_name_it() -> None:
    report = several()
    for text in (render_html(report), render_markdown(report), render_junit(report).decode()):
        assert NAMED in text
    sarif = json.loads(render_sarif(report))
    sarif_validator().validate(sarif)
    assert sarif["runs"][0]["properties"]["replicas"] == [samples.BASE, SECOND]


def test_a_report_of_one_replica_is_as_ever() -> None:
    report = samples.report()
    assert not any("replicas" in v for v in report.as_json()["verdicts"])
    for text in (render_html(report), render_markdown(report), render_junit(report).decode()):
        assert "replica" not in text
    assert "replica" not in json.dumps(json.loads(render_sarif(report))["runs"][0]["results"])


def test_only_exchanges_of_the_run_are_named() -> None:
    naming = Naming(several().evidence)
    assert naming.prose("x0003 and x9999, xx0003, x00031") == f"x0003 ({NAMED}) and x9999, xx0003, x00031"
    assert Naming(samples.report().evidence).prose("x0003") == "x0003"
