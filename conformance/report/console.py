"""The summary on a terminal."""

from __future__ import annotations

from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.report.model import Report
from conformance.report.plain import visible
from conformance.verdict import Result, Verdict

_STYLE = {
    Result.PASS: "green",
    Result.FAIL: "bold red",
    Result.WARN: "yellow",
    Result.ERROR: "bold magenta",
    Result.INCONCLUSIVE: "cyan",
    Result.NOT_TESTED: "dim",
    Result.NOT_OFFERED: "dim",
}

_CHANGES = {
    "new": "new since the baseline",
    "known": "known from the baseline",
    "fixed": "fixed since the baseline",
    "open": "failed in the baseline, not judged now",
    "lost": "kept in the baseline, not judged now",
}


def print_report(report: Report, console: Console) -> None:
    """The replicas, counts per area, then every verdict that needs a reader, then the gate in one line."""
    for line in report.replica_lines:
        console.print(Text(line))
    console.print(_table(report))
    for verdict in report.worst_first():
        if verdict.result in (Result.FAIL, Result.ERROR, Result.WARN):
            _print_finding(report, verdict, console)
    _print_unjudged(report, console)
    _print_claims(report, console)
    _print_gate(report, console)
    console.print(_gate_line(report))


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("area")
    shown = [r for r in Result if report.counts[r]]
    for result in shown:
        table.add_column(str(result), justify="right", style=_STYLE[result])
    per_area: dict[str, Counter[Result]] = defaultdict(Counter)
    for verdict in report.verdicts:
        per_area[report.requirements[verdict.id].area][verdict.result] += 1
    for area, counts in per_area.items():
        table.add_row(area, *(str(counts[r]) if counts[r] else "" for r in shown))
    return table


def _print_finding(report: Report, verdict: Verdict, console: Console) -> None:
    requirement = report.requirements[verdict.id]
    console.print()
    console.print(
        Text.assemble((f"{verdict.result} {verdict.id} ", _STYLE[verdict.result]), requirement.text)
    )
    if not verdict.expected:
        console.print(Text(f"  {visible(verdict.detail)}"))
        return
    place = report.place(verdict)
    console.print(Text(f"  expected  {visible(verdict.expected)}"))
    console.print(Text(f"  seen      {visible(verdict.seen)}" + (f"  ({place})" if place else "")))
    console.print(Text(f"  fix       {requirement.fix}"))


def _print_unjudged(report: Report, console: Console) -> None:
    reasons: dict[tuple[Result, str], list[str]] = defaultdict(list)
    for verdict in report.verdicts:
        if verdict.result in (Result.NOT_TESTED, Result.INCONCLUSIVE):
            reasons[verdict.result, visible(verdict.detail)].append(verdict.id)
    if reasons:
        console.print()
    for (result, reason), ids in reasons.items():
        console.print(Text.assemble((f"{result} ", _STYLE[result]), f"{', '.join(ids)}: {reason}"))


def _print_claims(report: Report, console: Console) -> None:
    for claim in report.claims:
        if claim.state == "not kept":
            told = f"advertised, not kept: {claim.capability} ({', '.join(claim.sources)}): {visible(claim.detail)}"
            console.print(Text(told, _STYLE[Result.FAIL]))
        elif claim.state == "not advertised":
            console.print(Text(f"kept, not advertised: {claim.capability}", "dim"))


def _print_gate(report: Report, console: Console) -> None:
    """What the verdicts alone do not say: waivers, changes since the baseline, demands."""
    gate = report.gate
    for waiver in gate.waived:
        console.print(Text(f"waived until {waiver.expires}: {waiver.requirement}: {visible(waiver.reason)}"))
    for waiver in gate.idle:
        console.print(Text(f"waiver not needed by this run: {waiver.requirement}", "dim"))
    if gate.change:
        groups = ("new", "known", "fixed", "open", "lost")
        for name in groups:
            if ids := getattr(gate.change, name):
                console.print(Text(f"{_CHANGES[name]}: {', '.join(ids)}"))
        if not any(getattr(gate.change, name) for name in groups):
            console.print("nothing has changed since the baseline")
    for reason in gate.reasons:
        console.print(Text(f"gate: {visible(reason)}", _STYLE[Result.FAIL]))


def _gate_line(report: Report) -> Text:
    judged = f"{report.judged} of {report.applicable} applicable requirements judged"
    work = f"{len(report.evidence.exchanges)} calls, {report.evidence.duration:.1f} s"
    word, style = {0: ("passed", "bold green"), 1: ("failed", "bold red")}.get(
        report.gate.exit_code, ("could not be decided", "bold magenta")
    )
    return Text.assemble("\n", (f"gate {word}", style), f": {judged}; {work}")
