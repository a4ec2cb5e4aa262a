"""The fenced code blocks of a Markdown document, and what HTML comments before them say.

``<!-- not run: REASON -->`` a block that cannot run here; ``<!-- exit: N or M -->`` how its commands may end;
``<!-- file: NAME -->`` a block of data that later commands find under this name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
_DIRECTIVE = re.compile(r"<!-- *(not run|exit|file): *((?:(?!-->).)+?) *-->\s*\Z", re.S)
_INLINE = re.compile(r"`(aiconform [a-z][^`\n]*)`")


@dataclass(frozen=True)
class Block:
    """One block; ``line`` counts from 1 and is that of the fence."""

    language: str
    text: str
    line: int
    not_run: str = ""
    file: str = ""
    exit_codes: tuple[int, ...] = (0,)


def blocks(path: Path) -> list[Block]:
    """All blocks of the document, in order."""
    return list(_blocks(path.read_text("utf-8")))


def inline_commands(path: Path) -> list[str]:
    """Commands of ours that the prose names between back quotes."""
    return [found.strip() for found in _INLINE.findall(_FENCE.sub("", path.read_text("utf-8")))]


def _blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        said: dict[str, str] = {}
        before = text[: found.start()]
        while directive := _DIRECTIVE.search(before):
            said[directive[1]] = " ".join(directive[2].split())
            before = before[: directive.start()]
        body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.M)
        yield Block(
            found["language"],
            body,
            text.count("\n", 0, found.start()) + 1,
            said.get("not run", ""),
            said.get("file", ""),
            tuple(int(code) for code in said.get("exit", "0").split(" or ")),
        )
