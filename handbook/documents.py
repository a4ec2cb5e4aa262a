"""The pages that are written by hand: guides, decisions and results, rendered from ``docs/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handbook.markdown import Rendered, render_markdown
from handbook.page import Found, Item, Page, in_turn
from handbook.places import NOTEBOOKS, ROOT, documents_at, linker, requirement_paths

GUIDES: Mapping[str, tuple[str, ...]] = {
    "Begin": ("getting-started", "migration"),
    "Call an API": (
        "prompts", "streaming", "retries", "rate-limits", "confidence", "context-and-cost", "jobs-and-webhooks",
        "versions", "authentication",
    ),
    "Judge an API": ("targets", "ci", "dialects", "load-testing"),
    "Run the reference": ("operating", "upstream"),
}  # fmt: skip
"""The order in which guides are read; others follow under "More"."""


def documents() -> list[Page]:
    """Every page that a Markdown file becomes."""
    places = documents_at()
    guides = _guides()
    aside = [
        *(
            item
            for heading, files in guides.items()
            for item in (Item(heading), *(Item(_title(f), places[f]) for f in files))
        ),
        Item("With their outputs"),
        Item("Notebooks", NOTEBOOKS),
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

    def pages(files: Sequence[str]) -> list[Page]:
        return [_page(f, places[f], beside.get(places[f].split("/", 1)[0], ())) for f in files]

    read = [file for files in guides.values() for file in files]
    rest = [file for file in places if file not in {*read, *decided}]
    return [*in_turn(pages(read)), *in_turn(pages(decided)), *pages(rest), _overview(guides, places, aside)]


def _guides() -> dict[str, list[str]]:
    known = {file for file in documents_at() if file.startswith("docs/guides/")}
    listed = {
        heading: [p for n in names if (p := f"docs/guides/{n}.md") in known]
        for heading, names in GUIDES.items()
    }
    rest = sorted(known - {p for files in listed.values() for p in files})
    return {h: files for h, files in {**listed, "More": rest}.items() if files}


def _title(file: str) -> str:
    first = (ROOT / file).read_text("utf-8").split("\n", 1)[0]
    return first.lstrip("# ").strip()


def _page(file: str, path: str, aside: Sequence[Item]) -> Page:
    rendered = _rendered(file, path)
    kind = {"guides": "guide", "decisions": "decision"}.get(path.split("/", 1)[0], "page")
    search = [Found(kind, rendered.title, path, rendered.about)]
    if kind == "guide":
        search += [
            Found("guide", f"{rendered.title}: {h.text}", f"{path}#{h.anchor}") for h in rendered.headings
        ]
    return Page(
        path, rendered.title, "document.html.j2", rendered.about, {"rendered": rendered}, aside, search
    )


def _rendered(file: str, path: str) -> Rendered:
    return render_markdown((ROOT / file).read_text("utf-8"), linker(file, path), requirement_paths())


def _overview(guides: Mapping[str, Sequence[str]], places: Mapping[str, str], aside: Sequence[Item]) -> Page:
    groups = {
        heading: [(places[f], (r := _rendered(f, places[f])).title, r.about) for f in files]
        for heading, files in guides.items()
    }
    about = "How to call an API that keeps the contract, and how to judge whether one does."
    return Page("guides/index.html", "Guides", "guides.html.j2", about, {"groups": groups}, aside)
