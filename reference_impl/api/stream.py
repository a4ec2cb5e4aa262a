"""The events of one streamed answer, and the runs that outlive their reader."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from reference_impl.api.failures import contract_error
from reference_impl.engine.base import Call, EngineError, Finish, FinishReason
from reference_impl.exchange import Exchange
from reference_impl.http.streaming import EventStream
from reference_impl.policies.errors import ContractError
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.runs import Recording
from reference_impl.services import Services

_log = logging.getLogger("aiconform.reference")


@dataclass
class Answer:
    """One streamed answer under way. `failure` is set before its error event, `complete` before `done`."""

    id: str
    call: Call
    extra: dict[str, Any] = field(default_factory=dict)
    complete: bool = False
    failure: ContractError | None = None
    sequence: itertools.count[int] = field(default_factory=itertools.count)


async def events(services: Services, exchange: Exchange, answer: Answer) -> AsyncGenerator[bytes, None]:
    """Metadata, tokens, then `done` and the terminal, or one error event. Closing it stops the generation.

    The tokens used are charged however it ends.
    """
    write = services.policies.events
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
    first_token_ms: int | None = None
    tokens: list[str] = []
    finish = Finish("stop")
    try:
        async with aclosing(services.engine.generate(answer.call)) as generation:
            async for item in generation:
                if isinstance(item, Finish):
                    finish = item
                    break
                if first_token_ms is None:
                    first_token_ms = exchange.elapsed_ms
                tokens.append(item)
                yield write.event(
                    {
                        "type": "token",
                        "token": item,
                        "index": len(tokens) - 1,
                        "sequence_number": next(answer.sequence),
                    }
                )
        text = "".join(tokens)
        usage = Usage.of(finish.counts, answer.call.input_tokens, len(tokens))
        ending = _done(services, exchange, answer, text, finish.reason, usage, first_token_ms)
    except EngineError as failure:
        answer.failure = contract_error(failure)
    except Exception:  # noqa: BLE001 - a bug must end the stream as an error, not as a cut
        _log.exception("the generation of request %s failed", exchange.request_id)
        answer.failure = ContractError("INTERNAL", "The server failed; the request id helps its operator.")
    finally:
        used = Usage.of(finish.counts, answer.call.input_tokens, len(tokens))
        await services.policies.limits.charge(exchange, used.total)
    if answer.failure is not None:
        yield error_event(services, exchange, answer, answer.failure)
        return
    answer.complete = True
    yield ending
    yield write.done()


def _done(
    services: Services,
    exchange: Exchange,
    answer: Answer,
    text: str,
    reason: FinishReason,
    usage: Usage,
    first_token_ms: int | None,
) -> bytes:
    waited = exchange.elapsed_ms if first_token_ms is None else first_token_ms
    facts = AnswerFacts(answer.call.model, usage, {**answer.extra, "time_to_first_token_ms": waited})
    metadata = services.policies.metadata.block(exchange, facts)
    return services.policies.events.event(
        {
            "type": "done",
            "sequence_number": next(answer.sequence),
            "id": answer.id,
            "finish_reason": reason,
            "text": text,
            "metadata": metadata,
        },
        name="done",
    )


def error_event(services: Services, exchange: Exchange, answer: Answer, error: ContractError) -> bytes:
    """The event that ends a stream which cannot be completed."""
    return services.policies.events.event(
        {
            "type": "error",
            "sequence_number": next(answer.sequence),
            "error": services.policies.errors.envelope(error, exchange),
        },
        name="error",
    )


def stream_response(
    services: Services,
    exchange: Exchange,
    blocks: AsyncGenerator[bytes, None],
    answer: Answer,
    headers: dict[str, str] | None = None,
) -> Response:
    """`blocks` as a response that says why, should the server stop before the end."""

    def farewell() -> bytes:
        message = "The server is stopping; send the request again."
        error = ContractError("MODEL_OVERLOADED", message, details={"retry_after_seconds": 1})
        return error_event(services, exchange, answer, error)

    return EventStream(
        blocks,
        writer=services.policies.events,
        keep_alive_s=services.settings.keep_alive_s,
        stopping=services.stopping,
        farewell=farewell,
        headers=headers,
    )


async def record(
    recording: Recording,
    blocks: AsyncGenerator[bytes, None],
    answer: Answer,
    settle: Callable[[bytes], Awaitable[None]],
) -> None:
    """Run an answer to its end into `recording`, whoever reads it.

    `settle` gets the whole stream, and has finished before readers see how it ended: whoever repeats the
    request on seeing the end finds it settled.
    """
    seen: list[bytes] = []
    held: list[bytes] = []
    try:
        async with aclosing(blocks):
            async for block in blocks:
                seen.append(block)
                if answer.complete or answer.failure is not None:
                    held.append(block)
                else:
                    recording.append(block)
        await settle(b"".join(seen))
        for block in held:
            recording.append(block)
    finally:
        recording.close()
