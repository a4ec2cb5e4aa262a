"""The Prefer header (RFC 7240)."""

from __future__ import annotations

from reference_impl.exchange import RequestHeaders

RESPOND_ASYNC = "respond-async"


def wants_async(headers: RequestHeaders) -> bool:
    """Whether the client would rather get a job than wait (RFC 7240 section 4.1). `wait` is not weighed."""
    given = headers.all("prefer")
    if not given:
        return False
    members = ",".join(given).split(",")
    return any(member.partition(";")[0].strip().lower() == RESPOND_ASYNC for member in members)
