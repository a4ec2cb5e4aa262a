"""Authentication with API keys: no key, wrong keys, keys in the wrong place, another principal's resource."""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from conformance.probes.combining import anything_without_key, from_a_page
from conformance.probes.shaping import path_of
from conformance.probes.shared import POSTED, SHORT_CHAT
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

QUERY_NAMES = ("api_key", "key", "access_token")
MALFORMED_KEY = "not-a-key"
UNKNOWN_TURN = "turn_00000000000000000000000000000000"


@probe(calls=7, tokens=60, vendor_calls=5, shares=("chat:no_key",))
async def auth(session: Session) -> None:
    """Calls without a key, with two kinds of wrong key, and with the key behind ``bearer`` in lower case."""
    _need_some_key(session)
    calls: list[Awaitable[Reading]] = [
        session.shared("chat", "none:chat", principal="none", **SHORT_CHAT),
        session.call("chat", "none:invalid_body", principal="none", body=b"{}", **SHORT_CHAT),
        session.call(
            "chat",
            "unknown_key",
            headers=_headers(session, similar(session.target.keys["main"])),
            **SHORT_CHAT,
        ),
        session.call("chat", "malformed_key", headers=_headers(session, MALFORMED_KEY), **SHORT_CHAT),
    ]
    lower = {
        name: "bearer " + value.removeprefix("Bearer ")
        for name, value in session.dialect.auth_headers(session.target, "main")
        if name.lower() == "authorization" and value.startswith("Bearer ")
    }
    if "chat_stream" in session.dialect.operations:
        calls.append(_stream_without_key(session))
    if lower:
        calls.append(_lower_case(session, lower))
    await asyncio.gather(*calls)


async def _stream_without_key(session: Session) -> Reading:
    refused = await anything_without_key(session)
    if refused is not None:
        session.also(refused, "none:chat_stream")
        return refused
    return await session.call("chat_stream", "none:chat_stream", principal="none", **SHORT_CHAT)


async def _lower_case(session: Session, lower: dict[str, str]) -> Reading:
    carried = await from_a_page(session)
    if carried is not None and carried.exchange.sent_header("authorization") == lower.get("Authorization"):
        session.also(carried, "lower_case_scheme")
        return carried
    if "models" in session.dialect.operations:
        return await session.call("models", "lower_case_scheme", headers=lower)
    return await session.call("chat", "lower_case_scheme", headers=lower, **SHORT_CHAT)


@probe(calls=5, operations=("classify", "models", "capabilities"), tokens=0)
async def auth_matrix(session: Session) -> None:
    """Every other protected operation of the contract without a key, but that of a turn (``turn_streams``); and a key
    given in the query string."""
    _need_some_key(session)
    protected: dict[str, dict[str, Any]] = {
        "classify": {"text": "Where is my parcel?"},
        "models": {},
        "model": {"model": "any"},
        "chat_deferred": SHORT_CHAT,
    }
    refused = await anything_without_key(session)
    if refused is not None:
        session.also(refused, "none:chat_deferred")
        del protected["chat_deferred"]
    key = quote(session.target.keys["main"], safe="")
    query = "&".join(f"{name}={key}" for name in QUERY_NAMES)
    path = path_of(session, "models")
    in_query = await session.raw("GET", f"{path}?{query}", "key_in_query", principal="none")
    if in_query.status == 401:  # so nothing else would have let the call in either
        session.also(in_query, "none:models")
        del protected["models"]
    await asyncio.gather(
        *(
            session.call(operation, f"none:{operation}", principal="none", **params)
            for operation, params in protected.items()
            if operation in session.dialect.operations
        )
    )


@probe(calls=2, operations=("chat_deferred", "turn_stream"), tokens=60, shares=("chat_deferred",))
async def foreign_turn(session: Session) -> None:
    """A turn that one principal posted, asked for by another; and a turn that nobody posted."""
    session.need_key("other")
    posted = await session.shared("chat_deferred", "posted", **POSTED)
    turn = posted.body.get("turn_id") if isinstance(posted.body, dict) else None
    if not isinstance(turn, str):
        raise ProbeSkipped("the deferred call was not accepted with a turn_id")
    await asyncio.gather(
        session.call("turn_stream", "foreign", principal="other", turn_id=turn),
        session.call("turn_stream", "unknown", principal="other", turn_id=UNKNOWN_TURN),
    )


def similar(key: str) -> str:
    """A key nobody has, of a shape like ``key``'s: a prefix that ends within the first 8 characters (``sk-``)
    stays, the rest is drawn anew from the same classes of characters, and is at least 16 characters long.
    It tells nothing else about ``key``."""
    kept = next((n + 1 for n, c in enumerate(key[:8]) if c in "-_"), 0)
    rest = "".join(_redraw(c) for c in key[kept:])
    return key[:kept] + rest + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16 - len(rest)))


def _redraw(character: str) -> str:
    for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        if character in alphabet:
            return secrets.choice(alphabet)
    return character


def _headers(session: Session, key: str) -> dict[str, str]:
    """The dialect's authentication headers for a key that is not the target's."""
    return dict(session.dialect.auth_headers(replace(session.target, keys={"main": key}), "main"))


def _need_some_key(session: Session) -> None:
    if not session.has_key("main"):
        raise ProbeSkipped("the target was described without a key: give --key to have authentication judged")
    if session.dialect.auth.query:
        raise ProbeSkipped(
            "the dialect puts the credential into the query, where this suite sends no wrong ones"
        )
