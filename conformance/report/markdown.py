"""Markdown for a pull request: the gate in one line, what changed, what is wrong, what was not judged.

GitHub-flavoured. Whatever a server sent stands in code, where it is neither a link, a mention, an image nor HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from conformance.report.model import Report, area_title, counted
from conformance.report.plain import visible
from conformance.report.wording import ORDER, words
from conformance.verdict import Result, Verdict

MAX_FINDINGS = 50
MAX_CELL = 200
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&]|:(?=//)|(?<=www)\.)")


def render_markdown(report: Report) -> str:
    """The whole comment; GitHub takes 65,536 characters, this stays below."""
    target = code(str(report.evidence.target.get("base_url", "")))
    judged = f"{report.judged} of {report.applicable} applicable requirements judged"
    calls = counted(len(report.evidence.exchanges), "call")
    parts = [
        f"### Aiconform: {_head(report)}",
        f"{target}, dialect {code(report.dialect.name)}: {judged}, {calls}.",
        _bullets(plain(line) for line in report.replica_lines),
        _bullets(plain(reason) for reason in report.gate.reasons),
        _changes(report),
        _findings(report),
        _bullets(
            f"waived until {w.expires}: **{w.requirement}**, {plain(w.reason)}" for w in report.gate.waived
        ),
        _claims(report),
        _details("Verdicts per area", _areas(report)),
        _details("Not judged, and why", _unjudged(report)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: Report) -> str:
    return {0: "✅ gate passed", 1: "❌ gate failed", 3: "⚠️ no result"}[report.gate.exit_code]


def _changes(report: Report) -> str:
    change = report.gate.change
    if change is None:
        return ""
    says = {
        "new": "New failures",
        "fixed": "Fixed",
        "known": "Known failures",
        "open": "Failed before, not judged now",
        "lost": "Kept before, not judged now",
    }
    lines = [f"{title}: {', '.join(ids)}" for name, title in says.items() if (ids := getattr(change, name))]
    return _bullets(lines) if lines else "Nothing has changed since the baseline."


def _findings(report: Report) -> str:
    found = [v for v in report.worst_first() if v.result in (Result.FAIL, Result.ERROR, Result.WARN)]
    if not found:
        return ""
    rows = [
        [str(v.result), v.id, _cell(report.requirements[v.id].text), _seen(report, v)]
        for v in found[:MAX_FINDINGS]
    ]
    more = f"\n\n{len(found) - MAX_FINDINGS} more are in the report." if len(found) > MAX_FINDINGS else ""
    return table(["", "Requirement", "What it asks", "What was seen"], rows) + more


def _seen(report: Report, verdict: Verdict) -> str:
    place = report.place(verdict, 1)
    seen = code(_short(verdict.seen or verdict.detail))
    return f"{seen} ({code(place)})" if place else seen


def _claims(report: Report) -> str:
    told = [c for c in report.claims if c.state in ("not kept", "not advertised")]
    return _bullets(
        f"advertised, not kept: **{c.capability}** ({plain(', '.join(c.sources))}): {code(_short(c.detail))}"
        if c.state == "not kept"
        else f"kept, not advertised: **{c.capability}**"
        for c in told
    )


def _areas(report: Report) -> str:
    shown = [r for r in ORDER if report.counts[r]]
    names = dict.fromkeys(report.requirements[v.id].area for v in report.verdicts)
    rows = []
    for name in names:
        results = [v.result for v in report.verdicts if report.requirements[v.id].area == name]
        rows.append([_cell(area_title(name)), *(str(results.count(r) or "") for r in shown)])
    return table(["Area", *map(words, shown)], rows)


def _unjudged(report: Report) -> str:
    groups: dict[str, list[str]] = {}
    for verdict in report.verdicts:
        if verdict.result in (Result.NOT_TESTED, Result.INCONCLUSIVE):
            groups.setdefault(f"{words(verdict.result)}: {code(_short(verdict.detail))}", []).append(
                verdict.id
            )
    return _bullets(f"{reason} ({', '.join(ids)})" for reason, ids in groups.items())


def _details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A GitHub-flavoured table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(visible(text).split()))


def code(text: str) -> str:
    """Text as code, on one line, also in a table."""
    flat = " ".join(visible(text).split()).replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    space = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{space}{flat}{space}{ticks}" if flat else ""


def _cell(text: str) -> str:
    return plain(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
