"""Cross-origin access (Fetch standard): who may call from a browser, and which headers they may read."""

from __future__ import annotations

from typing import Protocol

from reference_impl.exchange import RequestHeaders

EXPOSED = (
    "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed, API-Version, "
    "Deprecation, Sunset, Link, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens"
)
_ALLOWED = (
    "Authorization, Content-Type, Accept, Idempotency-Key, API-Version, X-Client-Request-Id, traceparent, "
    "tracestate"
)


class Cors(Protocol):
    """Answers the browser's questions."""

    def headers(self, request: RequestHeaders) -> list[tuple[bytes, bytes]]:
        """Headers for any response."""
        ...

    def preflight(self, request: RequestHeaders, allow: str) -> list[tuple[bytes, bytes]]:
        """More headers for the answer to a preflight; `allow` lists the methods."""
        ...


class SingleOrigin:
    """One configured origin, or `*`; None turns CORS off. Keys travel in a header, never in cookies."""

    def __init__(self, origin: str | None) -> None:
        self._origin = origin

    def headers(self, request: RequestHeaders) -> list[tuple[bytes, bytes]]:
        """Allow and expose, when the request has an Origin that is allowed."""
        origin = request.get("origin")
        if origin is None or self._origin is None:
            return []
        vary = [] if self._origin == "*" else [(b"vary", b"Origin")]
        if self._origin not in ("*", origin):
            return vary
        return [
            *vary,
            (b"access-control-allow-origin", self._origin.encode("latin-1")),
            (b"access-control-expose-headers", EXPOSED.encode()),
        ]

    def preflight(self, request: RequestHeaders, allow: str) -> list[tuple[bytes, bytes]]:
        """Methods and headers a browser may use, when it asks."""
        if not self.headers(request) or request.get("access-control-request-method") is None:
            return []
        return [
            (b"access-control-allow-methods", allow.encode()),
            (b"access-control-allow-headers", _ALLOWED.encode()),
            (b"access-control-max-age", b"600"),
        ]
