"""Why the verdicts can be believed: the kill matrix; and the first page, with a report of a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from conformance.registry import CHECKS, load_all
from conformance.report.model import area_title
from conformance.report.saved import SavedReport, read_report
from conformance.report.wording import ORDER, words
from conformance.verdict import Result
from handbook.page import Found, Item, Page
from handbook.places import ROOT
from reference_impl.mutants import SUBJECTS
from spec.catalogue import areas, requirements
from spec.errors import ERRORS

RESULTS = ROOT / "docs" / "results"
SHOWN = "litellm"
"""The server whose report is on the first page: the only widely used gateway among those that were run."""


@dataclass(frozen=True)
class Bar:
    """One area of a report: how many requirements have which verdict, of those that apply."""

    name: str
    title: str
    counts: Sequence[tuple[Result, int]]
    judged: int
    applicable: int


def proof_page() -> Page:
    """Which mutants prove each check, and what each of them does wrong."""
    load_all()
    mutants = [s for s in SUBJECTS if s.kind == "mutant"]
    by_requirement = {i: [s.name for s in mutants if i in s.violates] for i in requirements()}
    data = {
        "areas": areas(),
        "checks": CHECKS,
        "by_requirement": by_requirement,
        "mutants": sorted(mutants, key=lambda s: s.name),
        "variants": sorted((s for s in SUBJECTS if s.kind == "variant"), key=lambda s: s.name),
    }
    aside = [
        Item("Proof"),
        Item("Kill matrix", "proof/index.html"),
        Item("Mutants", "proof/index.html#mutants"),
        Item("Variants", "proof/index.html#variants"),
        Item("What dialects can say", "proof/dialects/index.html"),
        Item("Performance", "proof/performance/index.html"),
    ]
    search = [Found("mutant", s.name, f"proof/index.html#mutant-{s.name}", s.story) for s in mutants]
    about = "Every check is proven on servers with exactly one deliberate defect."
    return Page("proof/index.html", "Kill matrix", "proof.html.j2", about, data, aside, search)


def start_page(reports: Sequence[str]) -> Page:
    """What this is, in one screen. ``reports`` are the files of whole reports that the build has made."""
    saved = read_report(RESULTS / f"{SHOWN}.json")
    runs: Mapping[str, Any] = yaml.safe_load((RESULTS / "runs.yaml").read_text("utf-8"))
    findings = [
        v for r in (Result.FAIL, Result.WARN) for v in saved.document["verdicts"] if v["verdict"] == r
    ]
    data = {
        "bars": bars(saved),
        "saved": saved.document,
        "server": runs[SHOWN]["servers"][0],
        "shown": SHOWN,
        "findings": unlike(findings)[:3],
        "counts": Counter(Result(v["verdict"]) for v in saved.document["verdicts"]),
        "order": ORDER,
        "words": words,
        "reports": reports,
        "requirements": len(requirements()),
        "errors": len(ERRORS),
        "mutants": sum(s.kind == "mutant" for s in SUBJECTS),
        "variants": sum(s.kind == "variant" for s in SUBJECTS),
    }
    about = "The operational contract of an enterprise AI API, and the instrument that tells whether an API keeps it."
    return Page("index.html", "Aiconform", "start.html.j2", about, data)


def unlike(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One finding of each area, and none that shows what another shows: one defect may break several requirements."""
    known = requirements()
    areas_shown: set[str] = set()
    seen: set[str] = set()
    found = []
    for finding in findings:
        area = known[finding["id"]].area
        if area not in areas_shown and finding["seen"] not in seen:
            found.append(finding)
            areas_shown.add(area)
            seen.add(finding["seen"])
    return found


def bars(saved: SavedReport) -> list[Bar]:
    """The areas of which something applies, in catalogue order."""
    known = requirements()
    listed = [v for v in saved.document["verdicts"] if v["id"] in known]
    found = []
    for name, group in groupby(listed, key=lambda v: known[v["id"]].area):
        counts = Counter(Result(v["verdict"]) for v in group)
        applicable = counts.total() - counts[Result.NOT_OFFERED]
        if applicable:
            shown = [(r, counts[r]) for r in ORDER if counts[r] and r is not Result.NOT_OFFERED]
            judged = sum(n for r, n in counts.items() if r.judged)
            found.append(Bar(name, area_title(name), shown, judged, applicable))
    return found


def published() -> list[Path]:
    """The JSON reports of servers that others wrote."""
    return sorted(RESULTS.glob("*.json"))
