"""``aiconform matrix REPORT…``: several reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.cli.stop import stop
from conformance.report.matrix import matrix_of, render_matrix_html, render_matrix_markdown
from conformance.report.saved import SavedError, read_report
from conformance.report.write import ReportError, write_bytes


def command(
    reports: Annotated[
        list[Path], typer.Argument(metavar="REPORT…", help="Reports as JSON, one per target.")
    ],
    html: Annotated[Path, typer.Option(metavar="FILE", help="The table as HTML.")] = Path("matrix.html"),
    markdown: Annotated[Path, typer.Option(metavar="FILE", help="The table as Markdown.")] = Path(
        "matrix.md"
    ),
) -> None:
    """Lay reports side by side: targets and capabilities, each cell leading to its evidence.

    Example: aiconform matrix docs/results/*.json
    """
    try:
        saved = [read_report(path) for path in reports]
        for path, render in ((html, render_matrix_html), (markdown, render_matrix_markdown)):
            text = render(matrix_of(saved, path.parent))
            write_bytes(path, text.encode("utf-8", "backslashreplace"))
    except (SavedError, ReportError) as error:
        stop(str(error), 2)
    typer.echo(f"written: {html} and {markdown}")
