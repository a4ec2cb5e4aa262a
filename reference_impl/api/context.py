"""What a chat request brings into the model's window: its messages, after those of its session."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from reference_impl.api.failures import context_exceeded
from reference_impl.api.notices import note_model
from reference_impl.api.once import Kept, together
from reference_impl.api.prompts import chat_call, chosen_model, messages_of
from reference_impl.engine.base import Call, Message
from reference_impl.exchange import Exchange
from reference_impl.outages import OutageError
from reference_impl.policies.context import Wish
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer
from reference_impl.store.sessions import Session, SessionIsBusyError

_log = logging.getLogger("aiconform.reference")


@dataclass(frozen=True)
class Turn:
    """A call with everything it sees. `requested` is the model's name in the request.

    `session` and `lease` are None for a request without a session.
    """

    call: Call
    told: tuple[Message, ...]
    context: Mapping[str, Any]
    requested: str
    session: str | None = None
    lease: str | None = None


def session_not_found(param: str) -> ContractError:
    """SESSION_NOT_FOUND, the same for an unknown, an expired and somebody else's session."""
    return ContractError("SESSION_NOT_FOUND", "There is no such session.", param=param)


async def preview(services: Services, exchange: Exchange, payload: Mapping[str, Any]) -> Turn:
    """The turn as it would be now. Holds nothing, changes nothing."""
    session_id = payload.get("session_id")
    if session_id is None:
        return _turn(services, exchange, payload, None)
    session = await services.sessions.find(session_id, exchange.caller.name)
    if session is None:
        raise session_not_found("/session_id")
    return _turn(services, exchange, payload, session)


async def begin(services: Services, exchange: Exchange, payload: Mapping[str, Any]) -> Turn:
    """The turn, with the sole right to add to its session: `keep` its answer and `finish` it."""
    session_id = payload.get("session_id")
    if session_id is None:
        return _turn(services, exchange, payload, None)
    lease = secrets.token_hex(16)
    try:
        session = await services.sessions.take(session_id, exchange.caller.name, lease)
    except SessionIsBusyError:
        raise ContractError(
            "SESSION_BUSY",
            "Another turn of this session is under way; send this one when it has ended.",
            param="/session_id",
            headers={"Retry-After": "1"},
        ) from None
    if session is None:
        raise session_not_found("/session_id")
    try:
        return _turn(services, exchange, payload, session, lease)
    except ContractError:
        await services.sessions.release(session_id, lease)
        raise


def measured(turn: Turn, input_tokens: int) -> dict[str, Any]:
    """The turn's `metadata.context` with the input as it was in the end, by the count of the model's server."""
    return {"context": {**turn.context, "input_tokens": input_tokens}} if turn.context else {}


def beyond_limit(turn: Turn, input_tokens: int) -> ContractError | None:
    """The refusal of an answer whose input, by the count of the model's server, is larger than the window or the
    caller's own limit; an answer is never said to be within a limit that it is not."""
    limit = turn.context.get("limit", turn.call.model.context_window)
    return context_exceeded(input_tokens, limit) if input_tokens > limit else None


async def keep(services: Services, turn: Turn, text: str) -> None:
    """Remember what was said in a turn. A session that was deleted meanwhile stays deleted."""
    if turn.session is not None and turn.lease is not None:
        said = (*turn.told, Message("assistant", text))
        await services.sessions.append(turn.session, turn.lease, said)


async def keep_answered(
    services: Services, turn: Turn, text: str, ticket: Ticket | None, answer: StoredAnswer
) -> Kept:
    """Remember what was said in a turn, together with the answer that says it."""

    async def remember() -> StoredAnswer:
        await keep(services, turn, text)
        return answer

    return await together(services, ticket, remember)


async def finish(services: Services, turn: Turn) -> None:
    """Let the next turn of the session begin."""
    if turn.session is not None and turn.lease is not None:
        # Shielded: who is cancelled while waiting for its turn at the database must not keep the session.
        try:
            await asyncio.shield(services.sessions.release(turn.session, turn.lease))
        except OutageError as problem:
            _log.warning("a session stays busy until its lease ends: %s", problem)


@asynccontextmanager
async def taking_turn(
    services: Services, exchange: Exchange, payload: Mapping[str, Any], prepared: Turn | None = None
) -> AsyncIterator[Turn]:
    """A turn that ends with the block, however that ends. `prepared`: one that needs no session."""
    turn = prepared or await begin(services, exchange, payload)
    try:
        yield turn
    finally:
        await finish(services, turn)


def _turn(
    services: Services,
    exchange: Exchange,
    payload: Mapping[str, Any],
    session: Session | None,
    lease: str | None = None,
) -> Turn:
    model = chosen_model(services.engine.catalogue, payload)
    note_model(exchange, model)
    told = messages_of(payload)
    history = () if session is None else session.messages
    fitted = services.policies.context.fit(
        services.engine.count, (*history, *told), model.context_window, Wish.of(payload)
    )
    call = chat_call(services.engine, payload, fitted)
    requested = payload.get("model", model.id)
    return Turn(call, told, fitted.metadata, requested, None if session is None else session.id, lease)
