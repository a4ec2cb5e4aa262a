"""A recorded answer as a file: what ``curl -i`` prints, or what ``aiconform`` keeps of an exchange."""

from __future__ import annotations

import re
import time
from pathlib import Path

from conformance.evidence import Chunk, Exchange, Sent

_STATUS = re.compile(r"HTTP/[0-9.]+ ([0-9]{3})(?: .*)?")


class RecordingError(ValueError):
    """The file is no HTTP answer; one line that says why."""


def read_recording(path: Path) -> Exchange:
    """An answer from a file: lines that begin with ``#``, status line, headers, blank line, body byte for byte.

    A file without a status line is the body of a 200; a first line ``event:`` or ``data:`` makes it a stream.

    Raises:
        RecordingError: the file cannot be read, or its head is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    while data.startswith(b"#"):
        data = data.partition(b"\n")[2]
    if not data.startswith(b"HTTP/"):
        stream = re.match(rb"\s*(event|data|id|:)", data) is not None
        kind = "text/event-stream" if stream else "application/json"
        return _exchange(200, (("Content-Type", kind),), data)
    head, body = _parts(data)
    while head[0].split(" ")[1:2] == ["100"] and body.startswith(b"HTTP/"):
        head, body = _parts(body)
    status = _STATUS.fullmatch(head[0])
    if status is None:
        raise RecordingError(f"{path}: '{head[0][:60]}' is not a status line")
    headers = tuple((k, v.strip()) for k, colon, v in (line.partition(":") for line in head[1:]) if colon)
    return _exchange(int(status[1]), headers, body)


def _parts(data: bytes) -> tuple[list[str], bytes]:
    found = re.search(rb"\r?\n\r?\n", data)
    head, body = (data[: found.start()], data[found.end() :]) if found else (data, b"")
    return head.decode("latin-1").replace("\r\n", "\n").split("\n"), body


def _exchange(status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> Exchange:
    kept = tuple((k, v) for k, v in headers if k.lower() != "content-encoding")  # curl undoes it
    chunks = (Chunk(0.0, body),) if body else ()
    return Exchange(
        "recorded", "recorded", "recorded", "chat", "main", {}, Sent("POST", "http://127.0.0.1/"), time.time(),
        status, "HTTP/1.1", kept, 0.0, chunks, 0.0,
    )  # fmt: skip
