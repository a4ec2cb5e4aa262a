"""The HTML report: one file that needs nothing else, for the manager above and the engineer below.

Whatever a server sent is hostile: everything is escaped, what cannot be seen is made visible, and a content
security policy allows only the page's own script (by hash) and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from conformance.report.exhibit import Piece, pieces_of
from conformance.report.model import Report, counted
from conformance.report.page import MAX_ROWS, Page
from conformance.report.plain import visible
from conformance.report.timeline import LANE, LEFT, RIGHT, ROW, TOP, WIDTH, seconds
from conformance.report.wording import MEANING, ORDER, said, words


def render_html(report: Report) -> str:
    """The whole page."""
    script = (files("conformance.report") / "report.js").read_text("utf-8")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=Page(report),
            report=report,
            style=style(),
            script=Markup(script),  # noqa: S704 - our own file
            policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'",
        )
    )


def style() -> Markup:
    """The style sheet of every page."""
    return Markup((files("conformance.report") / "report.css").read_text("utf-8"))  # noqa: S704 - our own file


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        prose=prose,
        text=lambda value: _spans(pieces_of(str(value))),
        attribute=lambda value: visible(str(value)),
        spans=_spans,
        seconds=seconds,
        counted=counted,
        words=words,
        said=said,
        css=lambda result: str(result).lower().replace("_", "-"),
    )
    environment.globals.update(
        order=ORDER,
        meaning=MEANING,
        max_rows=MAX_ROWS,
        svg={"width": WIDTH, "left": LEFT, "right": RIGHT, "lane": LANE, "row": ROW, "top": TOP},
    )
    return environment


def _spans(pieces: Iterable[Piece]) -> Markup:
    return Markup("").join(_span(piece) for piece in pieces)


def prose(text: str) -> Markup:
    """A sentence of the catalogue; what stands in backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)
    )


def _span(piece: Piece) -> Markup | str:
    if piece.gap:
        return Markup('<i class="gap">{}</i>').format(piece.text)
    inner: Markup | str = Markup('<b class="ctl">{}</b>').format(piece.text) if piece.control else piece.text
    return Markup("<mark>{}</mark>").format(inner) if piece.marked else inner


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
