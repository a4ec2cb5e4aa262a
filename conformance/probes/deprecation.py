"""What will be gone, and what is gone: a deprecated model and operation, a retired model and operation."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urljoin

from conformance.probes.versioning import living_models
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import Session

SHORT: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 4}
_LINK = re.compile(r"<([^>]*)>")


@probe(calls=7, operations=("models", "count_tokens"), tokens=30)
async def deprecated(session: Session) -> None:
    """A deprecated model, as the model list tells; a deprecated operation; and where their links lead."""
    listed = await session.call("models", "models")
    old = next((m for m in living_models(listed.body) if isinstance(m.get("deprecated_at"), str)), None)
    answers = [await session.call("count_tokens", "operation", **SHORT)]
    if old is not None and isinstance(old.get("id"), str):
        answers.append(await session.call("chat", "model", model=old["id"], **SHORT))
    base = session.target.base_url.rstrip("/")
    targets = dict.fromkeys(target for a in answers for target in _links(a))
    below = [t for t in targets if t.startswith(base + "/")]
    await asyncio.gather(*(session.raw("GET", target[len(base) :], f"link:{target}") for target in below[:4]))


@probe(calls=1, tokens=20)
async def retired_model(session: Session) -> None:
    """A model that is no longer there. A dialect names one of the server that it was written for, if any."""
    session.notes["named_by_tester"] = "retired_model" in session.target.declared.provocations
    await session.call("chat", "retired_model", **{**SHORT, **session.need_provocation("retired_model")})


@probe(calls=1, operations=("retired",), tokens=20)
async def retired_operation(session: Session) -> None:
    """An operation that is no longer there."""
    await session.call("retired", "retired_operation", **SHORT)


def _links(answer: Reading) -> list[str]:
    """The targets of an answer's Link header, absolute."""
    return [
        urljoin(answer.exchange.sent.url, target) for target in _LINK.findall(answer.header("link") or "")
    ]
