"""Put a report on disk: the parent folder is made, and a reader never sees half a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from conformance.report.badge import render_badge_json, render_badge_svg
from conformance.report.html import render_html
from conformance.report.junit import render_junit
from conformance.report.markdown import render_markdown
from conformance.report.model import Report
from conformance.report.sarif import render_sarif


class ReportError(Exception):
    """A report cannot be written; the message names the path and the reason, on one line."""


def write_json(report: Report, path: Path) -> None:
    """Write the machine-readable report (``report.schema.json``).

    Raises:
        ReportError: the path cannot be written.
    """
    text = json.dumps(report.as_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    # A lone surrogate that a server sent is no UTF-8; its backslash form is exactly its JSON escape.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_junit(report: Report, path: Path) -> None:
    """Write JUnit XML.

    Raises:
        ReportError: the path cannot be written.
    """
    write_bytes(path, render_junit(report))


def write_html(report: Report, path: Path) -> None:
    """Write the self-contained HTML report.

    Raises:
        ReportError: the path cannot be written.
    """
    write_bytes(path, render_html(report).encode("utf-8"))


def write_sarif(report: Report, path: Path) -> None:
    """Write SARIF 2.1.0.

    Raises:
        ReportError: the path cannot be written.
    """
    write_bytes(path, render_sarif(report))


def write_markdown(report: Report, path: Path) -> None:
    """Write Markdown for a pull request.

    Raises:
        ReportError: the path cannot be written.
    """
    write_bytes(path, render_markdown(report).encode("utf-8", "backslashreplace"))


def write_badge(report: Report, path: Path) -> None:
    """Write the badge: an SVG picture, or the JSON of shields.io's endpoint if the path ends with ``.json``.

    Raises:
        ReportError: the path cannot be written.
    """
    write_bytes(path, render_badge_json(report) if path.suffix == ".json" else render_badge_svg(report))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file as a whole.

    Raises:
        ReportError: the path cannot be written.
    """
    try:
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)  # /dev/stdout, a named pipe: nothing to replace
        else:
            _replace(target, data)
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ReportError(f"cannot write the report {path}: {reason}; name another path") from None


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
