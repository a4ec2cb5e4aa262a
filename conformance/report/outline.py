"""A JSON body laid out for reading, and where each of its values is.

Tokens stay exactly as they were sent (``1.00``, ``\\u00e9``, a key that occurs twice): only white space
between them changes. So what a reader sees is still the evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

CAP = 64 * 1024
"""Larger bodies are shown as they are."""

DEPTH = 60

Span = tuple[int, int]

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\n\r,\]}]+")


@dataclass(frozen=True)
class Outline:
    """``data``: the body, indented. ``spans``: JSON Pointer (RFC 6901) of each value → its bytes in ``data``;
    ``raw_spans``: its bytes in the body as sent. Of a repeated key the last counts, as parsers have it."""

    data: bytes
    spans: Mapping[str, Span]
    raw_spans: Mapping[str, Span]


def outline(body: bytes) -> Outline | None:
    """The outline of a JSON document, or None if it is none, or too large or too deep to lay out."""
    if len(body) > CAP:
        return None
    try:
        json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    layout = _Layout(body)
    try:
        layout.space()
        layout.value("", 0)
    except _TooDeep:
        return None
    return Outline(bytes(layout.out), layout.spans, layout.raw_spans)


class _TooDeep(Exception):  # noqa: N818 - a signal inside this module
    """More levels than a reader could follow."""


class _Layout:
    """Walks text that is known to be JSON."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at, self.out = body, 0, bytearray()
        self.spans: dict[str, Span] = {}
        self.raw_spans: dict[str, Span] = {}

    def space(self) -> None:
        self._skip(_SPACE)

    def value(self, pointer: str, depth: int) -> None:
        if depth > DEPTH:
            raise _TooDeep
        raw, shown = self.at, len(self.out)
        opening = self.body[self.at : self.at + 1]
        if opening == b"{":
            self._container(pointer, depth, b"}")
        elif opening == b"[":
            self._container(pointer, depth, b"]")
        else:
            self.out += self._skip(_STRING if opening == b'"' else _SCALAR)
        self.raw_spans[pointer] = (raw, self.at)
        self.spans[pointer] = (shown, len(self.out))

    def _container(self, pointer: str, depth: int, closing: bytes) -> None:
        self._copy()
        self.space()
        number = 0
        while self.body[self.at : self.at + 1] != closing:
            self._new_line(depth + 1)
            step = str(number) if closing == b"]" else self._key()
            self.value(f"{pointer}/{step}", depth + 1)
            self.space()
            number += 1
            if self.body[self.at : self.at + 1] == b",":
                self._copy()
                self.space()
        if number:
            self._new_line(depth)
        self._copy()

    def _key(self) -> str:
        token = self._skip(_STRING)
        self.out += token
        self.space()
        self._copy()  # the colon
        self.out += b" "
        self.space()
        return str(json.loads(token)).replace("~", "~0").replace("/", "~1")

    def _new_line(self, depth: int) -> None:
        self.out += b"\n" + b"  " * depth

    def _copy(self) -> None:
        self.out += self.body[self.at : self.at + 1]
        self.at += 1

    def _skip(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self.body, self.at)
        if found is None:
            raise AssertionError(f"not JSON at byte {self.at}")
        self.at = found.end()
        return found[0]
