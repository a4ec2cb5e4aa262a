"""``docs/results/``: one JSON report per server, and a page with the table of all and their reviewed findings.

    python tests/interop/table.py

``findings.yaml`` holds what a person found when reading the bytes behind each FAIL and WARN. The page is made from the
reports and from it; a verdict that nobody reviewed, and a review whose verdict is gone, are told.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from conformance.report.matrix import matrix_of, render_matrix_markdown
from conformance.report.saved import read_report

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
PROVENANCE = RESULTS / "runs.yaml"
FIRST_RUNS = RESULTS / "first-runs.yaml"
FLAGGED = ("FAIL", "WARN")
SHOWN = {
    "PASS": "PASS",
    "FAIL": "FAIL",
    "WARN": "WARN",
    "NOT_OFFERED": "not offered",
    "NOT_TESTED": "not tested",
    "INCONCLUSIVE": "inconclusive",
}

INTRODUCTION = """\
# Results on real servers

The whole suite, run on servers that others wrote, in the versions that `tests/interop/requirements/` pins.
`make interop` makes the environments, starts each server, judges it and writes this folder anew; `make interop
CASES=NAME` does so for one. Beside this page are the JSON report of each run, and `runs.yaml`, which says how each came
about. `findings.yaml` is written by hand: behind every FAIL and WARN somebody read the recorded bytes.

LLMock and the tiny random model are no products: their rows show what the instrument sees, not whom to blame.
"""


FIRST_INTRODUCTION = """\
## Without a flag

What a newcomer types: `aiconform init URL` in an empty folder, then `aiconform check`. Where one address speaks several
formats, `init` takes OpenAI's chat completions unless `--dialect` names another.
"""


def publish(name: str, report: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Keep the report of one run, a verdict per line, and where it comes from."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    head = {k: v for k, v in report.items() if k != "verdicts"}
    verdicts = ",\n".join(json.dumps(v, ensure_ascii=False) for v in report["verdicts"])
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "verdicts": [\n{verdicts}\n]}}\n'
    (RESULTS / f"{name}.json").write_text(text, "utf-8")
    runs = {**_provenances(), name: provenance}
    PROVENANCE.write_text(yaml.safe_dump(runs, sort_keys=True, width=110, allow_unicode=True), "utf-8")


def publish_first_run(name: str, row: dict[str, Any]) -> None:
    """Keep what `init` and `check` without a flag made of one server."""
    rows = {**_first_runs(), name: row}
    FIRST_RUNS.write_text(yaml.safe_dump(rows, sort_keys=True, width=110, allow_unicode=True), "utf-8")


def _first_runs() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(FIRST_RUNS.read_text("utf-8")) if FIRST_RUNS.is_file() else {}


def reports() -> dict[str, dict[str, Any]]:
    """What was published, by case: ``provenance`` and ``report``."""
    return {
        name: {"provenance": p, "report": json.loads((RESULTS / f"{name}.json").read_text("utf-8"))}
        for name, p in sorted(_provenances().items())
    }


def _provenances() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(PROVENANCE.read_text("utf-8")) if PROVENANCE.is_file() else {}


def findings() -> dict[str, dict[str, dict[str, str]]]:
    """The reviews: case or its server, requirement, then ``seen`` (bytes as recorded) and ``cause``."""
    path = RESULTS / "findings.yaml"
    return yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}


def reviews_of(name: str) -> dict[str, dict[str, str]]:
    """The reviews that hold for a case: its server's (``llmock``), and its own (``llmock-stall``)."""
    known = findings()
    return {**known.get(name.partition("-")[0], {}), **known.get(name, {})}


def unreviewed() -> list[str]:
    """Flagged verdicts whose bytes nobody read; empty when all is settled."""
    return [
        f"{name}: {verdict['id']} is flagged, and nobody read its bytes"
        for name, run in reports().items()
        for verdict in flagged(run)
        if verdict["id"] not in reviews_of(name)
    ]


def outdated() -> list[str]:
    """Reviews of what no run shows any more."""
    seen = {(name, v["id"]) for name, run in reports().items() for v in flagged(run)}
    return [
        f"{key}: {i} was reviewed, and is not flagged any more"
        for key, reviewed in findings().items()
        for i in reviewed
        if not any(i == found and name.startswith(key) for name, found in seen)
    ]


def flagged(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The FAIL and WARN verdicts of a run, the worst first."""
    found = [v for v in run["report"]["verdicts"] if v["verdict"] in FLAGGED]
    return sorted(found, key=lambda v: (v["verdict"], v["id"]))


def write_readme() -> None:
    """Make the page anew, and the table of targets and capabilities."""
    (RESULTS / "README.md").write_text(page(), "utf-8")
    saved = [read_report(path) for path in sorted(RESULTS.glob("*.json"))]
    (RESULTS / "matrix.md").write_text(render_matrix_markdown(matrix_of(saved, RESULTS)), "utf-8")


def page() -> str:
    """The page of all that is published, as Markdown."""
    runs = reports()
    lines = [INTRODUCTION, *_table(runs), "", *_first_table()]
    for name, run in runs.items():
        lines += _section(name, run)
    return "\n".join(lines)


def _table(runs: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        f"| server | judged | {' | '.join(SHOWN.values())} | calls | seconds |",
        f"|---|{'---:|' * (len(SHOWN) + 3)}",
    ]
    for name, run in runs.items():
        report, summary = run["report"], run["report"]["summary"]
        counts = " | ".join(str(summary["verdicts"][r]) for r in SHOWN)
        judged = f"{summary['judged']} of {summary['applicable']}"
        seconds = run["provenance"]["seconds"]
        lines.append(f"| [{name}]({name}.json) | {judged} | {counts} | {report['calls']} | {seconds} |")
    return lines


def _first_table() -> list[str]:
    lines = [
        FIRST_INTRODUCTION,
        "| server | `init` | found | judged | calls | seconds |",
        "|---|---|---|---:|---:|---:|",
    ]
    for name, row in _first_runs().items():
        figures = " | ".join(str(row[key]) for key in ("judged", "calls", "seconds"))
        lines.append(f"| {name} | `{row['init']}` | {row['found']} | {figures} |")
    return [*lines, ""]


def _section(name: str, run: dict[str, Any]) -> list[str]:
    where, reviewed = run["provenance"], reviews_of(name)
    lines = [f"## {name}", "", f"{', in front of '.join(where['servers'])}: {where['about']}.", ""]
    lines += ["```sh", *where["started_with"], where["checked_with"], "```", ""]
    found = flagged(run)
    if not found:
        return [*lines, "Nothing was flagged.", ""]
    lines += ["| requirement | verdict | seen | cause |", "|---|---|---|---|"]
    for verdict in found:
        review = reviewed.get(verdict["id"], {})
        seen, cause = review.get("seen", ""), review.get("cause", "not reviewed")
        lines.append(f"| {verdict['id']} | {verdict['verdict']} | {_code(seen)} | {_cell(cause)} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


if __name__ == "__main__":
    write_readme()
    print("\n".join(outdated()))
    sys.exit("\n".join(unreviewed()) or 0)
