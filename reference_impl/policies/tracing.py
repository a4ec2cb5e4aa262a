"""Identity of a request: request id, W3C trace context, the client's own id."""

from __future__ import annotations

import os
import random
import re
from typing import Protocol

from reference_impl.exchange import Exchange, RequestHeaders, Trace

# W3C Trace Context section 3.2: version, trace-id, parent-id, flags, all lower-case hex.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_CLIENT_ID = re.compile(r"[\x20-\x7e]{1,512}")
# Ids have to be unique, not secret: OpenTelemetry makes them like this too, and the system need not be asked.
_RANDOM = random.Random()  # noqa: S311
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_RANDOM.seed)


class Tracing(Protocol):
    """Names requests."""

    def request_id(self) -> str:
        """A new, unique, URL-safe id."""
        ...

    def trace(self, headers: RequestHeaders) -> Trace:
        """The caller's trace, or a new one."""
        ...

    def client_request_id(self, headers: RequestHeaders) -> str | None:
        """The id the client gave, if it may be echoed."""
        ...

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Response headers that carry the identity."""
        ...


class W3CTracing:
    """Continues a valid `traceparent`; anything else starts a new trace and is never an error."""

    def request_id(self) -> str:
        """A new id with 128 random bits."""
        return f"req_{_hex(16)}"

    def trace(self, headers: RequestHeaders) -> Trace:
        """The trace of this request, with a span of our own."""
        values = headers.all("traceparent")
        trace_id = parse_traceparent(values[0]) if len(values) == 1 else None
        if trace_id is None:
            return Trace(_hex(16), _hex(8))
        _, _, parent_id, flags = values[0].strip(" \t").split("-")[:4]
        return Trace(trace_id, _hex(8), parent_id, sampled=bool(int(flags, 16) & 1))

    def client_request_id(self, headers: RequestHeaders) -> str | None:
        """`X-Client-Request-Id` when it is 1 to 512 printable ASCII characters."""
        value = headers.get("x-client-request-id")
        return value if value and _CLIENT_ID.fullmatch(value) else None

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """`X-Request-Id`, `Server-Timing` (Trace Context level 2) and the client's id."""
        trace = exchange.trace
        result = [
            (b"x-request-id", exchange.request_id.encode()),
            (b"server-timing", f'trace;desc="00-{trace.trace_id}-{trace.span_id}-01"'.encode()),
        ]
        if exchange.client_request_id is not None:
            result.append((b"x-client-request-id", exchange.client_request_id.encode()))
        return result


def _hex(octets: int) -> str:
    return _RANDOM.randbytes(octets).hex()


def parse_traceparent(value: str) -> str | None:
    """The trace-id of a valid `traceparent`, else None (W3C Trace Context sections 3.2 and 4.3).

    Version ff is forbidden, all-zero ids are invalid, and only versions above 00 may have more fields.
    """
    match = _TRACEPARENT.fullmatch(value.strip(" \t"))
    if match is None:
        return None
    version, trace_id, parent_id, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return trace_id
