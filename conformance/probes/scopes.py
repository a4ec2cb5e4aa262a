"""What a credential with few rights may do: models by every name, and what the server says about itself."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

NAMES_TRIED = 2


@probe(calls=2 + 2 * NAMES_TRIED, operations=("models", "me", "classify"), tokens=120, shares=("models",))
async def narrow_key(session: Session) -> None:
    """Who the narrow key is, and a model that it may use and one that it may not, by id and by alias."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract says which right an operation needs")
    session.need_key("narrow")
    listed = await session.models()
    me = await session.shared("me", "me", principal="narrow")
    await session.call("models", "list", principal="narrow")
    names = _one_of_each(_names(listed.body), me.body)
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
    """Who a credential is: the narrow one, which is asked for anyway, or else the main one."""
    if not session.has_key("main"):
        raise ProbeSkipped("the target was described without a key: give --key")
    await session.shared("me", "me", principal="narrow" if session.has_key("narrow") else "main")


def _one_of_each(names: list[list[str]], me: Any) -> list[list[str]]:
    """The first model that some scope of the caller names, and the first that none does."""
    scopes = me.get("scopes") if isinstance(me, dict) else None
    told = [s for s in scopes if isinstance(s, str)] if isinstance(scopes, list) else []
    named = [group for group in names if any(f":{name}:" in scope for scope in told for name in group)]
    return [*named[:1], *[group for group in names if group not in named][:1]]


def _names(body: Any) -> list[list[str]]:
    """Id and first alias of each model."""
    data = body.get("data") if isinstance(body, dict) else None
    models = [m for m in data if isinstance(m, dict)] if isinstance(data, list) else []
    names = []
    for model in models:
        aliases = model.get("aliases")
        listed = [model.get("id"), *(aliases if isinstance(aliases, list) else ())]
        names.append([name for name in listed if isinstance(name, str)][:NAMES_TRIED])
    return names
