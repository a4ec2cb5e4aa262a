"""The pages that are written by hand: guides, decisions and results, rendered from ``docs/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from handbook.markdown import Rendered, render_markdown, resolve
from handbook.page import Found, Item, Page, href
from spec.catalogue import requirements

ROOT = Path(__file__).parents[1]

GUIDES: Mapping[str, tuple[str, ...]] = {
    "Begin": ("getting-started", "migration"),
    "Call an API": (
        "prompts", "streaming", "retries", "rate-limits", "confidence", "context-and-cost", "jobs-and-webhooks",
        "versions", "authentication",
    ),
    "Judge an API": ("targets", "ci", "dialects", "load-testing"),
}  # fmt: skip
"""The order in which guides are read; others follow under "More"."""


def documents() -> list[Page]:
    """Every page that a Markdown file becomes."""
    places = places_of()
    guides = _guides()
    aside = [
        item
        for heading, files in guides.items()
        for item in (Item(heading), *(Item(_title(f), places[f]) for f in files))
    ]
    decided = sorted(f for f in places if f.startswith("docs/decisions/"))
    decisions = [Item("Decisions"), *(Item(_title(f), places[f]) for f in decided)]
    contract = [
        Item("The contract"),
        Item("Versions and changes", places["docs/contract.md"]),
        Item("Changelog of the project", places["CHANGELOG.md"]),
        Item("WebSocket", "websocket/index.html"),
        *decisions,
    ]
    proof = [
        Item("Proof"),
        Item("Kill matrix", "proof/index.html"),
        Item("What dialects can say", places["docs/dialects-coverage.md"]),
        Item("Performance", places["docs/performance.md"]),
    ]
    results = [
        Item("Results"),
        Item("Servers and findings", "results/index.html"),
        Item("By capability", "results/matrix.html"),
        Item("What SDKs notice", places["docs/results/sdk-oracle.md"]),
    ]
    beside = {
        "guides": aside,
        "contract": contract,
        "decisions": contract,
        "proof": proof,
        "results": results,
    }
    pages = [
        _page(file, path, beside.get(path.split("/", 1)[0], ()), places) for file, path in places.items()
    ]
    return [*pages, _overview(guides, places, aside)]


def places_of() -> dict[str, str]:
    """Where the page of each Markdown file is, by the file's path in the repository."""
    found = {f"docs/guides/{f.name}": f"guides/{f.stem}/index.html" for f in _in("guides")}
    found |= {f"docs/decisions/{f.name}": f"decisions/{f.stem}/index.html" for f in _in("decisions")}
    return found | {
        "docs/contract.md": "contract/index.html",
        "CHANGELOG.md": "contract/changelog/index.html",
        "docs/dialects-coverage.md": "proof/dialects/index.html",
        "docs/performance.md": "proof/performance/index.html",
        "docs/results/README.md": "results/index.html",
        "docs/results/sdk-oracle.md": "results/sdk-oracle/index.html",
    }


def requirement_paths() -> dict[str, str]:
    return {i: f"requirements/{i}/index.html" for i in requirements()}


def _in(folder: str) -> list[Path]:
    return sorted((ROOT / "docs" / folder).glob("*.md"))


def _guides() -> dict[str, list[str]]:
    known = {f"docs/guides/{f.name}" for f in _in("guides")}
    listed = {
        heading: [p for n in names if (p := f"docs/guides/{n}.md") in known]
        for heading, names in GUIDES.items()
    }
    rest = sorted(known - {p for files in listed.values() for p in files})
    return {h: files for h, files in {**listed, "More": rest}.items() if files}


def _title(file: str) -> str:
    first = (ROOT / file).read_text("utf-8").split("\n", 1)[0]
    return first.lstrip("# ").strip()


def _page(file: str, path: str, aside: Sequence[Item], places: Mapping[str, str]) -> Page:
    rendered = _rendered(file, path, places)
    kind = {"guides": "guide", "decisions": "decision"}.get(path.split("/", 1)[0], "page")
    search = [Found(kind, rendered.title, path, rendered.about)]
    if kind == "guide":
        search += [
            Found("guide", f"{rendered.title}: {h.text}", f"{path}#{h.anchor}") for h in rendered.headings
        ]
    return Page(
        path, rendered.title, "document.html.j2", rendered.about, {"rendered": rendered}, aside, search
    )


def _rendered(file: str, path: str, places: Mapping[str, str]) -> Rendered:
    def link(target: str) -> str:
        if target.startswith("site:"):
            return href(path, target.removeprefix("site:"))
        if "://" in target or target.startswith(("#", "mailto:")):
            return target
        wanted, _, anchor = target.partition("#")
        return href(path, _site_path(resolve(file, wanted), places)) + (f"#{anchor}" if anchor else "")

    return render_markdown((ROOT / file).read_text("utf-8"), link, requirement_paths())


def _site_path(wanted: str, places: Mapping[str, str]) -> str:
    """The page, or the copied file, that stands for a file of the repository."""
    if wanted in places:
        return places[wanted]
    if wanted == "docs/results/matrix.md":
        return "results/matrix.html"
    if wanted == "docs/kill-matrix.md":
        return "proof/index.html"
    if wanted == "README.md":
        return "index.html"
    if wanted.startswith("docs/") and (ROOT / wanted).is_file():
        return wanted.removeprefix("docs/")
    raise ValueError(f"a page links to {wanted}, which is not part of the site")


def _overview(guides: Mapping[str, Sequence[str]], places: Mapping[str, str], aside: Sequence[Item]) -> Page:
    groups = {
        heading: [(places[f], (r := _rendered(f, places[f], places)).title, r.about) for f in files]
        for heading, files in guides.items()
    }
    about = "How to call an API that keeps the contract, and how to judge whether one does."
    return Page("guides/index.html", "Guides", "guides.html.j2", about, {"groups": groups}, aside)
