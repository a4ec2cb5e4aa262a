"""The first calls of a run: which models there are, and one plain answer."""

from __future__ import annotations

from conformance.probes.shared import FIRST
from conformance.registry import probe
from conformance.session import Session


@probe(calls=0, phase=0, tokens=60, shares=("models", "chat:baseline"))
async def baseline(session: Session) -> None:
    """List the models, settle on one, and ask for one short answer; of further replicas, each for the same one."""
    if "models" in session.dialect.operations:
        models = await session.models()
        if session.target.model is None:
            listed = models.models
            if listed:
                session.use_model(listed[0].id)
    await session.shared("chat", "chat", **FIRST)
    await session.each_further_replica("chat", **FIRST)
