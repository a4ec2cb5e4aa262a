"""The report in each of its formats, and the comparison of two runs."""

from __future__ import annotations

import csv
import json
import re
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from running import LAX, Run, load, truth

from load.histogram import Histogram
from load.report.compare import compare, interval, proportion, table


def schema(package: str, name: str) -> Draft202012Validator:
    loaded = json.loads(files(package).joinpath(name).read_text("utf-8"))
    Draft202012Validator.check_schema(loaded)
    return Draft202012Validator(loaded, format_checker=FormatChecker())


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with truth("--first-ms=5", "--token-ms=2", "--tokens=8", "--limit=30", "--window=1") as url:
        return load(
            tmp_path_factory.mktemp("good"), url, "--mix=chat_stream=3,classify", "--users=4", "--duration=2",
            "--key=sk-very-secret", "--price=1:2", *LAX,
        )  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with truth("--first-ms=60", "--token-ms=2", "--tokens=8", "--defect=no_terminal", "--share=0.5") as url:
        return load(
            tmp_path_factory.mktemp("bad"),
            url,
            "--users=4",
            "--duration=20",
            "--max-calls=40",
            "--key=sk-very-secret",
            *LAX,
        )


@pytest.mark.parametrize("name", ["good", "bad"])
def test_the_json_keeps_its_schema_and_that_of_the_suite(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    assert list(schema("load.report", "load.schema.json").iter_errors(run.document)) == []
    verdicts = json.loads((run.folder / "verdicts.json").read_text("utf-8"))
    assert list(schema("conformance.report", "report.schema.json").iter_errors(verdicts)) == []
    assert verdicts == run.document["contract"]


def test_no_format_holds_the_key(good: Run, bad: Run) -> None:
    for run in (good, bad):
        for file in run.folder.iterdir():
            assert b"sk-very-secret" not in file.read_bytes(), file
        assert "sk-very-secret" not in run.out + run.err


def test_the_cost_is_told(good: Run) -> None:
    tokens = good.document["contract"]["tokens"]
    assert good.document["cost"] == pytest.approx((tokens["input"] + 2 * tokens["output"]) / 1e6)
    assert good.document["cost"] > 0


def test_the_page_has_plots_and_needs_nothing_else(good: Run, bad: Run) -> None:
    page = (good.folder / "report.html").read_text("utf-8")
    for title in ("End-to-end latency", "Time to first token", "Throughput against concurrency",
                  "429 and Retry-After", "inter-token latency"):  # fmt: skip
        assert title in page
    assert page.count("<svg") >= 8
    assert not re.search(r"<(script|link|img)\b|url\(|@import|src=", page)
    failed = (bad.folder / "report.html").read_text("utf-8")
    assert "SSE-04" in failed
    assert "<pre>byte" in failed


def test_junit_has_a_case_per_objective_and_requirement(bad: Run) -> None:
    suite = ElementTree.fromstring((bad.folder / "junit.xml").read_bytes())
    failed = {c.get("name", "").split()[0] for c in suite if c.find("failure") is not None}
    assert "SSE-04" in failed
    assert int(suite.get("tests", "0")) == len(suite) > 15
    assert int(suite.get("failures", "0")) == len([c for c in suite if c.find("failure") is not None])


def test_the_csv_has_a_line_per_second(good: Run) -> None:
    rows = list(csv.DictReader(StringIO((good.folder / "seconds.csv").read_text("utf-8"))))
    assert [int(r["second"]) for r in rows] == [s["second"] for s in good.document["seconds"]]
    assert sum(int(r["done"]) for r in rows) == sum(
        o["requests"] for o in good.document["operations"].values()
    )


def test_definitions_are_printed_with_the_numbers(good: Run) -> None:
    assert (
        "ttft: From the intended start to the receive that completed the first event with text." in good.out
    )


def run_of(values: list[float], failed: int = 0) -> dict[str, Any]:
    histogram = Histogram()
    histogram.extend(values)
    operation = {
        "requests": len(values) + failed,
        "ok": len(values),
        "histograms": {"ttft": histogram.plain()},
    }
    return {"operations": {"chat_stream": operation}}


def test_noise_is_no_change_and_a_change_is_one() -> None:
    one = run_of([0.1 + i * 1e-4 for i in range(200)])
    two = run_of([0.1 + i * 1.01e-4 for i in range(200)])
    slow = run_of([0.2 + i * 1e-4 for i in range(200)], failed=40)
    assert {c.verdict for c in compare(one, two)} == {"same"}
    assert {c.name: c.verdict for c in compare(one, slow)}["chat_stream ttft p50"] == "worse"
    assert {c.name: c.verdict for c in compare(one, slow)}["chat_stream errors"] == "worse"
    assert {c.name: c.verdict for c in compare(slow, one)}["chat_stream ttft p95"] == "better"
    assert "95 % interval" in table(compare(one, two))


def test_intervals_hold_what_they_should() -> None:
    histogram = Histogram()
    histogram.extend(i / 1000 for i in range(1, 1001))
    low, middle, high = interval(histogram, 0.5)
    assert low < middle < high
    assert middle == pytest.approx(500, rel=1e-3)
    assert (low, high) == (pytest.approx(469, abs=1), pytest.approx(531, abs=1))  # Wilcoxon's ranks, n = 1000
    low, share, high = proportion(0, 100)
    assert (low, share) == (0.0, 0.0)
    assert high == pytest.approx(0.037, abs=0.001)


def test_the_comparison_as_a_command(good: Run, bad: Run, tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "load", "compare", str(good.folder), str(bad.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"chat_stream errors .* worse", done.stdout)
    missing = subprocess.run([*command[:-1], str(tmp_path)], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
