"""``aiconform diff OLD NEW``: what changed between two reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.cli.stop import stop
from conformance.report.difference import difference, difference_lines, regressed
from conformance.report.plain import visible
from conformance.report.saved import SavedError, read_report


def command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A report as JSON.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one.")],
) -> None:
    """Say what changed between two reports. Exit code 1 if a MUST requirement is newly not kept.

    Example: aiconform diff last.json aiconform-report/report.json
    """
    try:
        before, now = read_report(old), read_report(new)
    except SavedError as error:
        stop(str(error), 2)
    for line in difference_lines(before, now):
        typer.echo(visible(line))
    raise typer.Exit(1 if regressed(difference(before, now), now) else 0)
