"""A connection that is kept: what becomes of the next request on it after one that was refused."""

from __future__ import annotations

from conformance.probes.shared import FIRST
from conformance.registry import probe
from conformance.session import Ask, ProbeSkipped, Session

TRIES = 2
"""A server may end an idle connection at any time (RFC 9112 section 9.5): one that is lost once proves nothing."""

LONG = "The harbour was quiet that morning, and nobody spoke. " * 40
"""About 2 kB, which a server that does not read what it refuses finds on the connection afterwards."""


@probe(calls=2 * TRIES, tokens=100, shares=("models", "chat:baseline"))
async def kept_connection(session: Session) -> None:
    """On one connection: a long request that is refused, then a usual one.

    Roles ``refused`` and ``next``; where the second got no response at all, both are sent once more. A request without
    a key is refused soonest; where there is none, one whose body is cut off.
    """
    usual = [await session.shared("chat", "usual", **FIRST)]
    if "models" in session.dialect.operations:
        usual.append(await session.models())
    if any(reading.exchange.redirects for reading in usual):
        raise ProbeSkipped("the API redirects its calls, and what follows a redirect is another request")
    short = {"prompt": "Say yes.", "max_output_tokens": 16}
    keyed = session.has_key("main") and not session.dialect.auth.query
    refused = (
        Ask("chat", "refused", principal="none", params={**short, "prompt": LONG})
        if keyed
        else Ask("chat", "refused", body=b'{"messages": "' + LONG.encode(), params=short)
    )
    free = "models" in session.dialect.operations
    following = Ask("models", "next") if free else Ask("chat", "next", params=short)
    for _ in range(TRIES):
        readings = await session.in_turn(refused, following)
        if len(readings) < 2 or readings[-1].status is not None:
            return
