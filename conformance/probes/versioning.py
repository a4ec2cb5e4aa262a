"""The interface version of a request, and the model version of an answer."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

from conformance.probes.shaping import path_of
from conformance.probes.shared import FIRST
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

UNSUPPORTED_VERSION = "1999-01-01"
UNKNOWN_PATH_VERSION = "v999"
MODELS_TRIED = 3
ALIASES_TRIED = 2
PAIRED = 2
"""Pinned models that are also asked for in another interface version than the newest."""

_PATH_VERSION = re.compile(r"/v[0-9]+(?=/)")


@probe(
    calls=3,
    operations=("models", "capabilities"),
    tokens=50,
    shares=("models", "capabilities"),
)
async def interface_version(session: Session) -> None:
    """A supported and an unsupported ``API-Version``, and a path below a version that does not exist."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract's own format has this")
    versions = await _versions(session)
    pinned = _pinned(await session.models())
    if len(versions) > 1 and pinned:  # an older one, since the newest is served unasked
        await session.shared(
            "chat", "supported", model=pinned[0], headers={"API-Version": versions[-2]}, **FIRST
        )
    elif versions:
        await session.call("models", "supported", headers={"API-Version": versions[-1]})
    await session.call("models", "unsupported", headers={"API-Version": UNSUPPORTED_VERSION})
    await session.raw("GET", _unknown_version(session), "unknown_path_version")


@probe(
    calls=MODELS_TRIED + ALIASES_TRIED - 1 + PAIRED,
    operations=("models", "capabilities"),
    tokens=200,
    shares=("models", "capabilities", "chat:alias"),
)
async def model_versions(session: Session) -> None:
    """One short answer from each of the first models, by id and by alias; of some also in an older interface.

    Roles: ``pinned:MODEL``, ``alias:NAME``, ``older:VERSION:MODEL``.
    """
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract's own format tells ids, aliases and pinning of models apart")
    listed = await session.models()
    models, pinned = living_models(listed.body), _pinned(listed)
    listings = [m["aliases"] for m in models if isinstance(m.get("aliases"), list)]
    aliases = [alias for listing in listings for alias in listing if isinstance(alias, str)]
    versions = await _versions(session)
    older = [
        session.shared("chat", f"older:{v}:{name}", model=name, headers={"API-Version": v}, **FIRST)
        for v in versions[-2:-1]
        for name in pinned[:PAIRED]
    ]
    await asyncio.gather(
        *older,
        *(
            session.shared("chat", f"{kind}:{name}", model=name, **FIRST)
            for kind, names in (("pinned", pinned[:MODELS_TRIED]), ("alias", aliases[:ALIASES_TRIED]))
            for name in names
        ),
    )


async def _versions(session: Session) -> list[str]:
    """The interface versions that the capabilities publish, in their order."""
    body = (await session.capabilities()).body
    published = body.get("api_versions") if isinstance(body, dict) else None
    return [v for v in published if isinstance(v, str)] if isinstance(published, list) else []


def _pinned(listed: Reading) -> list[str]:
    """The models of a list that are pinned to what they are."""
    return [m["id"] for m in living_models(listed.body) if m.get("pinned") is True]


def _unknown_version(session: Session) -> str:
    """The path of the model list below a version that does not exist, relative to the base URL."""
    path = path_of(session, "models")
    replaced, found = _PATH_VERSION.subn(f"/{UNKNOWN_PATH_VERSION}", path, count=1)
    if found:
        return replaced
    # The version is part of the base URL: one step up. Dot segments are resolved before the request is sent.
    return f"/../{UNKNOWN_PATH_VERSION}{path}"


def living_models(body: Any) -> list[dict[str, Any]]:
    """The models of a list that can be asked for: their id is a text, and their sunset is not past."""
    data = body.get("data") if isinstance(body, dict) else None
    listed = [m for m in data if isinstance(m, dict)] if isinstance(data, list) else []
    return [m for m in listed if isinstance(m.get("id"), str) and not _is_past(m.get("sunset_at"))]


def _is_past(date: object) -> bool:
    try:
        at = datetime.fromisoformat(date) if isinstance(date, str) else None
    except ValueError:
        return False
    return at is not None and at.tzinfo is not None and at < datetime.now(UTC)
