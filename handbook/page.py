"""What a page is, and how the templates turn it into HTML with relative links only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.report.html import prose
from spec.document import contract_version

MENU = (
    ("Start", "index.html"),
    ("Guides", "guides/index.html"),
    ("Notebooks", "notebooks/index.html"),
    ("API", "api/index.html"),
    ("Requirements", "requirements/index.html"),
    ("Capabilities", "capabilities/index.html"),
    ("Errors", "errors/index.html"),
    ("Proof", "proof/index.html"),
    ("Results", "results/index.html"),
    ("Contract", "contract/index.html"),
)


@dataclass(frozen=True)
class Item:
    """An entry of the list beside a page: a link, or a heading if ``path`` is empty."""

    title: str
    path: str = ""


@dataclass(frozen=True)
class Found:
    """What the search finds: ``kind`` is a word such as ``requirement``, ``text`` is searched and shown."""

    kind: str
    title: str
    path: str
    text: str = ""


@dataclass(frozen=True)
class Page:
    """``path`` is below the site and ends in a file name, since no server may stand behind it. ``before`` and ``after``
    are its neighbours in reading order; ``files`` stand beside it, by name."""

    path: str
    title: str
    template: str
    about: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    aside: Sequence[Item] = ()
    search: Sequence[Found] = ()
    before: Item | None = None
    after: Item | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return self.path.split("/", 1)[0] if "/" in self.path else ""


def in_turn(pages: Sequence[Page], name: Callable[[Page], str] = attrgetter("title")) -> list[Page]:
    """The same pages, each with its neighbours; ``name`` is what a link to one says."""
    items = [None, *(Item(name(page), page.path) for page in pages), None]
    return [replace(p, before=items[i], after=items[i + 2]) for i, p in enumerate(pages)]


def href(page: str, target: str) -> str:
    """The relative link from one page to a path of the site; an absolute URL stays as it is."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return target
    return "../" * page.count("/") + target


def render(page: Page) -> str:
    """The whole document."""
    to: Callable[[str], str] = partial(href, page.path)
    return (
        _environment()
        .get_template(page.template)
        .render(page=page, menu=MENU, to=to, version=contract_version(), **page.data)
    )


def write(pages: Sequence[Page], folder: Path) -> None:
    """Write every page below ``folder``, and what stands beside it."""
    for page in pages:
        file = folder / page.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render(page), "utf-8")
        for name, content in page.files.items():
            file.with_name(name).write_bytes(content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("handbook"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment
