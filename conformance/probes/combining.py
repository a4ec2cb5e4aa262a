"""One request that is peculiar in several ways, in place of one for each.

Where its answer shows that a peculiarity did no harm, or was found, it is evidence of that one; where it does not, the
probe sends a request with that peculiarity alone. So a server that keeps the contract gets few calls, and what a
broken one gets wrong is told as exactly as before.
"""

from __future__ import annotations

from typing import Any

from conformance.probes.shaping import odd_case
from conformance.reading import Reading
from conformance.session import Session

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INVALID_TRACEPARENTS = {
    "zero": "00-00000000000000000000000000000000-0000000000000000-00",
    "upper_case": f"00-{TRACE.upper()}-00F067AA0BA902B7-01",
    "version_ff": f"ff-{TRACE}-00f067aa0ba902b7-01",
    "short": "00-4bf92f35-00f067aa-01",
}
DEGENERATE = {"empty": "", "blank": " \t\n ", "one_char": "a"}
CARRIED = {
    "zero": ("chat", "one_char"),
    "upper_case": ("chat", "blank"),
    "version_ff": ("chat", "empty"),
    "short": ("classify", "blank"),
}
"""Which degenerate input is sent under which invalid traceparent."""

ORIGIN = "https://aiconform.example"
LONGEST_KEY = 255
LONG_CLIENT_ID = "a" * 600


async def peculiar(session: Session, operation: str, text: str) -> Reading | None:
    """The answer to a degenerate input under an invalid traceparent, once a run; None if there is no such request.

    That to one character also has header names in an unusual case, the longest idempotency key that is allowed, and a
    client's request id that is too long. Only on the contract: who promises nothing about a header may refuse it.
    """
    name = next((n for n, carrier in CARRIED.items() if carrier == (operation, text)), None)
    if name is None or session.dialect.name != "contract" or operation not in session.dialect.operations:
        return None
    headers = {"traceparent": INVALID_TRACEPARENTS[name]}
    given: dict[str, Any] = {"text": DEGENERATE[text]}
    if operation == "chat":
        given = {"prompt": DEGENERATE[text], "max_output_tokens": 8}
    if text == "one_char":
        given["idempotency_key"] = session.run_key("longest").ljust(LONGEST_KEY, "k")
        headers |= odd_case(session, operation, **given)
        headers["X-Client-Request-Id"] = LONG_CLIENT_ID
    return await session.combined(operation, headers=headers, **given)


async def with_traceparent(session: Session, name: str) -> Reading | None:
    """The answer to the request that carries this invalid traceparent, if it was answered in a new trace."""
    reading = await peculiar(session, *CARRIED[name])
    if reading is None or not reading.ok:
        return None
    trace = reading.facts["trace_id"]
    taken_over = bool(trace) and str(trace.value).lower() in INVALID_TRACEPARENTS[name].lower()
    return None if taken_over else reading


async def with_longest_key(session: Session) -> Reading | None:
    """The answer to the longest key in a header of an unusual case, if it honours the key."""
    reading = await peculiar(session, "chat", "one_char")
    honoured = reading is not None and reading.ok and reading.facts["idempotency.expires_at"]
    return reading if honoured else None


async def anything_without_key(session: Session) -> Reading | None:
    """The 401 to an invalid chat call without a key that wants a stream and an answer later; None for any other answer,
    and where this is no contract: there nobody promises to look for the key first."""
    if session.dialect.name != "contract":
        return None
    body = b'{"messages": 7, "stream": true, "deferred": true}'
    refused = await session.combined("chat_stream", principal="none", body=body, messages=7)
    return refused if refused.status == 401 else None


async def from_a_page(session: Session) -> Reading | None:
    """The list of models, asked for with an Origin and with the scheme of the key in lower case, if it is given."""
    if session.dialect.name != "contract":
        return None
    headers = {"Origin": ORIGIN}
    for name, value in session.dialect.auth_headers(session.target, "main"):
        if name.lower() == "authorization" and value.startswith("Bearer "):
            headers[name] = "bearer " + value.removeprefix("Bearer ")
    listed = await session.combined("models", headers=headers)
    return listed if listed.ok else None
