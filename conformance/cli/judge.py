"""``aiconform judge DIR``: judge saved evidence again, or a HAR that others recorded, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.cli.gate_options import (
    Badge,
    BaselineFile,
    Config,
    FailOnWords,
    Har,
    Json,
    Junit,
    Markdown,
    OpenApi,
    Overlays,
    ProfileName,
    ReportFiles,
    Sarif,
    document_of,
    policy_of,
)
from conformance.cli.stop import stop
from conformance.cli.suite import run_suite
from conformance.dialects.model import Dialect, DialectError, load_dialect
from conformance.gate.policy import GateError
from conformance.har_file import is_har
from conformance.report.console import print_report
from conformance.report.write import ReportError
from conformance.run_state import Settings
from conformance.selection import Selection, SelectionError
from conformance.target import TargetError
from conformance.vendor_document import DocumentError
from conformance.wire.store import EvidenceError, load
from spec.catalogue import requirements


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An evidence folder, the --out of a check, or a HAR file.")
    ],
    dialect: Annotated[
        str | None, typer.Option(help="Read it with this dialect (default: the one it names).")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="IDS", help="Judge only these: SSE-04,ERR-*.")] = None,
    config: Config = None,
    profile: ProfileName = None,
    fail_on: FailOnWords = None,
    baseline: BaselineFile = None,
    openapi: OpenApi = None,
    overlay: Overlays = None,
    json: Json = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    badge: Badge = None,
    har: Har = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as HTML.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Judge saved evidence again, or the passive requirements of a HAR; nothing is sent.

    Example: aiconform judge aiconform-report
    """
    folder = directory / "evidence" if (directory / "evidence").is_dir() else directory
    try:
        selection = Selection.parse(only)
        selection.of(requirements().values())
        spoken, name = _spoken(folder, dialect)
        document = document_of(openapi, overlay)
        policy = policy_of(config, name, profile, fail_on, baseline)
    except (DialectError, SelectionError, EvidenceError, GateError, TargetError, DocumentError) as error:
        stop(str(error), 2)
    report = run_suite(Settings(spoken, saved=folder, selection=selection, policy=policy, document=document))
    try:
        ReportFiles(json, junit, sarif, markdown, badge, har, html).write(report)
    except ReportError as error:
        stop(str(error), 2)
    if not quiet:
        print_report(report, Console())
    raise typer.Exit(report.gate.exit_code)


def _spoken(source: Path, dialect: str | None) -> tuple[Dialect, str | None]:
    """The dialect to read the evidence with, and the name of its target in ``aiconform.toml``."""
    if is_har(source):
        if dialect is None:
            raise EvidenceError(f"{source} does not say how the API speaks: give --dialect")
        return load_dialect(dialect), None
    saved = load(source)
    return load_dialect(dialect or saved.dialect), saved.target.get("name")
