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
    _totals(numbers)
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
    """Tells each outcome as it comes, so that an interrupted run has told something, too."""
    out, err = Console(), Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    shown = Progress(
        *columns,
        console=err,
        transient=True,
        disable=not err.is_terminal,
        redirect_stdout=out.is_terminal,
    )
    with shown as bar:
        task = bar.add_task("", total=len(chosen))

        def done(outcome: Outcome) -> None:
            _print(outcome, out)
            bar.update(task, advance=1, description=outcome.subject.name)

        return asyncio.run(examine_all(chosen, done))


def _print(outcome: Outcome, console: Console) -> None:
    subject = outcome.subject
    line = f"{subject.name:34} {outcome.seconds:4.1f} s  "
    if subject.kind == "mutant":
        word, style = ("killed", "green") if outcome.killed else ("SURVIVED", "bold red")
        told = "".join(f"; {v.id} {v.result}: {visible(v.detail)}" for v in outcome.undecided)
        line += ", ".join(v.id for v in outcome.hits) or f"none of {', '.join(subject.violates)}{told}"
        line += " (again, alone: beside the others it was undecided)" if outcome.alone else ""
    else:
        word, style = ("FLAGGED", "bold red") if outcome.false_alarm else ("clean", "green")
        line += f"{outcome.calls} calls"
        line += "".join(f"\n          {v.result} {v.id} {visible(v.detail)}" for v in outcome.flagged)
    console.print(Text.assemble((f"{word:9}", style), line), soft_wrap=True)
    console.file.flush()


def _totals(numbers: dict[str, Any]) -> None:
    Console().print(
        f"mutants {numbers['killed']}/{numbers['mutants']} killed, "
        f"variants {numbers['false_alarms']}/{numbers['variants']} flagged",
        style="bold",
    )
