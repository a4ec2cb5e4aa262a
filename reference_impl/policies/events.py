"""The only writer of server-sent event bytes, in the profile that every SDK can read.

Stricter than WHATWG HTML 9.2: LF line ends, one space after the colon, one `data` line per event, no `id`,
no `retry`, no byte order mark, and a keep-alive comment without a blank line of its own (a comment block that
ends in a blank line makes some clients dispatch an empty event).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

# json.dumps with options builds an encoder per call, here per token.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class EventWriter(Protocol):
    """Writes events."""

    def event(self, data: Mapping[str, Any], name: str | None = None) -> bytes:
        """One event block with JSON data; token events have no name, so that `onmessage` sees them."""
        ...

    def done(self) -> bytes:
        """The terminal of a whole answer."""
        ...

    def keep_alive(self) -> bytes:
        """Bytes that show a silent stream is alive; valid between any two event blocks."""
        ...


class PlainEvents:
    """The contract's wire format."""

    def event(self, data: Mapping[str, Any], name: str | None = None) -> bytes:
        """JSON never contains a raw line break, so one `data` line is always enough."""
        line = f"data: {_ENCODER.encode(data)}\n\n"
        return (line if name is None else f"event: {name}\n{line}").encode()

    def done(self) -> bytes:
        """`data: [DONE]`."""
        return b"data: [DONE]\n\n"

    def keep_alive(self) -> bytes:
        """A comment line."""
        return b": keep-alive\n"


def split_blocks(stream: bytes) -> list[bytes]:
    """A recorded stream as its event blocks, each with its final blank line."""
    return [block + b"\n\n" for block in stream.split(b"\n\n") if block]
