"""What a page is, and how the templates turn it into HTML with relative links only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.report.html import prose
from spec.document import contract_version

MENU = (
    ("Start", "index.html"),
    ("Guides", "guides/index.html"),
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
    """``path`` is below the site and ends in a file name, since no server may stand behind it."""

    path: str
    title: str
    template: str
    about: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    aside: Sequence[Item] = ()
    search: Sequence[Found] = ()

    @property
    def folder(self) -> str:
        return self.path.split("/", 1)[0] if "/" in self.path else ""


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
    """Write every page below ``folder``."""
    for page in pages:
        file = folder / page.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render(page), "utf-8")


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
