"""What a credential with few rights may do: models by every name, and what the server says about itself."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

MODELS_TRIED = 4
NAMES_TRIED = 2


@probe(calls=3 + MODELS_TRIED * NAMES_TRIED, operations=("models", "me", "classify"), tokens=120)
async def narrow_key(session: Session) -> None:
    """Who the narrow key is, and each of the first models asked for with it by id and by alias."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract says which right an operation needs")
    session.need_key("narrow")
    listed = await session.call("models", "models")
    await session.call("me", "me", principal="narrow")
    await session.call("models", "list", principal="narrow")
    names = _names(listed.body)
    session.notes["models"] = names
    await asyncio.gather(
        *(
            session.call(
                "classify", f"model:{name}", principal="narrow", model=name, text="Where is my parcel?"
            )
            for group in names
            for name in group
        )
    )


@probe(calls=1, operations=("me",), tokens=0)
async def caller(session: Session) -> None:
    """Who the main credential is."""
    if not session.has_key("main"):
        raise ProbeSkipped("the target was described without a key: give --key")
    await session.call("me", "me")


def _names(body: Any) -> list[list[str]]:
    """Id and first alias of each of the first models."""
    data = body.get("data") if isinstance(body, dict) else None
    models = [m for m in data if isinstance(m, dict)] if isinstance(data, list) else []
    names = []
    for model in models[:MODELS_TRIED]:
        aliases = model.get("aliases")
        listed = [model.get("id"), *(aliases if isinstance(aliases, list) else ())]
        names.append([name for name in listed if isinstance(name, str)][:NAMES_TRIED])
    return names
