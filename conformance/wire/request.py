"""A request as bytes: what the caller gave, byte for byte, plus only what HTTP cannot do without."""

from __future__ import annotations

import re

import httpx

from conformance import __version__
from conformance.evidence import Sent

USER_AGENT = f"aiconform/{__version__}"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(r"[\r\n\0]")


def complete_headers(sent: Sent, url: httpx.URL) -> tuple[tuple[str, str], ...]:
    """The headers to send: Host first, then the caller's in order and case, then what is still missing.

    Without ``Accept-Encoding`` a server may compress as it likes (RFC 9110 12.5.3), so ``identity`` is asked
    for and raw bytes stay readable. ``Content-Length`` is added unless the caller frames the body.
    Raises ``ValueError`` for a header that would break out of its line.
    """
    for name, value in sent.headers:
        if not _TOKEN.fullmatch(name) or _FORBIDDEN.search(value):
            raise ValueError(
                f"the request header {name[:60]!r} has a forbidden character in its name or value"
            )
    given = {name.lower() for name, _ in sent.headers}
    headers = list(sent.headers)
    if "host" not in given:
        headers.insert(0, ("Host", url.netloc.decode("ascii")))
    if "user-agent" not in given:
        headers.append(("User-Agent", USER_AGENT))
    if "accept-encoding" not in given:
        headers.append(("Accept-Encoding", "identity"))
    framed = "content-length" in given or "transfer-encoding" in given
    if not framed and (sent.body or sent.method in ("POST", "PUT", "PATCH")):
        headers.append(("Content-Length", str(len(sent.body))))
    return tuple(headers)


def head(method: str, target: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Request line and header section (RFC 9112 sections 3 and 5)."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is not a request method")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", errors="replace")


def parse_url(url: str) -> httpx.URL | None:
    """An absolute http(s) URL, or None."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        return None
    return parsed if parsed.scheme in ("http", "https") and parsed.raw_host else None


def port_of(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def same_origin(a: httpx.URL, b: httpx.URL) -> bool:
    """RFC 6454: scheme, host and port are equal."""
    return (a.scheme, a.raw_host, port_of(a)) == (b.scheme, b.raw_host, port_of(b))
