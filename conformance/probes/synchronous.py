"""Plain request and answer: the output limit, the same call streamed, degenerate inputs, a slow model."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance.probes.combining import CARRIED, DEGENERATE, peculiar
from conformance.probes.context import whole_conversation
from conformance.probes.errors import provoke
from conformance.registry import probe
from conformance.session import Session

OUTPUT_LIMIT = 5
"""Tokens; far less than an answer to :data:`COUNTING` needs."""

COUNTING = "Count from one to one hundred in words, without any introduction."
LONG_INPUT = "Answer with one word. " + "The harbour was quiet that morning, and nobody spoke. " * 33
"""Three hundred words."""


@probe(calls=2, operations=("chat",), tokens=80)
async def output_limit(session: Session) -> None:
    """A long answer cut short by the output limit, once plain and once streamed."""
    asked: dict[str, Any] = {"prompt": COUNTING, "max_output_tokens": OUTPUT_LIMIT}
    calls = [session.call("chat", "plain", **asked)]
    if "chat_stream" in session.dialect.operations:
        calls.append(session.call("chat_stream", "streamed", **asked))
    await asyncio.gather(*calls)


@probe(calls=1, operations=("chat",), tokens=400)
async def longer_input(session: Session) -> None:
    """A prompt of three hundred words, for a short answer; on the contract a conversation that is sent anyway."""
    if session.dialect.name == "contract":
        await whole_conversation(session, "long")
        return
    await session.call("chat", "long", prompt=LONG_INPUT, max_output_tokens=16)


@probe(calls=6 + len(CARRIED), operations=("chat",), tokens=150, vendor_calls=len(DEGENERATE))
async def degenerate_inputs(session: Session) -> None:
    """Empty, blank and one-character inputs, to chat and (where offered) to classification."""
    offered = [operation for operation in ("chat", "classify") if operation in session.dialect.operations]

    async def one(operation: str, name: str) -> None:
        role, text = f"{operation}:{name}", DEGENERATE[name]
        carried = await peculiar(session, operation, name)
        if carried is not None and carried.ok:
            session.also(carried, role)
        elif operation == "chat":
            await session.call(operation, role, prompt=text, max_output_tokens=8)
        else:
            await session.call(operation, role, text=text)

    await asyncio.gather(*(one(operation, name) for operation in offered for name in DEGENERATE))


@probe(
    calls=0,
    operations=("chat",),
    tokens=60,
    provocations=("model_timeout",),
    shares=("chat:model_timeout",),
)
async def slow_model(session: Session) -> None:
    """A call whose model takes longer than the API may block."""
    session.need_provocation("model_timeout")
    await provoke(session, "model_timeout", "slow")
