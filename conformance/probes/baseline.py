"""The first calls of a run: which models there are, and one plain answer."""

from __future__ import annotations

from typing import Any

from conformance.registry import probe
from conformance.session import Session

FIRST: dict[str, Any] = {"prompt": "Name three colours.", "max_output_tokens": 32}
"""The plain request; other probes may share its answer."""


@probe(calls=0, phase=0, tokens=60, shares=("models", "chat:baseline"))
async def baseline(session: Session) -> None:
    """List the models, settle on one, and ask for one short answer."""
    if "models" in session.dialect.operations:
        models = await session.models()
        if session.target.model is None:
            listed = models.models
            if listed:
                session.use_model(listed[0].id)
    await session.shared("chat", "chat", **FIRST)
