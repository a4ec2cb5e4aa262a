"""Webhook endpoints, and the outbox of messages that are due to them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, case, delete, func, insert, or_, select, update
from sqlalchemy.engine import Row

from reference_impl.store.database import Database
from reference_impl.store.job_tables import DELIVERIES, WEBHOOKS

EVENT_OF = {
    "complete": "job.completed",
    "failed": "job.failed",
    "cancelled": "job.cancelled",
    "expired": "job.expired",
    "requires_action": "job.requires_action",
}
"""The event that a job's status causes; the others cause none."""

EVENTS = tuple(EVENT_OF.values())

_W, _D = WEBHOOKS.c, DELIVERIES.c


@dataclass(frozen=True)
class Endpoint:
    """Where messages go. `previous_secret` also signs until `previous_until` (seconds since the epoch)."""

    id: str
    principal: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None
    created_at: float
    secret: str
    previous_secret: str | None
    previous_until: float | None

    def secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        if self.previous_secret is None or (self.previous_until or 0.0) <= now:
            return (self.secret,)
        return self.secret, self.previous_secret


@dataclass(frozen=True)
class Delivery:
    """One message to one endpoint. `attempts` were made before; `body` are the exact bytes to sign and send."""

    id: str
    endpoint: Endpoint
    body: bytes
    created_at: float
    attempts: int


class Outbox:
    """Messages that are due. They are written in the transaction of the change that they tell of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, principal: str, job_id: str, status: str, at: float) -> None:
        """One message to every enabled endpoint of the principal that wants to know."""
        event = EVENT_OF.get(status)
        if event is None:
            return
        content = {
            "type": event,
            "timestamp": timestamp(at),
            "data": {"job_id": job_id, "status": status},
        }
        body = json.dumps(content, separators=(",", ":")).encode()
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(_W.id, _W.events).where(_W.principal == principal, _W.status == "enabled")
            )
            for row in found.all():
                if event in row.events.split():
                    await connection.execute(
                        insert(DELIVERIES).values(
                            id=f"msg_{secrets.token_hex(16)}",
                            webhook_id=row.id,
                            body=body,
                            created_at=at,
                            attempts=0,
                            due_at=at,
                        )
                    )

    async def lease(self, lease_s: float) -> Delivery | None:
        """The message that has been due for longest, now this process's to send; None if none is due.

        `lease_s` is longer than sending takes.
        """
        now = time.time()
        free = or_(_D.leased_until.is_(None), _D.leased_until <= now)
        oldest = (
            select(_D.id)
            .where(_D.due_at <= now, free)
            .order_by(_D.due_at)
            .limit(1)
            .with_for_update(
                skip_locked=True
            )  # of couriers that look at the same time, each finds another one
            .scalar_subquery()
        )
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                update(DELIVERIES)
                .where(_D.id == oldest)
                .values(lease=self._database.boot, leased_until=now + lease_s)
                .returning(_D.id, _D.webhook_id, _D.body, _D.created_at, _D.attempts)
            )
            row = taken.one_or_none()
            if row is None:
                return None
            owner = (await connection.execute(select(WEBHOOKS).where(_W.id == row.webhook_id))).one_or_none()
            if owner is None or owner.status != "enabled":
                await self._settle(row.id, "dropped")
                return await self.lease(lease_s)
        return Delivery(row.id, _endpoint(owner), row.body, row.created_at, row.attempts)

    async def delivered(self, delivery: Delivery) -> None:
        """The endpoint has taken it."""
        await self._settle(delivery.id, "delivered")

    async def abandoned(self, delivery: Delivery) -> None:
        """Every attempt failed."""
        await self._settle(delivery.id, "abandoned")

    async def retry(self, delivery: Delivery, due_at: float) -> None:
        """Try again then."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(DELIVERIES)
                .where(_D.id == delivery.id, self._mine())
                .values(attempts=delivery.attempts + 1, due_at=due_at, lease=None, leased_until=None)
            )

    async def next_due(self) -> float | None:
        """When the next message is due, or the lease of one ends that nobody has settled."""
        when = case((_D.leased_until > _D.due_at, _D.leased_until), else_=_D.due_at)
        async with self._database.transaction() as connection:
            soonest = await connection.execute(select(func.min(when)).where(_D.due_at.is_not(None)))
            found: float | None = soonest.scalar_one()
        return found

    async def give_back(self) -> None:
        """Leave what this process was sending to others."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(DELIVERIES).where(self._mine()).values(lease=None, leased_until=None)
            )

    async def forget(self, older_than_s: float) -> None:
        """Drop settled messages of this age."""
        async with self._database.transaction() as connection:
            await connection.alone("settled deliveries")
            await connection.execute(
                delete(DELIVERIES).where(_D.due_at.is_(None), _D.created_at <= time.time() - older_than_s)
            )

    async def _settle(self, delivery_id: str, outcome: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                update(DELIVERIES)
                .where(_D.id == delivery_id, self._mine())
                .values(attempts=_D.attempts + 1, due_at=None, outcome=outcome, lease=None, leased_until=None)
            )

    def _mine(self) -> Any:
        """Who was taken for dead leaves it to the one that has it now."""
        return _D.lease == self._database.boot


class Webhooks:
    """Endpoints are visible to the principal that registered them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, principal: str, url: str, events: Sequence[str], secret: str, most: int
    ) -> Endpoint | None:
        """Register an endpoint; None if the principal has `most` already."""
        webhook_id = f"wh_{secrets.token_hex(12)}"
        async with self._database.transaction() as connection:
            await connection.alone(f"webhooks of {principal}")
            count = await connection.execute(
                select(func.count()).select_from(WEBHOOKS).where(_W.principal == principal)
            )
            if count.scalar_one() >= most:
                return None
            await connection.execute(
                insert(WEBHOOKS).values(
                    id=webhook_id,
                    principal=principal,
                    url=url,
                    events=" ".join(dict.fromkeys(events)),
                    status="enabled",
                    created_at=time.time(),
                    secret=secret,
                )
            )
        return await self.find(webhook_id, principal)

    async def find(self, webhook_id: str, principal: str) -> Endpoint | None:
        """The endpoint, if it belongs to `principal`."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(WEBHOOKS).where(_is(webhook_id, principal)))).one_or_none()
        return None if row is None else _endpoint(row)

    async def all(self, principal: str) -> tuple[Endpoint, ...]:
        """Every endpoint of a principal, newest first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(WEBHOOKS).where(_W.principal == principal).order_by(_W.position.desc())
            )
            return tuple(_endpoint(row) for row in found.all())

    async def remove(self, webhook_id: str, principal: str) -> bool:
        """Forget an endpoint and what is due to it; whether there was one."""
        async with self._database.transaction() as connection:
            removed = await connection.execute(delete(WEBHOOKS).where(_is(webhook_id, principal)))
            if removed.rowcount:
                await connection.execute(delete(DELIVERIES).where(_D.webhook_id == webhook_id))
            return removed.rowcount > 0

    async def rotate(self, webhook_id: str, principal: str, secret: str, overlap_s: float) -> Endpoint | None:
        """Give it a new secret; the old one signs too for `overlap_s` seconds."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(WEBHOOKS)
                .where(_is(webhook_id, principal))
                .values(previous_secret=_W.secret, previous_until=time.time() + overlap_s, secret=secret)
            )
        return await self.find(webhook_id, principal)

    async def disable(self, webhook_id: str, reason: str) -> None:
        """Send nothing more there."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(WEBHOOKS).where(_W.id == webhook_id).values(status="disabled", disabled_reason=reason)
            )


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is(webhook_id: str, principal: str) -> Any:
    return and_(_W.id == webhook_id, _W.principal == principal)


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        principal=row.principal,
        url=row.url,
        events=tuple(row.events.split()),
        enabled=row.status == "enabled",
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
    )
