"""What is published under docs/results/ is whole, reviewed, and tells nothing about the machine it came from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import table

import conformance.report

SCHEMA = json.loads((Path(conformance.report.__file__).parent / "report.schema.json").read_text("utf-8"))
PRIVATE = re.compile(r"/(?:home|root|work|tmp|Users)/|\b(?:10|172|192)\.\d+\.\d+\.\d+\b")


def test_every_flagged_verdict_was_reviewed() -> None:
    assert table.unreviewed() == []


def test_the_page_is_made_from_the_reports() -> None:
    assert (table.RESULTS / "README.md").read_text("utf-8") == table.page()


@pytest.mark.parametrize("name", sorted(table.reports()))
def test_a_report_is_valid_and_has_no_fault_of_ours(name: str) -> None:
    report = table.reports()[name]["report"]
    jsonschema.validate(report, SCHEMA)
    assert report["summary"]["verdicts"]["ERROR"] == 0
    assert report["calls"] <= 80


@pytest.mark.parametrize("path", sorted(table.RESULTS.iterdir()), ids=lambda p: p.name)
def test_nothing_published_tells_of_the_machine(path: Path) -> None:
    found = PRIVATE.search(path.read_text("utf-8"))
    assert found is None, found


def test_a_review_must_name_a_flagged_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    run = {"report": {"verdicts": [{"id": "SSE-04", "verdict": "FAIL"}, {"id": "SSE-05", "verdict": "PASS"}]}}
    monkeypatch.setattr(table, "reports", lambda: {"thing-a": run})
    monkeypatch.setattr(table, "findings", lambda: {"thing": {"SSE-05": {}}})
    assert table.unreviewed() == ["thing-a: SSE-04 is flagged, and nobody read its bytes"]
    assert table.outdated() == ["thing: SSE-05 was reviewed, and is not flagged any more"]
    monkeypatch.setattr(table, "findings", lambda: {"thing": {}, "thing-a": {"SSE-04": {}}})
    assert (table.unreviewed(), table.outdated()) == ([], [])
