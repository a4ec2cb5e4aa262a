"""Put Content-Encoding back on a body out of which a secret was taken."""

from __future__ import annotations

import gzip
import zlib

import brotli


def encode_content(data: bytes, content_encoding: str | None) -> bytes:
    """Apply the codings in the order listed (RFC 9110 8.4); one that is not known is left out."""
    for name in (content_encoding or "").lower().split(","):
        match name.strip():
            case "gzip" | "x-gzip":
                data = gzip.compress(data, mtime=0)
            case "deflate":
                data = zlib.compress(data)
            case "br":
                data = brotli.compress(data)  # type: ignore[no-untyped-call]
            case _:
                continue
    return data
