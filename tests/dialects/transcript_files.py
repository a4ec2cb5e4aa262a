"""Recorded answers of real servers as files, and answers written after a vendor's documents in the same form.

A file of ``transcripts/`` is: comment lines (``# …``) that say where it comes from, the response head, a blank line,
and the body byte for byte (without chunked framing). Lines of the head end in LF. Two comments mean something:

    # speaks: openai-chat        the dialect to read it with: a built-in one
    # failure: reset             the answer broke off; what arrived is all there is
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from conformance.dialects.model import Dialect, load_dialect
from conformance.evidence import Chunk, Exchange, Failure, Sent
from conformance.reading import Reading

FOLDER = Path(__file__).parent / "transcripts"
STARTED_AT = 1_795_508_273.0  # 2026-11-24T08:17:53Z


def transcript(name: str) -> Reading:
    """The answer recorded as ``transcripts/NAME.http``; the body arrived as one chunk."""
    comments, head, body = _parts((FOLDER / f"{name}.http").read_bytes())
    status, *headers = head
    failure = Failure("reset", "broke off", 0.2) if comments.get("failure") == "reset" else None
    exchange = Exchange(
        id="x0001",
        probe="recorded",
        role=name,
        operation="chat",
        principal="main",
        params={},
        sent=Sent("POST", "http://127.0.0.1/v1/chat/completions"),
        started_at=STARTED_AT,
        status=int(status.split()[1]),
        headers=tuple((k, v) for k, _, v in (line.partition(": ") for line in headers)),
        t_headers=0.05,
        chunks=(Chunk(0.1, body),) if body else (),
        t_end=0.2,
        failure=failure,
    )
    return Reading(exchange, spoken(comments["speaks"]))


@cache
def spoken(name: str) -> Dialect:
    """The dialect of a transcript; it is read once."""
    return load_dialect(name)


def write(path: Path, comments: dict[str, str], head: list[str], body: bytes) -> None:
    """Write one transcript file."""
    lines = [*(f"# {k}: {v}" for k, v in comments.items()), *head]
    path.write_bytes("\n".join(lines).encode("latin-1") + b"\n\n" + body)


def _parts(data: bytes) -> tuple[dict[str, str], list[str], bytes]:
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    comments = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    return comments, [line for line in lines if not line.startswith("# ")], body
