"""What will be gone, and what is gone: a deprecated model and operation, a retired model and operation."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urljoin

from conformance.evidence import Principal
from conformance.probes.shaping import path_of
from conformance.probes.shared import FIRST
from conformance.probes.versioning import living_models
from conformance.reading import Reading
from conformance.registry import probe
from conformance.replicas import below
from conformance.session import Session

LINKS_FOLLOWED = 4
_LINK = re.compile(r"<([^>]*)>")


@probe(
    calls=1 + LINKS_FOLLOWED,
    operations=("models", "count_tokens"),
    tokens=30,
    shares=("models", "description", "model", "chat:deprecated"),
)
async def deprecated(session: Session) -> None:
    """A deprecated model, as the model list tells; a deprecated operation; and where their links lead."""
    listed = await session.models()
    old = next((m for m in living_models(listed.body) if isinstance(m.get("deprecated_at"), str)), None)
    answers = [await session.call("count_tokens", "operation", **FIRST)]
    if old is not None and isinstance(old.get("id"), str):
        answers.append(await session.shared("chat", "model", model=old["id"], **FIRST))
    targets = dict.fromkeys(target for a in answers for target in _links(a))
    paths = [(path, t) for t in targets if (path := below(session.target.bases, t)) is not None]
    await asyncio.gather(
        *(_follow(session, listed, path, f"link:{target}") for path, target in paths[:LINKS_FOLLOWED])
    )


async def _follow(session: Session, listed: Reading, path: str, role: str) -> Reading:
    """What a link leads to; shared where it is the description or a model, which other probes ask for."""
    known: list[tuple[str, Principal, dict[str, Any]]] = [("description", "none", {})]
    known += [("model", "main", {"model": model.id}) for model in listed.models]
    for operation, principal, params in known:
        if operation in session.dialect.operations and path_of(session, operation, **params) == path:
            return await session.shared(operation, role, principal=principal, **params)
    return await session.raw("GET", path, role)


@probe(calls=1, tokens=20)
async def retired_model(session: Session) -> None:
    """A model that is no longer there. A dialect names one of the server that it was written for, if any."""
    session.notes["named_by_tester"] = "retired_model" in session.target.declared.provocations
    await session.call("chat", "retired_model", **{**FIRST, **session.need_provocation("retired_model")})


@probe(calls=1, operations=("retired",), tokens=20)
async def retired_operation(session: Session) -> None:
    """An operation that is no longer there."""
    await session.call("retired", "retired_operation", **FIRST)


def _links(answer: Reading) -> list[str]:
    """The targets of an answer's Link header, absolute."""
    return [
        urljoin(answer.exchange.sent.url, target) for target in _LINK.findall(answer.header("link") or "")
    ]
