"""One request on its way through the server: what every layer needs to know about it, in one place."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reference_impl.settings import BASE_PATH, Tier

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class RequestHeaders:
    """Request headers by lower-case name; a repeated header keeps every value, in order."""

    __slots__ = ("_values",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.lower().decode("latin-1"), []).append(value.decode("latin-1"))

    def get(self, name: str) -> str | None:
        """The first value, or None."""
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a repeated header."""
        return self._values.get(name, [])


@dataclass(frozen=True)
class Principal:
    """Who is calling, which limits apply to them, and what they may do (`policies/scopes.py`).

    `credential` is `api_key` or `access_token`; `expires_at` (seconds since the epoch) is a token's end.
    """

    name: str
    tier: Tier
    scopes: frozenset[str]
    credential: str = "api_key"
    expires_at: int | None = None


@dataclass(frozen=True)
class Trace:
    """W3C trace context of this request: 32 and 16 lower-case hex digits.

    `parent_id` is the caller's span, None where a new trace began; `sampled` is the caller's wish.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    sampled: bool = True


@dataclass(frozen=True)
class Quota:
    """Where one limit stands: `remaining` of `limit` units, full again in `reset_seconds` (rounded up).

    A limit on what happens at the same time has neither window nor reset.
    """

    policy: str
    limit: int
    window_seconds: int | None
    remaining: int
    reset_seconds: int | None
    unit: str


@dataclass(frozen=True)
class Notice:
    """Something the request used is deprecated. `successor` and `explained` are paths below the base path."""

    deprecated_at: datetime
    sunset_at: datetime
    successor: str
    explained: str


@dataclass
class Exchange:
    """The facts of one request. `principal` and `quotas` are filled in by admission.

    `client_certificate` is the base64url SHA-256 of the DER certificate of a mutual TLS connection
    (`x5t#S256`, RFC 8705 section 3.1), or None.
    """

    method: str
    path: str
    headers: RequestHeaders
    origin: str
    prefix: str
    request_id: str
    trace: Trace
    client_request_id: str | None
    started: float = field(default_factory=time.perf_counter)
    principal: Principal | None = None
    quotas: tuple[Quota, ...] = ()
    body_requested: bool = False
    client_certificate: str | None = None
    holds_slot: bool = False
    route: str | None = None
    notices: list[Notice] = field(default_factory=list)

    @property
    def caller(self) -> Principal:
        """The principal of an operation that demands one."""
        if self.principal is None:
            raise RuntimeError(f"{self.method} {self.path} was handled without authentication")
        return self.principal

    @property
    def elapsed_ms(self) -> int:
        """Whole milliseconds since the request arrived, rounded down."""
        return int((time.perf_counter() - self.started) * 1000)

    def link(self, path: str) -> str:
        """The reference, relative to the origin, of a resource below the base path."""
        return f"{self.prefix}{BASE_PATH}{path}"

    def url(self, path: str) -> str:
        """The absolute URL of a resource below the base path."""
        return f"{self.origin}{self.link(path)}"


def origin_of(scope: Mapping[str, Any], headers: RequestHeaders) -> str:
    """`scheme://host[:port]` as the client sees this server; a malformed Host is never repeated."""
    host = headers.get("host") or ""
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("localhost", None)
        host = f"{name}:{port}" if port else name
    return f"{scope.get('scheme', 'http')}://{host}"


def certificate_of(scope: Mapping[str, Any]) -> str | None:
    """The thumbprint of the client's certificate, where the TLS layer has verified one (`http/protocol.py`)."""
    found: str | None = scope.get("aiconform.certificate")
    return found
