"""POST /chat: one answer as JSON, as a stream, or later."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import Response

from reference_impl.api.failures import contract_error
from reference_impl.api.once import REPLAYED, claim, holding, once
from reference_impl.api.prompts import chat_call
from reference_impl.api.stream import Answer, events, record, stream_response
from reference_impl.engine.base import Call, EngineError, Finish, FinishReason, ModelTimeoutError
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode, stored_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.events import split_blocks
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.policies.negotiation import EVENT_STREAM
from reference_impl.runs import Recording
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def chat(exchange: Exchange, payload: dict[str, Any]) -> Response:
        streamed, deferred = payload.get("stream", False), payload.get("deferred", False)
        require_media_type(services, exchange, EVENT_STREAM if streamed else JSON)
        call = chat_call(services.engine, payload)
        if streamed:
            return await streamed_answer(services, exchange, payload, call)

        async def execute(ticket: Ticket | None) -> StoredAnswer:
            if deferred:
                return await _defer(services, exchange, payload, call, ticket)
            return await _complete(services, exchange, call, ticket)

        return await once(services, exchange, payload, execute)

    return {"chat": chat}


def require_media_type(services: Services, exchange: Exchange, media_type: str) -> None:
    """NOT_ACCEPTABLE unless the client takes the form the request makes the answer have."""
    if not services.policies.negotiation.accepts(exchange.headers.all("accept"), media_type):
        raise ContractError(
            "NOT_ACCEPTABLE",
            f"This request is answered as {media_type}, which its Accept header excludes.",
            param="Accept",
            details={"available": [media_type]},
        )


async def admit_call(services: Services, exchange: Exchange, call: Call) -> None:
    """Everything that can refuse a call before its first token."""
    await services.policies.limits.admit_tokens(exchange, call.input_tokens)
    try:
        await services.engine.admit(call)
    except EngineError as failure:
        raise contract_error(failure) from failure


def new_chat_id() -> str:
    """A fresh answer id: Unix milliseconds as 12 hex digits, then 80 random bits."""
    return f"chat_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


async def replay(blocks: list[bytes]) -> AsyncGenerator[bytes, None]:
    """A recorded stream, block by block."""
    for block in blocks:
        yield block


def _extra(ticket: Ticket | None) -> dict[str, Any]:
    return {} if ticket is None else {"idempotency": ticket.metadata}


async def _complete(
    services: Services, exchange: Exchange, call: Call, ticket: Ticket | None
) -> StoredAnswer:
    text, reason, usage = await whole_answer(services, exchange, call)
    facts = AnswerFacts(call.model, usage, _extra(ticket))
    content = {
        "id": new_chat_id(),
        "message": {"role": "assistant", "content": text},
        "finish_reason": reason,
        "metadata": services.policies.metadata.block(exchange, facts),
    }
    return StoredAnswer(200, JSON, encode(content))


async def whole_answer(services: Services, exchange: Exchange, call: Call) -> tuple[str, FinishReason, Usage]:
    """Admit, generate to the end and charge for it."""
    await admit_call(services, exchange, call)
    text, reason, usage = await _generate(services, exchange, call)
    await services.policies.limits.charge(exchange, usage.total)
    return text, reason, usage


async def _generate(services: Services, exchange: Exchange, call: Call) -> tuple[str, FinishReason, Usage]:
    limit_s = services.settings.sync_max_seconds
    tokens: list[str] = []
    finish = Finish("stop")
    try:
        async with asyncio.timeout(limit_s), aclosing(services.engine.generate(call)) as generation:
            async for item in generation:
                if isinstance(item, Finish):
                    finish = item
                else:
                    tokens.append(item)
    except EngineError as failure:
        raise contract_error(failure) from failure
    except TimeoutError as late:
        raise contract_error(ModelTimeoutError(limit_s * 1000, exchange.elapsed_ms)) from late
    return "".join(tokens), finish.reason, Usage.of(finish.counts, call.input_tokens, len(tokens))


async def _defer(
    services: Services, exchange: Exchange, payload: dict[str, Any], call: Call, ticket: Ticket | None
) -> StoredAnswer:
    turn_id = f"turn_{secrets.token_hex(16)}"
    await services.turns.add(turn_id, exchange.caller.name, payload, services.settings.turn_ttl_s)
    link = exchange.link(f"/chat/stream?turn_id={turn_id}")
    # Nothing has run yet: the stream of the turn reports, and is charged, what the answer takes.
    facts = AnswerFacts(call.model, Usage(), _extra(ticket))
    content = {
        "turn_id": turn_id,
        "status": "queued",
        "stream_url": link,
        "metadata": services.policies.metadata.block(exchange, facts),
    }
    return StoredAnswer(202, JSON, encode(content), location=link)


async def streamed_answer(
    services: Services, exchange: Exchange, payload: dict[str, Any], call: Call
) -> Response:
    """The answer as server-sent events, written by the services' own event policy."""
    claimed = await claim(services, exchange, payload)
    if isinstance(claimed, StoredAnswer):
        return _replayed(services, exchange, call, claimed)
    answer = Answer(new_chat_id(), call, _extra(claimed))
    if claimed is None:
        await admit_call(services, exchange, call)
        return stream_response(services, exchange, events(services, exchange, answer), answer)
    async with holding(services, exchange, claimed):
        await admit_call(services, exchange, call)
    recording = Recording()
    services.runs.start(_keep(services, exchange, answer, claimed, recording))
    return stream_response(services, exchange, recording.blocks(), answer)


def _replayed(services: Services, exchange: Exchange, call: Call, stored: StoredAnswer) -> Response:
    if stored.media_type != EVENT_STREAM:
        return stored_answer(stored, REPLAYED)
    blocks = replay(split_blocks(stored.body))
    return stream_response(services, exchange, blocks, Answer("", call), dict(REPLAYED))


async def _keep(
    services: Services, exchange: Exchange, answer: Answer, ticket: Ticket, recording: Recording
) -> None:
    """Run a keyed stream to its end and settle its key, also when the client has gone."""
    policy = services.policies.idempotency

    async def settle(stream: bytes) -> None:
        if answer.complete or (answer.failure is not None and policy.is_final(answer.failure.code)):
            await policy.complete(services.ledger, ticket, StoredAnswer(200, EVENT_STREAM, stream))
        else:
            await policy.release(services.ledger, ticket)

    try:
        await record(recording, events(services, exchange, answer), answer, settle)
    except BaseException:
        await asyncio.shield(policy.release(services.ledger, ticket))
        raise
