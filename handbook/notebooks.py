"""The notebooks as pages: their text, their code, and the outputs that were committed with them.

They are shown as they are, and never run here. What a page needs (pictures, the file itself) stands beside it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nbformat
from markupsafe import Markup

from handbook.markdown import Heading, code, render_markdown
from handbook.page import Found, Item, Page, in_turn
from handbook.places import NOTEBOOKS, ROOT, documents_at, linker, notebooks_at, requirement_paths

ABOUT = "Common patterns of integration, run against a reference server of their own: the code, and what it put out."
_PNG_SIZE = slice(16, 24)
"""Width and height, four bytes each (PNG, section 11.2.1)."""


@dataclass(frozen=True)
class Picture:
    """``file`` stands beside the page; sizes are in pixels."""

    file: str
    data: bytes
    alt: str

    @property
    def width(self) -> int:
        return int.from_bytes(self.data[_PNG_SIZE][:4], "big")

    @property
    def height(self) -> int:
        return int.from_bytes(self.data[_PNG_SIZE][4:], "big")


@dataclass(frozen=True)
class Part:
    """A cell: rendered text, or highlighted code with what it put out."""

    html: Markup
    is_code: bool = False
    outputs: Sequence[str | Picture] = ()


@dataclass(frozen=True)
class Notebook:
    """``file`` is its path in the repository; ``headings`` are those below the title."""

    file: str
    title: str
    about: str
    parts: Sequence[Part]
    headings: Sequence[Heading]

    @property
    def pictures(self) -> list[Picture]:
        return [o for p in self.parts for o in p.outputs if isinstance(o, Picture)]


def notebook_pages() -> list[Page]:
    """A page for each notebook, and one that lists them."""
    places = notebooks_at()
    notebooks = [read_notebook(file, path) for file, path in places.items()]
    aside = [
        Item("All notebooks", NOTEBOOKS),
        *(Item(n.title, places[n.file]) for n in notebooks),
    ]
    pages = [_page(n, places[n.file], aside) for n in notebooks]
    listed = [
        {"path": places[n.file], "title": n.title, "about": n.about, "picture": _beside(places[n.file], n)}
        for n in notebooks
    ]
    search = [Found("page", "Notebooks", NOTEBOOKS, ABOUT)]
    overview = Page(NOTEBOOKS, "Notebooks", "notebooks.html.j2", ABOUT, {"notebooks": listed}, aside, search)
    return [overview, *in_turn(pages)]


def read_notebook(file: str, path: str) -> Notebook:
    """The notebook at ``file``, with links that are right on the page at ``path``.

    Raises:
        ValueError: a picture has no words for those who cannot see it, or an output cannot be shown.
    """
    source: Any = nbformat.read(ROOT / file, as_version=4)  # type: ignore[no-untyped-call]
    link = linker(file, path)
    title, about = "", ""
    parts: list[Part] = []
    headings: list[Heading] = []
    pictures = 0
    for cell in source.cells:
        if cell.cell_type == "markdown":
            rendered = render_markdown(cell.source, link, requirement_paths())
            title, about = title or rendered.title, about or rendered.about
            headings += [h for h in rendered.headings if h.level > 1]
            parts.append(Part(rendered.html))
        elif cell.cell_type == "code":
            outputs = []
            for output in cell.outputs:
                outputs.append(_output(output, pictures + 1, cell.metadata, f"{file}, {cell.id}"))
                pictures += isinstance(outputs[-1], Picture)
            parts.append(Part(code(cell.source, "python"), True, outputs))
    return Notebook(file, title, about, parts, headings)


def _output(output: Mapping[str, Any], number: int, metadata: Mapping[str, Any], where: str) -> str | Picture:
    if output["output_type"] == "stream":
        return str(output["text"]).rstrip("\n")
    data: Mapping[str, str] = output.get("data", {})
    if "image/png" in data:
        # MyST-NB's place for it, since notebooks have none of their own.
        alt = metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if not alt:
            raise ValueError(f"{where}: the picture needs words: metadata.mystnb.image.alt of the cell")
        return Picture(f"picture-{number}.png", base64.b64decode(data["image/png"]), alt)
    if "text/plain" in data:
        return data["text/plain"]
    raise ValueError(f"{where}: an output of the type {output['output_type']} cannot be shown")


def _page(notebook: Notebook, path: str, aside: Sequence[Item]) -> Page:
    name = notebook.file.rpartition("/")[2]
    data = {"notebook": notebook, "file": name, "guides": _guides_to(name)}
    search = [
        Found("notebook", notebook.title, path, notebook.about),
        *(
            Found("notebook", f"{notebook.title}: {h.text}", f"{path}#{h.anchor}")
            for h in notebook.headings
            if h.level == 2
        ),
    ]
    beside = {p.file: p.data for p in notebook.pictures} | {name: (ROOT / notebook.file).read_bytes()}
    return Page(path, notebook.title, "notebook.html.j2", notebook.about, data, aside, search, files=beside)


def _guides_to(name: str) -> list[Item]:
    """The guides that link to a notebook."""
    texts = {file: (ROOT / file).read_text("utf-8") for file in documents_at() if "/guides/" in file}
    return [
        Item(text.split("\n", 1)[0].lstrip("# "), documents_at()[file])
        for file, text in texts.items()
        if f"/{name})" in text
    ]


def _beside(path: str, notebook: Notebook) -> Picture | None:
    """The first picture, as the list of notebooks finds it."""
    folder = path.rpartition("/")[0]
    first = next(iter(notebook.pictures), None)
    return Picture(f"{folder}/{first.file}", first.data, first.alt) if first else None
