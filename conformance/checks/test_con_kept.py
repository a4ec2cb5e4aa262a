"""CON: a connection outlives the request that was refused on it."""

from __future__ import annotations

from conformance.checks.refusals import brief, decisive
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect


@check("CON-23")
def test_a_connection_is_usable_after_an_error(kept_connection: Probed, baseline: Probed) -> str:
    """The next request on the connection gets its own answer, unless the error said that the connection closes.

    It was sent twice, each time on a connection of its own, before a lost connection is believed.
    """
    refused = kept_connection["refused"]
    if refused.status is None or refused.status < 400:
        raise Inconclusive(f"the first request was not refused but answered {refused.status}")
    following = kept_connection.get("next")
    if following is None:
        if not _closes(refused):
            raise Inconclusive("the connection could not be used again, and nobody said why")
        return f"{refused.status}, and the server says that it closes the connection"
    failure = following.exchange.failure
    lost = [r for r in kept_connection if r.role == "next" and r.status is None]
    if failure is not None and (following.status is not None or len(lost) < 2):
        raise Inconclusive(f"{following.exchange.id} has no complete response: {failure.detail} (CON-25)")
    expect(
        failure is None,
        expected=f"an answer to the next request on the connection, or Connection: close on the {refused.status}",
        seen=f"{failure.kind}, {failure.detail}, {len(lost)} times" if failure else "",
        at=following,
    )
    usual = baseline.get("models" if following.exchange.operation == "models" else "chat")
    if usual is None or not usual.ok:
        raise Inconclusive("the same request on a connection of its own was not answered with success either")
    expect(
        decisive(following).ok,
        expected=f"status {usual.status}, as on a connection of its own",
        seen=f"{brief(following)} after {refused.status} on the same connection",
        at=following,
    )
    return f"{refused.status}, then {following.status} on the same connection"


def _closes(reading: Reading) -> bool:
    """Whether a response ends its connection (RFC 9112 section 9.3): by its header, its version, or the lack of any
    other end of its body."""
    options = (reading.header("connection") or "").lower().replace(" ", "").split(",")
    framed = reading.header("content-length") is not None or reading.header("transfer-encoding") is not None
    return "close" in options or reading.exchange.http_version == "HTTP/1.0" or not framed
