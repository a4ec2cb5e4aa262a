"""Where on the site the files of the repository are, and links between files turned into links between pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from handbook.markdown import resolve
from handbook.page import href
from spec.catalogue import requirements

ROOT = Path(__file__).parents[1]
NOTEBOOKS = "notebooks/index.html"

_ELSEWHERE = {
    "docs/results/matrix.md": "results/matrix.html",
    "docs/kill-matrix.md": "proof/index.html",
    "notebooks/README.md": NOTEBOOKS,
    "README.md": "index.html",
}
"""Files whose page is made from what they were made from."""


def documents_at() -> dict[str, str]:
    """The page of each Markdown file, by the file's path in the repository."""
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


def notebooks_at() -> dict[str, str]:
    """The page of each notebook, likewise."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return {f"notebooks/{f.name}": f"notebooks/{f.stem}/index.html" for f in files}


def requirement_paths() -> dict[str, str]:
    return {i: f"requirements/{i}/index.html" for i in requirements()}


def linker(file: str, path: str) -> Callable[[str], str]:
    """What turns a target as it stands in ``file`` into one that is right on the page at ``path``.

    Raises (when called):
        ValueError: the target is a file that is not part of the site.
    """
    places = documents_at() | notebooks_at() | _ELSEWHERE

    def link(target: str) -> str:
        if target.startswith("site:"):
            return href(path, target.removeprefix("site:"))
        if "://" in target or target.startswith(("#", "mailto:")):
            return target
        wanted, _, anchor = target.partition("#")
        return href(path, _site_path(resolve(file, wanted), places)) + (f"#{anchor}" if anchor else "")

    return link


def _in(folder: str) -> list[Path]:
    return sorted((ROOT / "docs" / folder).glob("*.md"))


def _site_path(wanted: str, places: dict[str, str]) -> str:
    """The page, or the copied file, that stands for a file of the repository."""
    if wanted in places:
        return places[wanted]
    if wanted.startswith("docs/") and (ROOT / wanted).is_file():
        return wanted.removeprefix("docs/")
    raise ValueError(f"a page links to {wanted}, which is not part of the site")
