"""``python -m handbook FOLDER``: build the site (``make docs`` does, after ``npm ci`` in ``handbook/renderer``)."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from conformance.report.html import style
from conformance.report.matrix import matrix_of, render_matrix_html
from conformance.report.saved import read_report
from handbook.contract_pages import contract_pages
from handbook.documents import documents
from handbook.examples import read as read_examples
from handbook.notebooks import notebook_pages
from handbook.page import Page, write
from handbook.places import ROOT
from handbook.proof_pages import RESULTS, proof_page, published, start_page
from handbook.reports import make_reports
from handbook.requirement_pages import requirement_pages
from spec.editions import main as write_editions

HERE = Path(__file__).parent
RENDERER = (
    HERE / "renderer" / "node_modules" / "@scalar" / "api-reference" / "dist" / "browser" / "standalone.js"
)


def build(folder: Path, *, runs: bool = True, renderer: Path = RENDERER) -> list[Page]:
    """Write the whole site. ``runs``: start servers and write a whole report of each (half a minute).

    Raises:
        FileNotFoundError: the renderer of the API reference is not installed.
    """
    if not renderer.is_file():
        raise FileNotFoundError(f"{renderer} is missing: run npm ci in {RENDERER.parents[5]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reports = make_reports(folder / "reports") if runs else []
    pages = [
        start_page(reports),
        *documents(),
        *notebook_pages(),
        *requirement_pages(read_examples(ROOT / "docs" / "examples.json")),
        *contract_pages(),
        proof_page(),
    ]
    write(pages, folder)
    _assets(folder / "assets", pages, renderer)
    _files(folder)
    return pages


def _assets(folder: Path, pages: Sequence[Page], renderer: Path) -> None:
    shutil.copytree(HERE / "assets", folder)
    shutil.copyfile(renderer, folder / "api-reference.js")
    (folder / "report.css").write_text(str(style()), "utf-8")
    # Only its custom properties: on the page of the API reference the rest would meet the renderer's styles.
    (folder / "colours.css").write_text(str(style()).split("* {", 1)[0], "utf-8")
    entries = [[f.kind, f.title, f.path, f.text] for page in pages for f in page.search]
    # A script and not JSON, because a page that was opened from a disk may not fetch.
    (folder / "search-index.js").write_text(
        f"window.siteIndex = {json.dumps(entries, ensure_ascii=False)};\n", "utf-8"
    )


def _files(folder: Path) -> None:
    """What pages link to and nobody renders: reports as JSON, the editions of the contract."""
    results = folder / "results"
    for file in [*published(), *RESULTS.glob("*.yaml")]:
        shutil.copyfile(file, results / file.name)
    copied = [read_report(results / f.name) for f in published()]
    (results / "matrix.html").write_text(render_matrix_html(matrix_of(copied, results)), "utf-8")
    write_editions([str(folder / "contract" / "editions")])


def main(arguments: Sequence[str] | None = None) -> int:
    """2 on bad usage, 1 if something to build from is missing."""
    parser = argparse.ArgumentParser(prog="python -m handbook", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument(
        "--without-runs", action="store_true", help="start no server, and show no whole report"
    )
    options = parser.parse_args(arguments)
    try:
        pages = build(options.folder, runs=not options.without_runs)
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"the site cannot be built: {problem}\n")
        return 1
    sys.stdout.write(f"{len(pages)} pages in {options.folder}; open {options.folder / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
