"""Undo Content-Encoding without trusting the bytes: bounded memory, no exception, bombs cut at the cap."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import brotli

CAP = 8 * 1024 * 1024
MAX_CODINGS = 4
"""More codings than this on one body are an attack, not a configuration."""

_PIECE = 64 * 1024
_GZIP, _ZLIB, _RAW_DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS

Stage = Callable[[bytes], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """``data`` is what could be decoded. ``truncated``: it was cut at the cap, there is more. ``error``: one
    line on why decoding stopped, or on what is wrong with the coding; None if nothing is."""

    data: bytes
    truncated: bool = False
    error: str | None = None


class _Broken(Exception):  # noqa: N818 - a signal inside this module
    """The coded bytes are not what their coding says."""


class _Inflate:
    """gzip (several members, RFC 1952 2.2) or deflate (zlib, RFC 9110 8.4.1.2; or raw, as some send it)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._engine = zlib.decompressobj(_GZIP if name == "gzip" else _ZLIB)
        self._started = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._engine.eof and not self._next_member(data):
                return
            try:
                piece = self._engine.decompress(data, _PIECE)
            except zlib.error as error:
                if self._started or self.name != "deflate":
                    raise _Broken(f"not valid {self.name}: {error}") from None
                self._engine, self._started = zlib.decompressobj(_RAW_DEFLATE), True
                continue
            self._started = True
            data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            if piece:
                yield piece

    def _next_member(self, data: bytes) -> bool:
        """Start on what follows a finished member; zero padding is allowed and ends everything."""
        if not data.strip(b"\0"):
            return False
        if self.name != "gzip" or not data.startswith(b"\x1f"):
            raise _Broken(f"{len(data)} or more bytes after the end of the {self.name} data")
        self._engine = zlib.decompressobj(_GZIP)
        return True

    @property
    def finished(self) -> bool:
        return self._engine.eof or not self._started


class _Brotli:
    """RFC 7932. ``output_buffer_limit`` keeps one step's output near the piece size."""

    name = "br"

    def __init__(self) -> None:
        self._engine = brotli.Decompressor()
        self._started = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        self._started = True
        while True:
            if self._engine.is_finished():
                if data:
                    raise _Broken(f"{len(data)} or more bytes after the end of the br data")
                return
            try:
                piece: bytes = self._engine.process(data, output_buffer_limit=_PIECE)
            except brotli.error:
                raise _Broken("not valid br data") from None
            data = b""
            if piece:
                yield piece
            elif self._engine.can_accept_more_data():
                return

    @property
    def finished(self) -> bool:
        return not self._started or bool(self._engine.is_finished())


class ContentDecoder:
    """Incremental decoder of a Content-Encoding list. ``feed`` never raises; look at ``error`` and ``size``.

    ``size`` counts decoded bytes given out so far; when there are more than ``cap``, ``truncated`` is set and
    the rest is not decoded. Memory in use is a few pieces of 64 KiB per coding, whatever the input.
    """

    def __init__(self, content_encoding: str | None, cap: int = CAP) -> None:
        self.cap = cap
        self.size = 0
        self.truncated = False
        self.error: str | None = None
        self._stages: list[_Inflate | _Brotli] = []
        self._work = 0  # bytes between stages: a bomb inside a bomb is cut as well
        names = [c.strip().lower() for c in (content_encoding or "").split(",")]
        names = [n for n in names if n not in ("", "identity")]
        if len(names) > MAX_CODINGS:
            self.error = f"{len(names)} content codings on one body"
            return
        for name in reversed(names):  # listed in the order they were applied
            if name in ("gzip", "x-gzip", "deflate"):
                self._stages.append(_Inflate("deflate" if name == "deflate" else "gzip"))
            elif name == "br":
                self._stages.append(_Brotli())
            else:
                self._stages.clear()
                self.error = f"content coding '{name[:40]}' is not known"
                return

    @property
    def codings(self) -> int:
        return len(self._stages)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces. With a coding that is not known, nothing comes out."""
        if self.error is not None or self.truncated:
            return
        try:
            for piece in self._through(0, data):
                room = self.cap - self.size
                if len(piece) > room:
                    self.truncated = True
                    piece = piece[:room]
                self.size += len(piece)
                if piece:
                    yield piece
                if self.truncated:
                    return
        except _Broken as error:
            self.error = str(error)

    def _through(self, stage: int, data: bytes) -> Iterator[bytes]:
        if stage == len(self._stages):
            yield data
            return
        for piece in self._stages[stage](data):
            self._work += len(piece)
            if self._work > (len(self._stages) + 1) * self.cap:
                self.truncated = True
                return
            yield from self._through(stage + 1, piece)

    def close(self) -> None:
        """The input has ended; sets ``error`` if it ended early."""
        if self.error is None and not self.truncated:
            early = next((s for s in self._stages if not s.finished), None)
            if early is not None:
                self.error = f"the {early.name} data ends early"


def decode_content(raw: bytes, content_encoding: str | None, cap: int = CAP) -> Decoded:
    """Decode a whole body; never raises and never holds more than ``cap`` decoded bytes.

    A coding that is not known gives the body as it is (up to the cap), with an error.
    """
    decoder = ContentDecoder(content_encoding, cap)
    if not decoder.codings:
        return Decoded(raw[:cap], len(raw) > cap, decoder.error)
    data = bytearray()
    view = memoryview(raw)
    for start in range(0, len(raw), _PIECE):
        for piece in decoder.feed(bytes(view[start : start + _PIECE])):
            data += piece
        if decoder.truncated or decoder.error is not None:
            break
    decoder.close()
    return Decoded(bytes(data), decoder.truncated, decoder.error)
