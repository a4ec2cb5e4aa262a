"""The events of one streamed answer, and the runs that outlive their reader."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from reference_impl.accounting import account
from reference_impl.api.context import Turn, beyond_limit, measured
from reference_impl.api.context import finish as end_turn
from reference_impl.api.failures import contract_error
from reference_impl.engine.base import Call, EngineError, Finish, Generation
from reference_impl.exchange import Exchange
from reference_impl.http.streaming import EventStream
from reference_impl.outages import OutageError
from reference_impl.policies.errors import ContractError, unavailable
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.runs import Recording
from reference_impl.services import Services

_log = logging.getLogger("aiconform.reference")

_ABANDONED = "ABANDONED"
"""The outcome of a generation whose reader left."""


@dataclass
class Answer:
    """One streamed answer under way. `text` is what has been said in the end, `failure` why it has no such end.

    Both are there before the stream's last events. `produced` counts the tokens generated so far.
    """

    id: str
    turn: Turn
    generation: Generation
    extra: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    produced: int = 0
    failure: ContractError | None = None
    sequence: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def call(self) -> Call:
        """What is generated."""
        return self.turn.call


Store = Callable[[bytes], Awaitable[None]]
"""Keeps what has to outlive a stream, given the bytes that end it. It has finished before anybody sees them:
whoever repeats the request on seeing the end finds everything settled."""


async def events(
    services: Services, exchange: Exchange, answer: Answer, store: Store
) -> AsyncGenerator[bytes, None]:
    """Metadata, tokens, then `done` and the terminal, or one error event. Closing it stops the generation.

    The tokens used are charged however it ends. What `store` cannot keep ends as an error.
    """
    write = services.policies.events
    first_token_ms: int | None = None
    tokens: list[str] = []
    finish: Finish | None = None
    metadata: Mapping[str, Any] | None = None
    try:
        try:
            yield write.event(
                {
                    "type": "metadata",
                    "sequence_number": next(answer.sequence),
                    "id": answer.id,
                    "request_id": exchange.request_id,
                    "trace_id": exchange.trace.trace_id,
                    "model_version": answer.call.model.id,
                },
                name="metadata",
            )
            try:
                async for item in answer.generation:
                    if isinstance(item, Finish):
                        finish = item
                        break
                    if first_token_ms is None:
                        first_token_ms = exchange.elapsed_ms
                    tokens.append(item)
                    answer.produced += 1
                    yield write.event(
                        {
                            "type": "token",
                            "token": item,
                            "index": len(tokens) - 1,
                            "sequence_number": next(answer.sequence),
                        }
                    )
            except EngineError as failure:
                answer.failure = contract_error(failure)
            used = _used(services, answer, finish, len(tokens))
            if answer.failure is None:
                answer.failure = beyond_limit(answer.turn, used.input)
            metadata = _metadata(services, exchange, answer, used, first_token_ms)
        except Exception:  # noqa: BLE001 - a bug must end the stream as an error, not as a cut
            answer.failure = _bug(exchange)
        finally:
            await answer.generation.aclose()
            outcome = _ABANDONED if finish is None else finish.reason
            await account(
                services,
                exchange,
                answer.call.model,
                _used(services, answer, finish, len(tokens)),
                operation="chat",
                outcome=outcome if answer.failure is None else answer.failure.code,
                requested=answer.turn.requested,
            )
        answer.text = "".join(tokens)
        last = await _stored(services, exchange, answer, finish, metadata, store)
    finally:
        await end_turn(services, answer.turn)
    for block in last:
        yield block


async def _stored(
    services: Services,
    exchange: Exchange,
    answer: Answer,
    finish: Finish | None,
    metadata: Mapping[str, Any] | None,
    store: Store,
) -> list[bytes]:
    """The blocks that end a stream, once everything about it is kept."""
    number = next(answer.sequence)
    if answer.failure is None:
        done = {
            "type": "done",
            "sequence_number": number,
            "id": answer.id,
            "finish_reason": "stop" if finish is None else finish.reason,
            "text": answer.text,
            "metadata": metadata,
        }
        last = [services.policies.events.event(done, name="done"), services.policies.events.done()]
    else:
        last = [error_event(services, exchange, number, answer.failure, metadata)]
    try:
        await store(b"".join(last))
    except OutageError as problem:
        _log.warning("the answer to request %s is not kept: %s", exchange.request_id, problem)
        answer.failure = unavailable()
    except Exception:  # noqa: BLE001 - as above
        answer.failure = _bug(exchange)
    else:
        return last
    return [error_event(services, exchange, number, answer.failure)]


def _bug(exchange: Exchange) -> ContractError:
    """To be called where the bug was caught: its traceback goes to the log."""
    _log.exception("the generation of request %s failed", exchange.request_id)
    return ContractError("INTERNAL", "The server failed; the request id helps its operator.")


def _used(services: Services, answer: Answer, finish: Finish | None, pieces: int) -> Usage:
    counts = None if finish is None else finish.counts
    return Usage.of(counts, answer.call.input_tokens, pieces, exact=services.engine.exact)


def _metadata(
    services: Services, exchange: Exchange, answer: Answer, used: Usage, first_token_ms: int | None
) -> dict[str, Any]:
    waited = exchange.elapsed_ms if first_token_ms is None else first_token_ms
    extra = {**answer.extra, **measured(answer.turn, used.input), "time_to_first_token_ms": waited}
    facts = AnswerFacts(answer.call.model, used, extra)
    return services.policies.metadata.block(exchange, facts)


def error_event(
    services: Services,
    exchange: Exchange,
    number: int,
    error: ContractError,
    metadata: Mapping[str, Any] | None = None,
) -> bytes:
    """The event that ends a stream which cannot be completed; `metadata` tells what was used up to there."""
    event = {
        "type": "error",
        "sequence_number": number,
        "error": services.policies.errors.envelope(error, exchange),
    }
    return services.policies.events.event(
        event if metadata is None else {**event, "metadata": metadata}, name="error"
    )


def stream_response(
    services: Services,
    exchange: Exchange,
    blocks: AsyncGenerator[bytes, None],
    sequence: Iterator[int],
    headers: dict[str, str] | None = None,
) -> Response:
    """`blocks` as a response that says why, should the server stop before the end."""

    def farewell() -> bytes:
        message = "The server is stopping; send the request again."
        error = ContractError("MODEL_OVERLOADED", message, details={"retry_after_seconds": 1})
        return error_event(services, exchange, next(sequence), error)

    return EventStream(
        blocks,
        writer=services.policies.events,
        keep_alive_s=services.settings.keep_alive_s,
        stopping=services.stopping,
        farewell=farewell,
        headers=headers,
    )


async def record(recording: Recording, blocks: AsyncGenerator[bytes, None]) -> None:
    """Run an answer to its end into `recording`, whoever reads it."""
    try:
        async with aclosing(blocks):
            async for block in blocks:
                recording.append(block)
    finally:
        recording.close()
