"""``aiconform evidence``: what to do with a folder of saved evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.cli.stop import stop
from conformance.report.har import write_har
from conformance.report.write import ReportError
from conformance.wire.store import EvidenceError, load

app = typer.Typer(no_args_is_help=True, help="Saved evidence in other forms.")


@app.command("to-har")
def to_har(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An evidence folder, or the --out of a check.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The archive.")] = Path("evidence.har"),
) -> None:
    """Write saved evidence as HAR 1.2, for browsers, proxies and their tools.

    Example: aiconform evidence to-har aiconform-report --out run.har
    """
    folder = directory / "evidence" if (directory / "evidence").is_dir() else directory
    try:
        evidence = load(folder)
        write_har(evidence, out)
    except (EvidenceError, ReportError) as error:
        stop(str(error), 2)
    typer.echo(f"written: {out}, {len(evidence.exchanges)} exchanges")


@app.callback()
def _group() -> None:
    """Saved evidence in other forms."""
