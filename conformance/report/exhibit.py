"""Bytes of a request or a response as a reader may see them: bounded, harmless, the faulty place marked.

Text is decoded as UTF-8; bytes that are none, and control or direction characters, become visible escapes.
What is mostly not text becomes a hex dump. Only windows are shown: the beginning, and around each place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from conformance.report.outline import Span, outline
from conformance.report.plain import visible

MARK = 240
"""Longest part, in bytes, that is marked."""

MAX_PLACES = 20
_HEX_HEAD = 512
_HEX_AROUND = 48
_BYTE = re.compile(r"\bbyte (\d{1,12})\b")
_SAMPLE = 4096
_NEARBY = 120
_BINARY = 0.1  # share of characters that are no text, above which a hex dump says more


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in one style. ``control``: an escape that stands for what cannot be shown. ``gap``: a
    note of how much was left out."""

    text: str
    marked: bool = False
    control: bool = False
    gap: bool = False


@dataclass(frozen=True)
class Shown:
    """``size`` is the whole length in bytes, ``left_out`` how much of it is not in ``pieces``.
    ``missing``: places that were to be marked and are not in the body."""

    form: Literal["empty", "text", "json", "hex"]
    pieces: tuple[Piece, ...]
    size: int
    left_out: int = 0
    missing: tuple[str, ...] = ()


def show(body: bytes, places: Iterable[str] = (), *, head: int = 4096, around: int = 400) -> Shown:
    """``places`` are as verdicts give them: ``byte N`` or a JSON Pointer; others are left alone. ``head``
    bytes from the beginning are shown, and ``around`` bytes on each side of a place."""
    wanted = list(dict.fromkeys(places))[:MAX_PLACES]
    offsets = [int(m[1]) for p in wanted if (m := _BYTE.search(p))]
    pointers = [p for p in wanted if p.startswith("/")]
    if not body:
        return Shown("empty", (), 0, missing=tuple(pointers))
    laid_out = outline(body)
    if laid_out is None and _is_binary(body):
        return _hex(body, offsets, min(head, _HEX_HEAD))
    form: Literal["text", "json"] = "text"
    data, marks = body, [_line_from(body, offset) for offset in offsets]
    if laid_out is not None:
        form = "json"
        spans = laid_out.raw_spans if offsets else laid_out.spans
        data = body if offsets else laid_out.data
        marks += [_pointed(spans, data, p) for p in pointers]
    missing = tuple(p for p in pointers if laid_out is None or p not in laid_out.spans)
    marks = [(_whole(data, s), _whole(data, e, up=True)) for s, e in marks]
    windows = _lines(data, _windows(len(data), marks, head, around))
    pieces = _pieces(data, windows, marks)
    if any(offset >= len(body) for offset in offsets):
        pieces += (Piece("end of body", marked=True, control=True),)
    return Shown(form, pieces, len(body), len(data) - sum(e - s for s, e in windows), missing)


def excerpt(body: bytes, place: str) -> Shown | None:
    """Only what surrounds one place, or None if it names none in this body."""
    if not (_BYTE.search(place) or place.startswith("/")) or not body:
        return None
    found = show(body, [place], head=0, around=120)
    return found if any(p.marked for p in found.pieces) else None


def pieces_of(text: str, marked: bool = False) -> list[Piece]:
    """Text split where a character must be shown as an escape; line feeds and tabs stay."""
    if text.isprintable():
        return [Piece(text, marked)] if text else []
    found: list[tuple[bool, list[str]]] = []
    for character in text:
        escaped = character if character in "\n\t" else _escaped(character)
        control = escaped != character
        if not found or found[-1][0] != control:
            found.append((control, []))
        found[-1][1].append(escaped)
    return [Piece("".join(parts), marked, control) for control, parts in found]


@lru_cache(maxsize=4096)
def _escaped(character: str) -> str:
    if character == "\r":
        return "\\r"
    code = ord(character)
    # What "surrogateescape" made of a byte that is not UTF-8.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else visible(character)


def _is_binary(body: bytes) -> bool:
    sample = body[:_SAMPLE].decode("utf-8", "surrogateescape")
    strange = sum(len(p.text) for p in pieces_of(sample.replace("\r", "")) if p.control)
    return strange / 4 > _BINARY * len(sample) + 4  # an escape has about four characters


def _line_from(body: bytes, offset: int) -> Span:
    """From the offset to the end of its line; the line end itself if it is that."""
    end = body.find(b"\n", offset, offset + MARK)
    return offset, max(offset + 1, end if end >= 0 else min(offset + MARK, len(body)))


def _pointed(spans: Mapping[str, Span], data: bytes, pointer: str) -> Span:
    while pointer not in spans:
        pointer = pointer.rpartition("/")[0]
    start, end = spans[pointer]
    if data[start : start + 1] in (b"{", b"["):
        end = start + 1  # an object is marked by its bracket: all of it would mark nothing
    return start, min(end, start + MARK)


def _windows(size: int, marks: Sequence[Span], head: int, around: int) -> list[Span]:
    wanted = [(0, min(head, size))] if head else []
    wanted += [(max(0, s - around), min(size, e + around)) for s, e in marks if s <= size]
    merged: list[Span] = []
    for start, end in sorted(wanted):
        if merged and start <= merged[-1][1] + 64:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _lines(data: bytes, windows: Sequence[Span]) -> list[Span]:
    """Windows that begin and end with a line, where one does nearby."""
    found: list[Span] = []
    for start, end in windows:
        start = data.rfind(b"\n", max(0, start - _NEARBY), start) + 1 or start
        after = data.find(b"\n", end, end + _NEARBY)
        if len(data) - end < _NEARBY:
            after = len(data)
        if start < _NEARBY:
            start = 0
        end = after if after >= 0 else end
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _pieces(data: bytes, windows: Sequence[Span], marks: Sequence[Span]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for start, end in windows:
        start, end = _whole(data, start), _whole(data, end)
        if start > at:
            pieces.append(_gap(start - at, first=not pieces))
        cuts = sorted({start, end, *(c for m in marks for c in m if start < c < end)})
        for left, right in pairwise(cuts):
            marked = any(s <= left < e for s, e in marks)
            text = data[left:right].decode("utf-8", "surrogateescape")
            if marked and text.startswith("\n"):
                pieces.append(Piece("\\n", marked, control=True))  # a line feed alone could not be seen
            pieces += pieces_of(text, marked)
        at = end
    if at < len(data):
        pieces.append(_gap(len(data) - at))
    return tuple(pieces)


def _whole(data: bytes, at: int, *, up: bool = False) -> int:
    """The beginning of the UTF-8 character that ``at`` is in, or with ``up`` of the next."""
    for moved in range(4):
        place = at + moved if up else at - moved
        if not 0 < place < len(data) or data[place] & 0xC0 != 0x80:
            return min(max(place, 0), len(data))
    return at


def _gap(size: int, *, first: bool = False) -> Piece:
    return Piece(f"{'' if first else chr(10)}… {size:,} bytes not shown …\n", gap=True)


def _hex(body: bytes, offsets: Sequence[int], head: int) -> Shown:
    marks = [(o, o + 1) for o in offsets]
    windows = [
        (s // 16 * 16, min(len(body), -(-e // 16) * 16))
        for s, e in _windows(len(body), marks, head, _HEX_AROUND)
    ]
    pieces: list[Piece] = []
    at = 0
    for start, end in windows:
        if start > at:
            pieces.append(_gap(start - at, first=not pieces))
        for row in range(max(start, at), end, 16):
            pieces += _row(body[row : min(row + 16, end)], row, set(offsets))
        at = max(at, end)
    if at < len(body):
        pieces.append(_gap(len(body) - at))
    shown = sum(e - s for s, e in windows)
    return Shown("hex", tuple(pieces), len(body), max(0, len(body) - shown))


def _row(data: bytes, offset: int, marked: set[int]) -> list[Piece]:
    pieces = [Piece(f"{offset:08x}  ", control=True)]
    here = {o - offset for o in marked} & set(range(len(data)))
    if here:
        pieces += [Piece(f"{b:02x} ", marked=i in here) for i, b in enumerate(data)]
    else:
        pieces.append(Piece(data.hex(" ") + " "))
    text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in data)
    return [*pieces, Piece("   " * (16 - len(data)) + f" {text}\n")]
