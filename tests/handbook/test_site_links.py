"""Every link and every anchor of the site leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from spec.catalogue import requirements
from spec.errors import ERRORS

pytestmark = pytest.mark.slow

# HTML elements whose address is fetched without a click.
FETCHING = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


@dataclass
class Parsed:
    ids: list[str] = field(default_factory=list)
    links: list[tuple[str, str, str]] = field(default_factory=list)
    titles: int = 0
    headings: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parsed = Parsed()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.parsed.ids.append(value)
            if name in ("href", "src") and value is not None:
                self.parsed.links.append((tag, name, value))
        if tag == "title":
            self.parsed.titles += 1
        if tag == "h1":
            self.parsed.headings.append(tag)


@cache
def parsed(file: Path) -> Parsed:
    reader = Reader()
    reader.feed(file.read_text("utf-8"))
    return reader.parsed


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def broken(site: Path, page: Path, link: str) -> str | None:
    """Why a relative link leads nowhere, or None."""
    path, _, anchor = link.partition("#")
    here = page.relative_to(site).as_posix()
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(here), path)) if path else here
    target = site / wanted
    if wanted.startswith("..") or not target.is_file():
        return "no such file"
    if anchor and target.suffix == ".html" and anchor not in parsed(target).ids:
        return "no such anchor"
    return None


def test_every_link_leads_somewhere(site: Path) -> None:
    wrong = []
    for page in pages(site):
        for _, _, link in parsed(page).links:
            if link.startswith(("https://", "http://", "mailto:")):
                continue
            if why := broken(site, page, link):
                wrong.append(f"{page.relative_to(site)}: {link}: {why}")
    assert wrong == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = [
        (page.relative_to(site).as_posix(), link)
        for page in pages(site)
        for tag, name, link in parsed(page).links
        if (tag, name) in FETCHING and ("://" in link or link.startswith(("/", "data:")))
    ]
    assert fetched == []
    for sheet in site.rglob("*.css"):
        assert "http" not in sheet.read_text("utf-8"), sheet.name


def test_ids_are_unique_and_pages_have_one_title(site: Path) -> None:
    for page in pages(site):
        found = parsed(page)
        assert len(found.ids) == len(set(found.ids)), page
        assert found.titles == 1, page
        assert len(found.headings) == 1 or page.parent.name == "api", page


def test_each_requirement_and_code_has_its_own_address(site: Path) -> None:
    for id_ in requirements():
        assert (site / "requirements" / id_ / "index.html").is_file()
    for code in ERRORS:
        assert (site / "errors" / code / "index.html").is_file()


def test_the_page_of_a_requirement_has_all_of_it(site: Path) -> None:
    text = (site / "requirements" / "SSE-04" / "index.html").read_text("utf-8")
    for part in (
        "MUST", "None of five official SDKs", "test_a_stream_ends_with_its_terminal_exactly_once",
        "sse-no-done", "On the wire", ">kept<", ">broken<", "mlc-ai/mlc-llm#1300",
    ):  # fmt: skip
        assert part in text, part


def test_what_the_search_finds_is_there(site: Path) -> None:
    script = (site / "assets" / "search-index.js").read_text("utf-8")
    entries = json.loads(script.removeprefix("window.siteIndex = ").rstrip(";\n"))
    titles = {title for _, title, _, _ in entries}
    assert set(requirements()) <= titles
    assert set(ERRORS) <= titles
    assert "Retries and idempotency" in titles
    start = site / "index.html"
    assert [path for _, _, path, _ in entries if broken(site, start, path)] == []


def test_most_requirements_show_both_sides_on_the_wire(site: Path) -> None:
    both = 0
    for id_ in requirements():
        text = (site / "requirements" / id_ / "index.html").read_text("utf-8")
        both += ">kept<" in text and ">broken<" in text
    assert both > 0.9 * len(requirements())
