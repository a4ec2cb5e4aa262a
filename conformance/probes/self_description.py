"""What an API says about itself: description, capabilities, error catalogue, models, health."""

from __future__ import annotations

import asyncio

from conformance.registry import probe
from conformance.session import Session

PUBLIC = ("description", "capabilities", "errors", "health")


@probe(
    calls=1,
    operations=("description", "capabilities"),
    tokens=0,
    shares=("models", "model", "capabilities", "description", "errors"),
)
async def self_description(session: Session) -> None:
    """The public documents, read without a key; the model list and its first model, read with one."""
    offered = [operation for operation in PUBLIC if operation in session.dialect.operations]
    await asyncio.gather(*(session.shared(op, f"public:{op}", principal="none") for op in offered))
    if "models" not in session.dialect.operations:
        return
    listed = await session.models()
    if listed.models and "model" in session.dialect.operations:
        await session.shared("model", "model", model=listed.models[0].id)
