"""The JSON report keeps its schema, whatever was found and whatever a server sent."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from jsonschema import Draft202012Validator

from conformance.report.model import SCHEMA_ID, Report
from conformance.report.write import ReportError, write_html, write_json, write_junit
from conformance.verdict import Result

SCHEMA: Any = json.loads((files("conformance.report") / "report.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def written(report: Report, folder: Path) -> Any:
    path = folder / "made" / "on" / "the" / "way" / "report.json"
    write_json(report, path)
    return json.loads(path.read_bytes())


def test_the_schema_is_a_schema_with_the_reports_id() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == SCHEMA_ID


def test_a_report_with_every_kind_of_verdict_is_valid(tmp_path: Path) -> None:
    found = written(samples.report(), tmp_path)
    VALIDATOR.validate(found)
    assert {v["verdict"] for v in found["verdicts"]} == {str(r) for r in Result}
    assert found["summary"]["judged"] == 8
    assert found["summary"]["applicable"] == 12
    assert found["gate"] == {
        "passed": False,
        "exit_code": 1,
        "reasons": [
            "4 MUST requirements not kept: ERR-03, RATE-03, SSE-04, TRC-04",
            "1 check broke, the suite's own fault: SSE-21",
        ],
        "fail_on": ["must"],
        "waived": [],
    }


@pytest.mark.parametrize(
    ("results", "exit_code"),
    [
        ((Result.PASS,), 0),
        ((Result.PASS, Result.NOT_TESTED), 0),
        ((Result.ERROR, Result.PASS), 3),
        ((Result.NOT_TESTED,), 3),
        ((), 3),
        ((Result.FAIL, Result.ERROR), 1),
    ],
)
def test_the_gate_says_why_it_does_not_pass(
    results: tuple[Result, ...], exit_code: int, tmp_path: Path
) -> None:
    ids = ("SSE-04", "SSE-20")
    found = written(
        samples.report(tuple(samples.verdict(i, r, "so") for i, r in zip(ids, results, strict=False))),
        tmp_path,
    )
    VALIDATOR.validate(found)
    assert found["gate"]["exit_code"] == exit_code
    assert bool(found["gate"]["reasons"]) == (exit_code != 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.update(extra=1),
        lambda r: r["verdicts"][0].pop("text"),
        lambda r: r["verdicts"][0].update(verdict="SKIPPED"),
        lambda r: r["verdicts"][0].update(level="SHOULD"),
        lambda r: r["gate"].update(passed=True),
        lambda r: r["summary"]["verdicts"].pop("PASS"),
    ],
)
def test_the_schema_refuses_what_is_no_report(spoil: Any) -> None:
    found = samples.report().as_json()
    spoil(found)
    assert not VALIDATOR.is_valid(found)


def test_a_lone_surrogate_of_a_server_survives_as_an_escape(tmp_path: Path) -> None:
    seen = 'a lone \ud83d and "quotes" \\ \u202e'
    report = samples.report(
        (samples.verdict("SSE-04", Result.FAIL, expected="text", seen=seen, evidence=("x0001",)),)
    )
    assert written(report, tmp_path)["verdicts"][0]["seen"] == seen


def test_what_was_judged_is_reproduced_without_a_credential(tmp_path: Path) -> None:
    found = {v["id"]: v for v in written(samples.report(), tmp_path)["verdicts"]}
    assert '"$AICONFORM_LIMITED_KEY"' in found["RATE-03"]["reproduce"]
    assert found["ERR-07"]["reproduce"] == ""


@pytest.mark.parametrize("write", [write_json, write_junit, write_html])
def test_a_path_that_cannot_be_written_is_one_line(write: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "report", tmp_path):
        with pytest.raises(ReportError) as caught:
            write(samples.report(), path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_report_replaces_the_one_before_at_once(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with path.open() as reader:
        write_json(samples.report(), link)
        assert reader.read() == "old"
    assert link.is_symlink()
    assert json.loads(path.read_text("utf-8"))["calls"] == 13
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.json", "report.json"]
