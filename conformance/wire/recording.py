"""What arrives on one exchange, kept within bounds while it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.evidence import Chunk, Failure, FailureKind
from conformance.wire.decode import ContentDecoder

SEPARATE_CHUNKS = 20_000
"""So many chunks keep their own arrival time; after that, those of a tenth of a second share one."""

JOINED_SPAN = 0.1


class Stop(Exception):  # noqa: N818 - a signal inside the wire layer
    """The exchange is over before the response is complete."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        self.kind: FailureKind = kind
        super().__init__(detail)


class Recording:
    """The response so far. ``body_cap`` bounds the body as received, and after decompression, in bytes."""

    def __init__(self, body_cap: int) -> None:
        self.body_cap = body_cap
        self.status: int | None = None
        self.http_version = ""
        self.headers: tuple[tuple[str, str], ...] = ()
        self.t_headers: float | None = None
        self.t_end: float | None = None
        self.left_at: float | None = None
        self.failure: Failure | None = None
        self.redirects: list[str] = []
        self.body = bytearray()
        self._marks: list[tuple[float, int]] = []  # arrival of a chunk, size of the body with it
        self._decoder: ContentDecoder | None = None

    def head(self, status: int, version: str, headers: Sequence[tuple[bytes, bytes]], t: float) -> None:
        self.status, self.http_version, self.t_headers = status, version, t
        self.headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in headers)
        coding = ", ".join(v for k, v in self.headers if k.lower() == "content-encoding")
        decoder = ContentDecoder(coding, self.body_cap)
        self._decoder = decoder if decoder.codings else None

    def add(self, t: float, data: bytes | bytearray) -> None:
        """Body bytes that arrived at ``t``. Raises :class:`Stop` at the cap; what fits is kept."""
        room = self.body_cap - len(self.body)
        self.body += data[:room]
        if data[:room]:
            self._mark(t)
        if len(data) > room:
            raise Stop("too_large", f"the body is larger than {self.body_cap} bytes")
        if self._decoder is not None:
            for _ in self._decoder.feed(bytes(data)):
                pass
            if self._decoder.truncated:
                raise Stop("too_large", f"the body decompresses to more than {self.body_cap} bytes")

    def _mark(self, t: float) -> None:
        marks = self._marks
        if len(marks) > SEPARATE_CHUNKS and t - marks[-2][0] < JOINED_SPAN:
            marks[-1] = (t, len(self.body))
        else:
            marks.append((t, len(self.body)))

    def fail(self, kind: FailureKind, detail: str, t: float) -> None:
        """Note why there is no complete response; ``detail`` becomes one printable line."""
        line = "".join(c if c.isprintable() else " " for c in detail)
        self.failure = Failure(kind, line if len(line) <= 200 else line[:197] + "...", t)

    def response(self, lag: float) -> dict[str, Any]:
        """The keyword arguments of an :class:`~conformance.evidence.Exchange` that describe the response."""
        starts = [0, *(end for _, end in self._marks[:-1])]
        body = bytes(self.body)
        return {
            "status": self.status,
            "http_version": self.http_version,
            "headers": self.headers,
            "t_headers": self.t_headers,
            "chunks": tuple(
                Chunk(t, body[start:end]) for start, (t, end) in zip(starts, self._marks, strict=False)
            ),
            "t_end": self.t_end,
            "failure": self.failure,
            "left_at": self.left_at,
            "redirects": tuple(self.redirects),
            "lag": lag,
        }
