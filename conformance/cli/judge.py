"""``aiconform judge DIR``: judge saved evidence again, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.cli.stop import stop
from conformance.cli.suite import run_suite
from conformance.dialects.model import DialectError, load_dialect
from conformance.report.console import print_report
from conformance.report.write import ReportError, write_html, write_json, write_junit
from conformance.run_state import Settings
from conformance.selection import Selection, SelectionError
from conformance.wire.store import EvidenceError, load
from spec.catalogue import requirements


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An evidence folder, or the --out of a check.")
    ],
    dialect: Annotated[
        str | None, typer.Option(help="Read it with this dialect (default: the one it names).")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="IDS", help="Judge only these: SSE-04,ERR-*.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as HTML.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Judge saved evidence again; nothing is sent.

    Example: aiconform judge aiconform-report
    """
    folder = directory / "evidence" if (directory / "evidence").is_dir() else directory
    try:
        selection = Selection.parse(only)
        selection.of(requirements().values())
        spoken = load_dialect(dialect or load(folder).dialect)
    except (DialectError, SelectionError, EvidenceError) as error:
        stop(str(error), 2)
    report = run_suite(Settings(spoken, saved=folder, selection=selection))
    try:
        for path, write in ((json, write_json), (junit, write_junit), (html, write_html)):
            if path:
                write(report, path)
    except ReportError as error:
        stop(str(error), 2)
    if not quiet:
        print_report(report, Console())
    raise typer.Exit(report.exit_code)
