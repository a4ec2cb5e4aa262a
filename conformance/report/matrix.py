"""Several reports side by side: one column per target, one row per capability, each cell with its evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.report.html import prose, style
from conformance.report.markdown import code, plain, table
from conformance.report.plain import visible
from conformance.report.saved import SavedReport
from conformance.report.wording import words
from conformance.verdict import Result

State = Literal["kept", "partly", "broken", "not judged", "not offered", "absent"]
_MARKS: Mapping[State, str] = {
    "kept": "✅",
    "partly": "⚠️",
    "broken": "❌",
    "not judged": "❔",
    "not offered": "–",
    "absent": "",
}
_TONES: Mapping[State, str] = {
    "kept": "pass",
    "partly": "warn",
    "broken": "fail",
    "not judged": "not-tested",
    "not offered": "not-offered",
}
"""The style of the badge; the colours are those of the report's verdicts."""

MEANING: Mapping[State, str] = {
    "kept": "everything that was judged is kept",
    "partly": "every MUST that was judged is kept, a recommendation is not",
    "broken": "a MUST is not kept",
    "not judged": "offered or possible, but nothing of it could be judged",
    "not offered": "not offered, or not in this wire format",
    "absent": "not part of that report",
}


@dataclass(frozen=True)
class Cell:
    """One capability of one target. ``verdicts`` as in the report, what is worst first."""

    column: int
    row: int
    verdicts: tuple[Mapping[str, Any], ...]

    @cached_property
    def counts(self) -> Mapping[Result, int]:
        results = [Result(v["verdict"]) for v in self.verdicts]
        return {r: results.count(r) for r in Result}

    @property
    def judged(self) -> int:
        return sum(n for r, n in self.counts.items() if r.judged)

    @property
    def applicable(self) -> int:
        return len(self.verdicts) - self.counts[Result.NOT_OFFERED]

    @property
    def state(self) -> State:
        if not self.verdicts:
            return "absent"
        if self.counts[Result.FAIL]:
            return "broken"
        if not self.applicable:
            return "not offered"
        if not self.judged:
            return "not judged"
        return "partly" if self.counts[Result.WARN] else "kept"

    @property
    def text(self) -> str:
        """As it stands in the table; a number is never of what was not judged."""
        if self.state in ("absent", "not offered", "not judged"):
            return "" if self.state == "absent" else self.state
        return f"{self.counts[Result.PASS]} of {self.judged} kept"

    @property
    def mark(self) -> str:
        return _MARKS[self.state]

    @property
    def anchor(self) -> str:
        return f"cell-{self.column + 1}-{self.row + 1}"

    @property
    def telling(self) -> tuple[Mapping[str, Any], ...]:
        """What a reader of the cell wants to see: all but the plain passes and what is not offered."""
        quiet = (Result.PASS, Result.NOT_OFFERED)
        return tuple(v for v in self.verdicts if v["verdict"] not in quiet)


@dataclass(frozen=True)
class Column:
    """One report. ``page`` is its HTML report, ``source`` its JSON, both as a link from the matrix."""

    name: str
    saved: SavedReport
    source: str
    page: str | None

    def evidence(self, verdict: Mapping[str, Any]) -> str:
        """Where the verdict is shown: in the HTML report if there is one, else in the JSON."""
        if self.page is None:
            return self.source
        place = "finding" if verdict["verdict"] in ("FAIL", "WARN", "ERROR") else "requirement"
        return f"{self.page}#{place}-{verdict['id']}"


@dataclass(frozen=True)
class Matrix:
    columns: tuple[Column, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """By row, then column."""


def matrix_of(reports: Sequence[SavedReport], where: Path) -> Matrix:
    """Lay the reports side by side. ``where``: the folder that links start from."""
    names = _names(reports)
    columns = tuple(_column(name, saved, where) for name, saved in zip(names, reports, strict=True))
    rows = tuple(dict.fromkeys(v["capability"] for r in reports for v in r.document["verdicts"]))
    ordered = tuple(sorted(rows, key=lambda name: (name != "core", name)))
    cells = tuple(
        tuple(Cell(i, j, _verdicts(c.saved, name)) for i, c in enumerate(columns))
        for j, name in enumerate(ordered)
    )
    return Matrix(columns, ordered, cells)


def _names(reports: Sequence[SavedReport]) -> list[str]:
    """A target's name in its file, else the file's name, else its folder's; different ones for different reports."""
    found = [_name(r) for r in reports]
    return [n if found.count(n) == 1 else str(r.path) for n, r in zip(found, reports, strict=True)]


def _name(saved: SavedReport) -> str:
    named = saved.document["target"].get("name")
    stem = saved.path.stem if saved.path.stem != "report" else saved.path.resolve().parent.name
    return visible(str(named or stem))


def _column(name: str, saved: SavedReport, where: Path) -> Column:
    page = saved.path.with_suffix(".html")
    return Column(name, saved, _link(saved.path, where), _link(page, where) if page.is_file() else None)


def _link(path: Path, where: Path) -> str:
    return quote(Path(os.path.relpath(path.resolve(), where.resolve())).as_posix())


def _verdicts(saved: SavedReport, capability: str) -> tuple[Mapping[str, Any], ...]:
    order = [Result.FAIL, Result.ERROR, Result.WARN, Result.INCONCLUSIVE, Result.NOT_TESTED, Result.PASS]
    rank = {str(r): i for i, r in enumerate([*order, Result.NOT_OFFERED])}
    own = [v for v in saved.document["verdicts"] if v["capability"] == capability]
    return tuple(sorted(own, key=lambda v: rank[v["verdict"]]))


def render_matrix_markdown(matrix: Matrix) -> str:
    """The table, and below it what each cell that is not simply kept rests on."""
    head = ["Capability", *(f"[{plain(c.name)}]({c.page or c.source})" for c in matrix.columns)]
    rows = [
        [code(name), *(_markdown_cell(c, cell) for c, cell in zip(matrix.columns, cells, strict=True))]
        for name, cells in zip(matrix.rows, matrix.cells, strict=True)
    ]
    legend = "; ".join(f"{_MARKS[s]} {text}" for s, text in MEANING.items() if _MARKS[s])
    parts = ["# Targets and capabilities", table(head, rows), legend + "."]
    for i, column in enumerate(matrix.columns):
        told = [
            (name, cells[i])
            for name, cells in zip(matrix.rows, matrix.cells, strict=True)
            if cells[i].telling
        ]
        document = column.saved.document
        parts.append(
            f"## {plain(column.name)}\n\nDialect {code(document['dialect']['name'])}, {document['calls']} calls, "
            f"suite {plain(document['suite_version'])}, {plain(document['started_at'][:10])}."
        )
        parts += [_markdown_detail(column, name, cell) for name, cell in told]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(column: Column, cell: Cell) -> str:
    shown = f"{cell.mark} {cell.text}".strip()
    if not shown:
        return ""
    return f"[{shown}](#{cell.anchor})" if cell.telling else f"[{shown}]({column.page or column.source})"


def _markdown_detail(column: Column, name: str, cell: Cell) -> str:
    lines = [f'<a id="{cell.anchor}"></a>\n**{plain(name)}**: {cell.mark} {cell.text}\n']
    for verdict in cell.telling:
        seen = verdict["seen"] or verdict["detail"]
        place = " ".join(p for p in (*verdict["evidence"][:1], verdict["where"]) if p)
        at = f" at {code(place)}" if place else ""
        lines.append(
            f"- {verdict['verdict']} [{verdict['id']}]({column.evidence(verdict)}) {plain(verdict['text'])} "
            f"Seen{at}: {code(seen[:300])}"
        )
    return "\n".join(lines)


def render_matrix_html(matrix: Matrix) -> str:
    """One page that needs nothing else; a cell leads to its verdicts, and those to the reports."""
    environment = Environment(
        loader=PackageLoader("conformance", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        prose=prose,
        words=lambda name: words(Result(name)),
        visible=lambda text: visible(str(text)),
        css=lambda state: state.lower().replace(" ", "-").replace("_", "-"),
    )
    return environment.get_template("matrix.html.j2").render(
        matrix=matrix, meaning=MEANING, tones=_TONES, style=style()
    )
