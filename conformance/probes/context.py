"""Sessions and the context window: what is remembered, for whom, for how long, and what is left out."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from conformance.reading import Reading, member_of
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

SESSIONS = ("chat", "session_create", "session", "session_delete")
UNKNOWN_SESSION = "sess_00000000000000000000000000000000"
FACT = (
    "Please remember this for later, and answer in one sentence: the lighthouse keeper's name is Wilhelmina, the "
    "harbour master's dog is called Captain, and the ferry leaves from the second pier at half past seven."
)
FOLLOW_UP = "Who keeps it?"
INTRUDING = "What was said here?"
"""What another principal asks in a session that is not its own."""

SYSTEM = "Answer briefly and politely, and never mention the weather, the tides, or the price of fish. " * 4
SMALL: dict[str, Any] = {"max_output_tokens": 8}
LONGEST_EXPIRY = 3.0
"""Seconds. A session that lives longer, although one second was asked for, is not waited for."""


@probe(
    calls=8,
    operations=(*SESSIONS, "chat_stream"),
    tokens=500,
    shares=("session_create", "chat:session"),
)
async def session_turns(session: Session) -> None:
    """Two turns, the same conversation without a session, an overfull third turn, a streamed one; another principal
    reads, continues and deletes the session; the history."""
    session_id, first = await begun_session(session)
    said = [_message("user", FACT), _message("assistant", first.facts["text"].value)]
    await session.call("chat", "turn_2", session_id=session_id, prompt=FOLLOW_UP, **SMALL)
    follow_up = _message("user", FOLLOW_UP)
    await session.call("chat", "stateless", messages=[*said, follow_up], **SMALL)
    taken = first.facts["usage.input"].value
    if isinstance(taken, int):
        # The history alone is larger than this, and no strategy was chosen.
        limit = {"max_input_tokens": taken}
        await session.call(
            "chat", "overfull", session_id=session_id, prompt=FOLLOW_UP, context_policy=limit, **SMALL
        )
    await session.call("chat_stream", "streamed", session_id=session_id, prompt=FOLLOW_UP, **SMALL)
    if session.has_key("other"):
        other: dict[str, Any] = {"principal": "other", "session_id": session_id}
        await session.call("session", "other:read", **other)
        await session.call("chat", "other:continue", prompt=INTRUDING, **other, **SMALL)
        await session.call("session_delete", "other:delete", **other)
    await session.call("session", "history", session_id=session_id)


async def begun_session(session: Session) -> tuple[str, Reading]:
    """The id of a session, and the answer in its first turn; shared by the probes that add to it."""
    session_id = session_of(await session.shared("session_create", "created"))
    return session_id, await session.shared("chat", "turn_1", session_id=session_id, prompt=FACT, **SMALL)


@probe(calls=10, operations=SESSIONS, tokens=270)
async def session_end(session: Session) -> None:
    """Two turns of one session at the same time, slow enough to overlap, and the history; then a session that was
    deleted, one that never was, and one that has expired."""
    session_id = session_of(await session.call("session_create", "created"))
    slow = session.dialect.provocations.get("slow_tokens", {})
    await asyncio.gather(
        *(
            session.call(
                "chat", f"turn:{name}", session_id=session_id, prompt=f"I am {name}.", **SMALL, **slow
            )
            for name in ("Ann", "Ben")
        )
    )
    await session.call("session", "history", session_id=session_id)
    await session.call("session_delete", "deleted", session_id=session_id)
    await session.call("session", "deleted:read", session_id=session_id)
    await session.call("chat", "deleted:continue", session_id=session_id, prompt=FOLLOW_UP, **SMALL)
    await session.call("chat", "unknown", session_id=UNKNOWN_SESSION, prompt=FOLLOW_UP, **SMALL)
    brief = await session.call("session_create", "created_brief", ttl_seconds=1)
    life = life_of(brief)
    if life is None or life > LONGEST_EXPIRY:
        session.notes["expiry"] = (
            "a session for one second was not given an expires_at soon enough to wait for"
        )
        return
    await asyncio.sleep(max(1.0, life) + 0.2)
    await session.call("chat", "expired", session_id=brief.body.get("session_id"), prompt=FOLLOW_UP, **SMALL)


@probe(
    calls=4,
    operations=("chat", "session_create"),
    tokens=900,
    shares=("capabilities",),
)
async def context_cut(session: Session) -> None:
    """A conversation with a long system text: whole, only its ends, and cut to one token less than the whole.

    Everything between the ends takes less than the system text, so a count shows what was dropped.
    """
    system, *middle, last = _conversation()
    whole = await whole_conversation(session, "whole")
    await session.call("chat", "ends", messages=[system, last], **SMALL)
    tokens = whole.facts["usage.input"].value
    if not isinstance(tokens, int):
        raise ProbeSkipped("the answers do not tell their input tokens")
    offered = await _strategies(session)
    for role, strategy in (("truncated", "truncate_oldest"), ("summarized", "summarize")):
        if offered is not None and strategy not in offered:
            session.notes[role] = f"the capabilities list no strategy {strategy}"
            continue
        policy = {"strategy": strategy, "max_input_tokens": tokens - 1}
        await session.call("chat", role, messages=[system, *middle, last], context_policy=policy, **SMALL)


async def whole_conversation(session: Session, role: str) -> Reading:
    """A conversation of about 150 words, most of them its system text."""
    return await session.shared("chat", role, messages=_conversation(), **SMALL)


def _conversation() -> list[dict[str, Any]]:
    return [
        _message("system", SYSTEM),
        _message(
            "user",
            "I would like to walk along the pier with my two children; is it open today, and until when?",
        ),
        _message(
            "assistant",
            "Yes, the pier is open today until six; the gate on the north closes an hour before.",
        ),
        _message("user", FOLLOW_UP),
    ]


async def _strategies(session: Session) -> list[Any] | None:
    """What the target does with an overfull conversation, by its own word; None if it has none."""
    if "capabilities" not in session.dialect.operations:
        return None
    found = member_of((await session.capabilities()).body, "capabilities", "context", "strategies")
    return found if isinstance(found, list) else None


def session_of(created: Reading) -> str:
    """The id of a session that was made; without one the probe ends."""
    session_id = created.body.get("session_id") if isinstance(created.body, dict) else None
    if not isinstance(session_id, str):
        raise ProbeSkipped(f"no session could be made: status {created.status}")
    return session_id


def life_of(created: Reading) -> float | None:
    """Seconds that a session lives, by the server's clock alone: ours may be another."""
    body = created.body if isinstance(created.body, dict) else {}
    try:
        made, ends = (datetime.fromisoformat(str(body.get(n))) for n in ("created_at", "expires_at"))
        return (ends - made).total_seconds()
    except (ValueError, TypeError):
        return None


def _message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content if isinstance(content, str) else ""}
