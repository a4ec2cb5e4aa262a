"""POST /chat: one answer as JSON, as a stream, or later."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from reference_impl.accounting import account, admit, failed
from reference_impl.api.context import (
    Turn,
    begin,
    beyond_limit,
    finish,
    keep,
    keep_answered,
    measured,
    preview,
    taking_turn,
)
from reference_impl.api.failures import contract_error
from reference_impl.api.notices import note_model
from reference_impl.api.once import REPLAYED, Kept, claim, holding, once, together
from reference_impl.api.prompts import chosen_model, refuse_over_window
from reference_impl.api.stream import Answer, Store, events, record, stream_response
from reference_impl.engine.base import (
    Call,
    EngineError,
    Finish,
    FinishReason,
    Generation,
    ModelTimeoutError,
    OverloadedError,
)
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode, stored_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.events import split_blocks
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.policies.negotiation import EVENT_STREAM
from reference_impl.policies.scopes import model_scopes
from reference_impl.runs import Recording
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def chat(exchange: Exchange, payload: dict[str, Any]) -> Response:
        streamed, deferred = payload.get("stream", False), payload.get("deferred", False)
        require_media_type(services, exchange, EVENT_STREAM if streamed else JSON)
        prepared = await prepare(services, exchange, payload)
        if streamed:
            return await streamed_answer(services, exchange, payload, prepared)

        async def execute(ticket: Ticket | None) -> StoredAnswer | Kept:
            if deferred:
                turn = prepared or await preview(services, exchange, payload)
                return await _defer(services, exchange, payload, turn, ticket)
            async with taking_turn(services, exchange, payload, prepared) as turn:
                return await _complete(services, exchange, turn, ticket)

        return await once(services, exchange, payload, execute)

    return {"chat": chat}


async def prepare(services: Services, exchange: Exchange, payload: dict[str, Any]) -> Turn | None:
    """Refuse a model that is not the caller's; the turn of a request without a session.

    What a session holds is looked at when the request is executed: a replay must not depend on it.
    """
    model = chosen_model(services.engine.catalogue, payload)
    services.policies.scopes.require(exchange, *model_scopes(model))
    note_model(exchange, model)
    return None if "session_id" in payload else await preview(services, exchange, payload)


def require_media_type(services: Services, exchange: Exchange, media_type: str) -> None:
    """NOT_ACCEPTABLE unless the client takes the form the request makes the answer have."""
    if not services.policies.negotiation.accepts(exchange.headers.all("accept"), media_type):
        raise ContractError(
            "NOT_ACCEPTABLE",
            f"This request is answered as {media_type}, which its Accept header excludes.",
            param="Accept",
            details={"available": [media_type]},
        )


async def start_call(services: Services, exchange: Exchange, call: Call) -> Generation:
    """Everything that can refuse a call before its first token; then the generation, which has to be closed."""
    await admit(services, exchange, call.model, call.input_tokens)
    try:
        if services.engine.gauge.active >= services.settings.max_generations:
            raise OverloadedError
        return await services.engine.start(call)
    except EngineError as failure:
        raise contract_error(failure) from failure


def new_chat_id() -> str:
    """A fresh answer id: Unix milliseconds as 12 hex digits, then 80 random bits."""
    return f"chat_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


async def replay(blocks: list[bytes]) -> AsyncGenerator[bytes, None]:
    """A recorded stream, block by block."""
    for block in blocks:
        yield block


def _extra(turn: Turn, ticket: Ticket | None) -> dict[str, Any]:
    context = {"context": turn.context}
    return context if ticket is None else {**context, "idempotency": ticket.metadata}


async def _complete(
    services: Services, exchange: Exchange, turn: Turn, ticket: Ticket | None
) -> StoredAnswer | Kept:
    text, reason, usage = await whole_answer(services, exchange, turn.call, turn.requested)
    too_long = beyond_limit(turn, usage.input)
    if too_long is not None:
        raise too_long
    facts = AnswerFacts(turn.call.model, usage, {**_extra(turn, ticket), **measured(turn, usage.input)})
    content = {
        "id": new_chat_id(),
        "message": {"role": "assistant", "content": text},
        "finish_reason": reason,
        "metadata": services.policies.metadata.block(exchange, facts),
    }
    answer = StoredAnswer(200, JSON, encode(content))
    return answer if turn.session is None else await keep_answered(services, turn, text, ticket, answer)


async def whole_answer(
    services: Services, exchange: Exchange, call: Call, requested: str | None = None
) -> tuple[str, FinishReason, Usage]:
    """Admit, generate to the end and account for it; `requested` is the model's name in the request."""
    generation = await start_call(services, exchange, call)
    text, reason, usage = await _generate(services, exchange, call, generation)
    await account(
        services, exchange, call.model, usage, operation="chat", outcome=reason, requested=requested
    )
    refuse_over_window(usage.input, call.model)
    return text, reason, usage


async def _generate(
    services: Services, exchange: Exchange, call: Call, generation: Generation
) -> tuple[str, FinishReason, Usage]:
    limit_s = services.settings.sync_max_seconds
    tokens: list[str] = []
    finish = Finish("stop")
    try:
        async with asyncio.timeout(limit_s), aclosing(generation):
            async for item in generation:
                if isinstance(item, Finish):
                    finish = item
                else:
                    tokens.append(item)
    except EngineError as failure:
        error = contract_error(failure)
        failed(services, exchange, call, "chat", error.code)
        raise error from failure
    except TimeoutError as late:
        error = contract_error(ModelTimeoutError(limit_s * 1000, exchange.elapsed_ms))
        failed(services, exchange, call, "chat", error.code)
        raise error from late
    exact = services.engine.exact
    usage = Usage.of(finish.counts, call.input_tokens, len(tokens), exact=exact)
    return "".join(tokens), finish.reason, usage


async def _defer(
    services: Services, exchange: Exchange, payload: dict[str, Any], turn: Turn, ticket: Ticket | None
) -> Kept:
    turn_id = f"turn_{secrets.token_hex(16)}"
    link = exchange.link(f"/chat/stream?turn_id={turn_id}")
    # Nothing has run yet: the stream of the turn reports, and is charged, what the answer takes.
    facts = AnswerFacts(turn.call.model, Usage(), _extra(turn, ticket))
    content = {
        "turn_id": turn_id,
        "status": "queued",
        "stream_url": link,
        "metadata": services.policies.metadata.block(exchange, facts),
    }

    async def accept() -> StoredAnswer:
        await services.turns.add(turn_id, exchange.caller.name, payload, services.settings.turn_ttl_s)
        return StoredAnswer(202, JSON, encode(content), location=link)

    return await together(services, ticket, accept)


@dataclass(frozen=True)
class Opened:
    """A stream that may be sent. A stored one has no `answer`; `work` is the detached task that fills it, if any."""

    blocks: AsyncGenerator[bytes, None]
    answer: Answer | None = None
    work: asyncio.Task[None] | None = None


async def open_stream(
    services: Services, exchange: Exchange, payload: dict[str, Any], prepared: Turn | None
) -> Opened | StoredAnswer:
    """Admit a streamed call under its idempotency key, if it has one; or the stored error of that key.

    `prepared` is the turn of a request without a session.
    """
    claimed = await claim(services, exchange, payload)
    if isinstance(claimed, StoredAnswer):
        return claimed if claimed.media_type != EVENT_STREAM else Opened(replay(split_blocks(claimed.body)))
    if claimed is None:
        answer = await _begin(services, exchange, payload, prepared, None)
        return Opened(events(services, exchange, answer, _unkeyed(services, answer)), answer)
    async with holding(services, exchange, claimed):
        answer = await _begin(services, exchange, payload, prepared, claimed)
    recording = Recording()
    work = services.runs.start(_keep(services, exchange, answer, claimed, recording))
    return Opened(recording.blocks(), answer, work)


async def streamed_answer(
    services: Services, exchange: Exchange, payload: dict[str, Any], prepared: Turn | None
) -> Response:
    """The answer as server-sent events, written by the services' own event policy."""
    opened = await open_stream(services, exchange, payload, prepared)
    if isinstance(opened, StoredAnswer):
        return stored_answer(opened, REPLAYED)
    if opened.answer is None:
        return stream_response(services, exchange, opened.blocks, itertools.count(), dict(REPLAYED))
    return stream_response(services, exchange, opened.blocks, opened.answer.sequence)


async def _begin(
    services: Services,
    exchange: Exchange,
    payload: dict[str, Any],
    prepared: Turn | None,
    ticket: Ticket | None,
) -> Answer:
    turn = prepared or await begin(services, exchange, payload)
    try:
        generation = await start_call(services, exchange, turn.call)
    except BaseException:
        await finish(services, turn)
        raise
    return Answer(new_chat_id(), turn, generation, _extra(turn, ticket))


def _unkeyed(services: Services, answer: Answer) -> Store:
    """Remembers what was said in a session; there is nothing else to keep."""

    async def store(_last: bytes) -> None:
        if answer.failure is None:
            await keep(services, answer.turn, answer.text)

    return store


async def _keep(
    services: Services, exchange: Exchange, answer: Answer, ticket: Ticket, recording: Recording
) -> None:
    """Run a keyed stream to its end and settle its key, also when the client has gone."""
    policy = services.policies.idempotency

    async def store(last: bytes) -> None:
        stream = StoredAnswer(200, EVENT_STREAM, recording.content + last)
        try:
            if answer.failure is None and answer.turn.session is not None:
                await keep_answered(services, answer.turn, answer.text, ticket, stream)
            elif answer.failure is None or policy.is_final(answer.failure.code):
                await policy.complete(services.ledger, ticket, stream)
            else:
                await policy.release(services.ledger, ticket)
        except Exception:
            # Before the client sees the error: it repeats the request then.
            await policy.release(services.ledger, ticket)
            raise

    try:
        await record(recording, events(services, exchange, answer, store))
    except BaseException:
        await asyncio.shield(policy.release(services.ledger, ticket))
        raise
