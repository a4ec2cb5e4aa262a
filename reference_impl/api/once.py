"""At most one execution per idempotency key, around any operation that answers with one body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from reference_impl.exchange import Exchange
from reference_impl.http.answers import stored_answer
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer

REPLAYED = {"Idempotency-Replayed": "true"}


@dataclass(frozen=True)
class Kept:
    """An answer that is under its key already, stored in one transaction with what it tells of (`together`)."""

    answer: StoredAnswer


async def claim(
    services: Services, exchange: Exchange, payload: Mapping[str, Any]
) -> Ticket | StoredAnswer | None:
    """A ticket to execute with, an answer to replay, or None for a request without a key."""
    policy = services.policies.idempotency
    key = policy.key(exchange.headers, payload)
    if key is None:
        return None
    return await policy.claim(services.ledger, exchange, key, payload)


async def once(
    services: Services,
    exchange: Exchange,
    payload: Mapping[str, Any],
    execute: Callable[[Ticket | None], Awaitable[StoredAnswer | Kept]],
) -> Response:
    """Execute, and keep the answer if there is a key; or replay what was kept.

    An execution that stores anything else but its answer has to store both `together`.
    """
    claimed = await claim(services, exchange, payload)
    if isinstance(claimed, StoredAnswer):
        return stored_answer(claimed, REPLAYED)
    if claimed is None:
        outcome = await execute(None)
        return stored_answer(outcome.answer if isinstance(outcome, Kept) else outcome)
    async with holding(services, exchange, claimed):
        outcome = await execute(claimed)
        if isinstance(outcome, Kept):
            return stored_answer(outcome.answer)
        await services.policies.idempotency.complete(services.ledger, claimed, outcome)
    return stored_answer(outcome)


async def together(
    services: Services, ticket: Ticket | None, keep: Callable[[], Awaitable[StoredAnswer]]
) -> Kept:
    """One transaction for what `keep` stores and for the answer it gives, under its key.

    With a crash in between, the key would execute again what was stored already.
    """
    async with services.database.transaction():
        answer = await keep()
        if ticket is not None:
            await services.policies.idempotency.complete(services.ledger, ticket, answer)
    return Kept(answer)


class holding:  # noqa: N801 - reads as a statement, like the context managers of contextlib
    """Settles a ticket when the work inside fails: a final error is kept, anything else frees the key."""

    def __init__(self, services: Services, exchange: Exchange, ticket: Ticket) -> None:
        self._services = services
        self._exchange = exchange
        self._ticket = ticket

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, _kind: object, failure: BaseException | None, _traceback: object) -> None:
        if failure is not None:
            # Shielded: a cancelled request must not leave its key claimed.
            await asyncio.shield(settle_failure(self._services, self._exchange, self._ticket, failure))


async def settle_failure(
    services: Services, exchange: Exchange, ticket: Ticket, failure: BaseException
) -> None:
    """Keep the error if repeating the request must not execute it again, else free the key."""
    policy = services.policies.idempotency
    if isinstance(failure, ContractError) and policy.is_final(failure.code):
        rendered = services.policies.errors.render(failure, exchange)
        answer = StoredAnswer(rendered.status, rendered.media_type, rendered.body)
        await policy.complete(services.ledger, ticket, answer)
    else:
        await policy.release(services.ledger, ticket)
