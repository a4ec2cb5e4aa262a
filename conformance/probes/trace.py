"""Trace, lineage and usage: traceparents good and bad, client request ids, aliases, a longer input."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance.probes.combining import INVALID_TRACEPARENTS, LONG_CLIENT_ID, peculiar, with_traceparent
from conformance.probes.shared import FIRST, SHORT_CHAT, non_ascii, unicode_stream
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import Session


@probe(
    calls=0,
    operations=("chat", "chat_stream"),
    tokens=100,
    vendor_calls=0,
    shares=("chat:non_ascii", "chat_stream:unicode"),
)
async def traceparent(session: Session) -> None:
    """Valid traceparents: on a plain call, and on a stream with a ``tracestate`` that nobody knows."""
    await non_ascii(session, "sampled")
    await unicode_stream(session, "unsampled")


@probe(calls=len(INVALID_TRACEPARENTS), tokens=120, vendor_calls=2)
async def traceparent_invalid(session: Session) -> None:
    """Invalid traceparents; where calls cost money, only the two that strict parsers stumble over."""
    roles = list(INVALID_TRACEPARENTS) if session.dialect.name == "contract" else ["zero", "short"]

    async def one(role: str) -> None:
        carried = await with_traceparent(session, role)
        if carried is not None:
            session.also(carried, role)
            return
        headers = {"traceparent": INVALID_TRACEPARENTS[role]}
        await session.call("chat", role, headers=headers, **SHORT_CHAT)

    await asyncio.gather(*(one(role) for role in roles))


@probe(calls=1, tokens=60, vendor_calls=0, shares=("chat:non_ascii",))
async def client_request_id(session: Session) -> None:
    """``X-Client-Request-Id``: a usable one, and one of 600 characters."""
    await non_ascii(session, "usable")
    carried = await peculiar(session, "chat", "one_char")
    if carried is not None and carried.ok:
        session.also(carried, "too_long")
    else:
        await session.call("chat", "too_long", headers={"X-Client-Request-Id": LONG_CLIENT_ID}, **SHORT_CHAT)


@probe(
    calls=0,
    operations=("models", "chat"),
    tokens=40,
    vendor_calls=0,
    shares=("models", "description", "chat:alias"),
)
async def lineage(session: Session) -> None:
    """The models with their aliases and prices, an answer asked for by alias, and the description."""
    alias = first_alias(await session.models())
    if alias is not None:
        await session.shared("chat", "by_alias", model=alias, **FIRST)
    if "description" in session.dialect.operations:
        await session.shared("description", "description", principal="none")


def first_alias(models: Reading) -> str | None:
    """The first alias in a list of models, if there is one."""
    body: Any = models.body
    listed = body.get("data") if isinstance(body, dict) else None
    for model in listed if isinstance(listed, list) else []:
        aliases = model.get("aliases") if isinstance(model, dict) else None
        if isinstance(aliases, list) and aliases and isinstance(aliases[0], str):
            return aliases[0]
    return None
