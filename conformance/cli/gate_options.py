"""The options that ``check`` and ``judge`` share: what the gate asks, and which reports are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from conformance.gate.file import GateFile, read_gate
from conformance.gate.policy import WORDS, Policy
from conformance.report.har import write_har
from conformance.report.model import Report
from conformance.report.write import (
    write_badge,
    write_html,
    write_json,
    write_junit,
    write_markdown,
    write_sarif,
)
from conformance.target_file import FILE
from conformance.vendor_document import DocumentError, read_document

Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The file of targets, profiles and waivers (default: aiconform.toml)."),
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile", metavar="NAME", help="Capabilities that must be there: core, enterprise, or your own."
    ),
]
FailOnWords = Annotated[
    str | None,
    typer.Option("--fail-on", metavar="WORDS", help=f"What fails the gate, of {', '.join(WORDS)} [must]."),
]
BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="A report as JSON: only what is worse fails the gate."),
]
OpenApi = Annotated[
    str | None,
    typer.Option(
        "--openapi",
        metavar="FILE|URL",
        help="The vendor's OpenAPI document: what it promises is a claim, and requests are generated from it.",
    ),
]
Overlays = Annotated[
    list[Path] | None,
    typer.Option("--overlay", metavar="FILE", help="An OpenAPI Overlay for that document; repeatable."),
]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the report as JUnit XML.")]
Sarif = Annotated[Path | None, typer.Option("--sarif", metavar="FILE", help="Write it as SARIF 2.1.0.")]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown, for a pull request.")
]
Badge = Annotated[
    Path | None,
    typer.Option("--badge", metavar="FILE", help="Write a badge: .svg, or .json for shields.io."),
]
Har = Annotated[Path | None, typer.Option("--har", metavar="FILE", help="Write the exchanges as HAR 1.2.")]


@dataclass(frozen=True)
class ReportFiles:
    """Where each format goes, if anywhere."""

    json: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None
    markdown: Path | None = None
    badge: Path | None = None
    har: Path | None = None
    html: Path | None = None

    def write(self, report: Report) -> None:
        """Write what is wanted.

        Raises:
            ReportError: a path cannot be written.
        """
        writers: list[tuple[Path | None, Callable[[Report, Path], None]]] = [
            (self.json, write_json),
            (self.junit, write_junit),
            (self.sarif, write_sarif),
            (self.markdown, write_markdown),
            (self.badge, write_badge),
            (self.har, lambda report, path: write_har(report.evidence, path)),
            (self.html, write_html),
        ]
        for path, write in writers:
            if path:
                write(report, path)


def policy_of(
    config: Path | None,
    target: str | None,
    profile: str | None,
    fail_on: str | None,
    baseline: Path | None,
) -> Policy:
    """The gate of the flags over that of the file (``aiconform.toml`` here, if there is one and none is named).

    Raises:
        TargetError: the file is unreadable or against its schema.
        GateError: it asks for what does not exist.
    """
    path = config or Path(FILE)
    file = read_gate(path) if config or path.exists() else GateFile()
    return file.policy(
        target=target,
        profile=profile,
        fail_on=(fail_on or "").split(",") if fail_on else (),
        baseline=baseline,
    )


def document_of(source: str | None, overlays: Sequence[Path] | None) -> Mapping[str, Any] | None:
    """The vendor's document, if one is given.

    Raises:
        DocumentError: it cannot be read, or an overlay has nothing to lie over.
    """
    if source is None:
        if overlays:
            raise DocumentError("--overlay needs the document it changes: --openapi FILE")
        return None
    return read_document(source, overlays or ())
