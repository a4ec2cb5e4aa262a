"""GET /chat/stream: the answer to a turn posted before, generated on the first request and kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator

from starlette.responses import Response

from reference_impl.api.chat import new_chat_id, replay, start_call
from reference_impl.api.context import begin, finish, keep
from reference_impl.api.notices import note_model
from reference_impl.api.prompts import chosen_model
from reference_impl.api.stream import Answer, error_event, events, record, stream_response
from reference_impl.exchange import Exchange
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.events import split_blocks
from reference_impl.policies.scopes import model_scopes
from reference_impl.runs import Recording
from reference_impl.services import Services
from reference_impl.store.turns import Turn as StoredTurn

_LOOK_AGAIN_S = 0.25


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def stream_turn(exchange: Exchange, turn_id: str) -> Response:
        # One turn is looked up and started at a time, so that two first requests cannot both start it.
        async with services.turn_gate:
            turn = await services.turns.find(turn_id, exchange.caller.name)
            if turn is None:
                raise ContractError("TURN_NOT_FOUND", "There is no such turn.", param="turn_id")
            model = chosen_model(services.engine.catalogue, turn.request)
            services.policies.scopes.require(exchange, *model_scopes(model))
            note_model(exchange, model)
            if turn.answer is not None:
                stored = replay(split_blocks(turn.answer))
                return stream_response(services, exchange, stored, itertools.count())
            if exchange.method == "HEAD":
                return stream_response(services, exchange, replay([]), itertools.count())
            recording = services.turns_under_way.get(turn_id)
            if recording is None:
                if not await services.turns.take(turn_id):
                    blocks = _elsewhere(services, exchange, turn_id)
                    return stream_response(services, exchange, blocks, itertools.count())
                answer = await _begin(services, exchange, turn)
                recording = Recording()
                services.turns_under_way[turn_id] = recording
                services.runs.start(_generate(services, exchange, turn, answer, recording))
        return stream_response(services, exchange, recording.blocks(), itertools.count())

    return {"streamTurn": stream_turn}


async def _begin(services: Services, exchange: Exchange, stored: StoredTurn) -> Answer:
    try:
        turn = await begin(services, exchange, stored.request)
        try:
            generation = await start_call(services, exchange, turn.call)
        except BaseException:
            await finish(services, turn)
            raise
    except BaseException:
        await asyncio.shield(services.turns.release(stored.id))
        raise
    return Answer(new_chat_id(), turn, generation, {"context": turn.context})


async def _generate(
    services: Services, exchange: Exchange, turn: StoredTurn, answer: Answer, recording: Recording
) -> None:
    """Run a turn to its end, also when the client has gone: it comes back with the same turn_id."""

    async def store(last: bytes) -> None:
        # A failed turn stays queued, so that the next request tries again.
        if answer.failure is None:
            # One transaction, or a crash in between would leave what was said in a turn that is generated again.
            async with services.database.transaction():
                await keep(services, answer.turn, answer.text)
                await services.turns.answer(turn.id, recording.content + last)

    try:
        await record(recording, events(services, exchange, answer, store))
    finally:
        del services.turns_under_way[turn.id]
        await asyncio.shield(services.turns.release(turn.id))


async def _elsewhere(services: Services, exchange: Exchange, turn_id: str) -> AsyncGenerator[bytes, None]:
    """The answer that another server on the same database generates, as a whole once it is there."""
    while (turn := await services.turns.find(turn_id, exchange.caller.name)) is not None:
        if turn.answer is not None:
            for block in split_blocks(turn.answer):
                yield block
            return
        if not turn.under_way:
            break
        await asyncio.sleep(_LOOK_AGAIN_S)
    error = ContractError("UPSTREAM_ERROR", "The answer was not completed; ask for the stream again.")
    yield error_event(services, exchange, 0, error)
