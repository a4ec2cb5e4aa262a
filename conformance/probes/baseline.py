"""The first calls of a run: which models there are, and one plain answer."""

from __future__ import annotations

from conformance.registry import probe
from conformance.session import Session


@probe(calls=2, phase=0, tokens=60)
async def baseline(session: Session) -> None:
    """List the models, settle on one, and ask for one short answer."""
    if "models" in session.dialect.operations:
        models = await session.call("models", "models")
        if session.target.model is None:
            listed = models.models
            if listed:
                session.use_model(listed[0].id)
    await session.call("chat", "chat", prompt="Name three colours.", max_output_tokens=32)
