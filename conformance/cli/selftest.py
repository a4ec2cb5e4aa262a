"""``aiconform selftest``: prove the checks on broken and on unusual servers."""

from __future__ import annotations

import asyncio
import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from conformance.cli.local_server import local_server
from conformance.cli.stop import stop
from conformance.report.kill_matrix import render_kill_matrix
from conformance.report.plain import visible
from conformance.selftest import Outcome, Subject, examine_all, subjects, summary


def command(
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the numbers and the kill matrix here.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the kill matrix as a page here.")
    ] = None,
    mutant: Annotated[str | None, typer.Option(metavar="NAME", help="Examine this one only.")] = None,
) -> None:
    """Run the suite on the reference's mutants and variants: all killed, none flagged.

    Example: aiconform selftest --json selftest.json
    """
    with local_server("reference_impl.mutants") as url:
        found = asyncio.run(subjects(url))
        chosen = [s for s in found if mutant in (None, s.name)]
        if not chosen:
            stop(f"there is no mutant or variant '{mutant}': {', '.join(s.name for s in found)}", 2)
        outcomes = _examine(chosen)
    numbers = summary(outcomes)
    _print(outcomes, numbers)
    if json:
        _write(json, json_module.dumps(numbers, indent=2) + "\n")
    if html:
        _write(html, render_kill_matrix(outcomes))
    raise typer.Exit(1 if numbers["survivors"] or numbers["false_alarms"] else 0)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        stop(f"cannot write {file}: {error.strerror}", 2)


def _examine(chosen: list[Subject]) -> list[Outcome]:
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(chosen))
        return asyncio.run(
            examine_all(chosen, lambda o: bar.update(task, advance=1, description=o.subject.name))
        )


def _print(outcomes: list[Outcome], numbers: dict[str, Any]) -> None:
    console = Console()
    for outcome in outcomes:
        subject = outcome.subject
        if subject.kind == "mutant":
            word, style = ("killed", "green") if outcome.killed else ("SURVIVED", "bold red")
            told = "; ".join(f"{v.id} {v.result} {visible(v.detail)}" for v in outcome.undecided)
            by = ", ".join(v.id for v in outcome.hits) or f"none of {', '.join(subject.violates)} {told}"
            alone = ", examined again, alone: undecided beside the others" if outcome.alone else ""
            console.print(
                Text.assemble(
                    (f"{word:9}", style), f"{subject.name:34} {outcome.seconds:4.1f} s  {by}{alone}"
                )
            )
        else:
            word, style = ("FLAGGED", "bold red") if outcome.false_alarm else ("clean", "green")
            console.print(
                Text.assemble(
                    (f"{word:9}", style), f"{subject.name:34} {outcome.seconds:4.1f} s  {outcome.calls} calls"
                )
            )
            for verdict in outcome.flagged:
                console.print(Text(f"          {verdict.result} {verdict.id} {visible(verdict.detail)}"))
    console.print(
        f"mutants {numbers['killed']}/{numbers['mutants']} killed, "
        f"variants {numbers['false_alarms']}/{numbers['variants']} flagged",
        style="bold",
    )
