"""Taking work on: 202 is said only after the job, and the answer to its idempotency key, are durable."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response

from reference_impl.api.once import REPLAYED, claim, holding, together
from reference_impl.api.prompts import scenario
from reference_impl.engine.job_sandbox import deadline_s, retention_s
from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode, stored_answer
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.jobs import POLL_S
from reference_impl.services import Services
from reference_impl.store.job_rows import Kind
from reference_impl.store.ledger import StoredAnswer
from reference_impl.work.background import job_metadata, origin_of_job


async def accept(
    services: Services,
    exchange: Exchange,
    kind: Kind,
    payload: Mapping[str, Any],
    model: Model,
    tokens: int,
    admit: Callable[[], Awaitable[None]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make a job of a request. `admit` raises what makes it pointless to begin."""

    async def add(ticket: Ticket | None) -> StoredAnswer:
        await admit()
        return await _add(services, exchange, kind, payload, model, tokens, ticket)

    claimed = await claim(services, exchange, payload)
    if isinstance(claimed, StoredAnswer):
        return _answer(claimed, {**(headers or {}), **REPLAYED})
    if claimed is None:
        answer = await add(None)
    else:
        async with holding(services, exchange, claimed):
            answer = await add(claimed)
    services.wakeups.jobs.set()
    return _answer(answer, headers or {})


async def _add(
    services: Services,
    exchange: Exchange,
    kind: Kind,
    payload: Mapping[str, Any],
    model: Model,
    tokens: int,
    ticket: Ticket | None,
) -> StoredAnswer:
    settings, wanted = services.settings, scenario(payload)
    job_id = f"job_{secrets.token_hex(16)}"
    asked = {name: value for name, value in payload.items() if name != "idempotency_key"}

    async def keep() -> StoredAnswer:
        job = await services.jobs.add(
            job_id,
            kind,
            {"payload": asked, "model": model.id, "tokens": tokens},
            origin_of_job(exchange),
            deadline_s=deadline_s(wanted, settings.job_deadline_s),
            retention_s=retention_s(wanted, settings.job_retention_s),
        )
        extra = {} if ticket is None else {"idempotency": ticket.metadata}
        content = services.policies.jobs.body(job, job_metadata(services, job, **extra))
        return StoredAnswer(202, JSON, encode(content), exchange.link(f"/jobs/{job_id}"))

    return (await together(services, ticket, keep)).answer


def _answer(answer: StoredAnswer, headers: Mapping[str, str]) -> Response:
    """What the key of a job replays may also be an error, or an answer that was given at once."""
    if answer.status != 202 or answer.location is None:
        return stored_answer(answer, {k: v for k, v in headers.items() if k != "Preference-Applied"})
    polling = {"Operation-Location": answer.location, "Retry-After": str(POLL_S)}
    return stored_answer(answer, {**headers, **polling})
