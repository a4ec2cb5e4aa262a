"""Jobs: accepted work, what became of it, and every change of it that a client can see.

Every change is one transaction: the job, the event that tells of it, and the webhook deliveries it causes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.store.database import Database, Transaction
from reference_impl.store.job_rows import (
    OPEN,
    Job,
    Kind,
    Origin,
    Page,
    as_json,
    from_json,
    job_of,
    write_cursor,
    write_origin,
)
from reference_impl.store.job_tables import JOB_EVENTS, JOBS
from reference_impl.store.webhooks import Outbox, timestamp

_J = JOBS.c


class Jobs:
    """Jobs belong to the principal that posted them. Of concurrent changes, the first one to a status wins."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def add(
        self,
        job_id: str,
        kind: Kind,
        request: Mapping[str, Any],
        origin: Origin,
        *,
        deadline_s: float,
        retention_s: float,
    ) -> Job:
        """Accept a job. It is durable once the surrounding transaction is."""
        now = time.time()
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(JOBS).values(
                    id=job_id,
                    principal=origin.principal,
                    kind=kind,
                    status="queued",
                    progress=0.0,
                    version=1,
                    created_at=now,
                    updated_at=now,
                    deadline_at=now + deadline_s,
                    retention_s=retention_s,
                    request=as_json(request),
                    origin=write_origin(origin),
                    parts=b"[]",
                    input_tokens=0,
                    output_tokens=0,
                )
            )
            return await self._changed(connection, job_id)

    async def find(self, job_id: str) -> Job | None:
        """The job, whoever's it is."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(JOBS).where(_J.id == job_id))).one_or_none()
        return None if row is None else job_of(row)

    async def page(self, principal: str, status: str | None, before: int | None, limit: int) -> Page:
        """Jobs of a principal, newest first, from below a position on."""
        wanted: list[ColumnElement[bool]] = [
            _J.principal == principal,
            or_(_J.expires_at.is_(None), _J.expires_at > time.time()),
        ]
        if status is not None:
            wanted.append(_J.status == status)
        if before is not None:
            wanted.append(_J.position < before)
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(JOBS).where(*wanted).order_by(_J.position.desc()).limit(limit + 1)
            )
            rows = found.all()
        cursor = write_cursor(rows[limit - 1].position) if len(rows) > limit else None
        return Page(tuple(job_of(row) for row in rows[:limit]), cursor)

    async def events(self, job_id: str, after: int) -> list[tuple[int, bytes]]:
        """Version and JSON of each event after a version, in order."""
        event = JOB_EVENTS.c
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(event.version, event.data)
                .where(event.job_id == job_id, event.version > after)
                .order_by(event.version)
            )
            return [(row.version, row.data) for row in found]

    async def lease(self) -> Job | None:
        """The oldest job that waits for a worker, now this process's; None if there is none."""
        now = time.time()
        waiting = or_(
            _J.status == "queued", and_(_J.status == "processing", func.coalesce(_J.leased_until, 0.0) <= now)
        )
        oldest = (
            select(_J.id)
            .where(waiting, _J.deadline_at > now)
            .order_by(_J.position)
            .limit(1)
            .with_for_update(
                skip_locked=True
            )  # of workers that look at the same time, each finds another one
            .scalar_subquery()
        )
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                update(JOBS)
                .where(_J.id == oldest)
                .values(lease=self._database.boot, leased_until=now + self._database.lease_s)
                .returning(_J.id, _J.status)
            )
            row = taken.one_or_none()
            if row is None:
                return None
            if row.status == "queued":
                await self._change(connection, row.id, now, status="processing")
                return await self._changed(connection, row.id)
            return job_of((await connection.execute(select(JOBS).where(_J.id == row.id))).one())

    async def extend(self, job_ids: Set[str]) -> None:
        """Say that this process is still working on these jobs."""
        if job_ids:
            async with self._database.transaction() as connection:
                await connection.execute(
                    update(JOBS)
                    .where(_J.id.in_(job_ids), self._mine())
                    .values(leased_until=time.time() + self._database.lease_s)
                )

    async def lost(self, job_ids: Set[str]) -> set[str]:
        """Which of these jobs are no longer this process's to work on: ended, or taken over."""
        if not job_ids:
            return set()
        async with self._database.transaction() as connection:
            kept = await connection.execute(select(_J.id).where(_J.id.in_(job_ids), self._mine()))
            return set(job_ids) - {row.id for row in kept}

    async def advance(
        self, job_id: str, parts: Sequence[Any], progress: float, input_tokens: int, output_tokens: int
    ) -> bool:
        """Keep finished parts; False if the job is no longer this worker's, which then has to stop."""
        changes = {
            "parts": as_json(parts),
            "progress": progress,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "leased_until": time.time() + self._database.lease_s,
        }
        return await self._work(job_id, **changes) is not None

    async def await_action(self, job_id: str, action: Mapping[str, Any]) -> bool:
        """Stop until the caller has decided."""
        changes = {"status": "requires_action", "action": as_json(action), "lease": None}
        return await self._work(job_id, **changes) is not None

    async def complete(self, job_id: str, result: Mapping[str, Any]) -> bool:
        """The work is done."""
        return await self._work(job_id, status="complete", progress=1.0, result=as_json(result)) is not None

    async def fail(self, job_id: str, error: Mapping[str, Any]) -> bool:
        """The work cannot be done."""
        return await self._work(job_id, status="failed", error=as_json(error)) is not None

    async def decide(self, job_id: str, action_id: str, *, approved: bool) -> Job | None:
        """Go on, or end as cancelled; None if the job does not wait for a decision over this action."""
        now = time.time()
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(JOBS).where(_J.id == job_id).with_for_update())).one()
            waiting = from_json(row.action) or {}
            if row.status != "requires_action" or waiting.get("id") != action_id:
                return None
            if approved:
                action = as_json({**waiting, "decision": "approve"})
                await self._change(
                    connection, job_id, now, status="processing", action=action, leased_until=None
                )
            else:
                await self._change(connection, job_id, now, status="cancelled")
            return await self._changed(connection, job_id)

    async def cancel(self, job_id: str) -> Job | None:
        """End an open job; None if it has ended already. Whoever works on it is told by its next change."""
        now = time.time()
        async with self._database.transaction() as connection:
            changed = await self._change(
                connection, job_id, now, _J.status.in_(OPEN), status="cancelled", lease=None
            )
            return await self._changed(connection, job_id) if changed else None

    async def expire_overdue(self) -> list[str]:
        """End what has passed its deadline; the ids."""
        now = time.time()
        async with self._database.transaction() as connection:
            late = await connection.execute(
                select(_J.id)
                .where(_J.status.in_(OPEN), _J.deadline_at <= now)
                .order_by(_J.position)
                .limit(100)
                .with_for_update(skip_locked=True)
            )
            ids = [row.id for row in late]
            for job_id in ids:
                await self._change(connection, job_id, now, status="expired", lease=None)
                await self._changed(connection, job_id)
        return ids

    async def forget_expired(self) -> None:
        """Blank what is past its retention, and drop it after as long again: until then it is 410, then 404."""
        now = time.time()
        async with self._database.transaction() as connection:
            await connection.alone("expired jobs")
            gone = select(_J.id).where(_J.expires_at + _J.retention_s <= now)
            await connection.execute(delete(JOB_EVENTS).where(JOB_EVENTS.c.job_id.in_(gone)))
            await connection.execute(delete(JOBS).where(_J.expires_at + _J.retention_s <= now))
            await connection.execute(
                update(JOBS)
                .where(_J.expires_at <= now, _J.parts != b"")
                .values(request=b"{}", parts=b"", result=None, error=None, action=None)
            )

    async def give_back(self) -> None:
        """Leave what this process was working on to others."""
        async with self._database.transaction() as connection:
            await connection.execute(update(JOBS).where(self._mine()).values(lease=None, leased_until=None))

    async def next_deadline(self) -> float | None:
        """When the next open job will be overdue."""
        async with self._database.transaction() as connection:
            soonest = await connection.execute(select(func.min(_J.deadline_at)).where(_J.status.in_(OPEN)))
            found: float | None = soonest.scalar_one()
        return found

    async def _work(self, job_id: str, **values: Any) -> Job | None:
        """A change by the worker that holds the lease; None if it does not hold it any more."""
        async with self._database.transaction() as connection:
            if not await self._change(connection, job_id, time.time(), self._mine(), **values):
                return None
            return await self._changed(connection, job_id)

    def _mine(self) -> ColumnElement[bool]:
        return and_(_J.status == "processing", _J.lease == self._database.boot)

    async def _change(
        self, connection: Transaction, job_id: str, now: float, *conditions: Any, **values: Any
    ) -> bool:
        """One visible change. A terminal status gets its times, and an open job is never changed back."""
        status = values.get("status")
        if status is not None and status not in OPEN:
            values |= {"completed_at": now, "expires_at": now + _J.retention_s, "lease": None}
        changed = await connection.execute(
            update(JOBS)
            .where(_J.id == job_id, _J.status.in_(OPEN), *conditions)
            .values(version=_J.version + 1, updated_at=now, **values)
        )
        return changed.rowcount > 0

    async def _changed(self, connection: Transaction, job_id: str) -> Job:
        """Write down the event of a change, and the webhook messages about it."""
        job = job_of((await connection.execute(select(JOBS).where(_J.id == job_id))).one())
        data = {
            "type": "job",
            "sequence_number": job.version,
            "job_id": job.id,
            "status": job.status,
            "progress": job.progress,
            "updated_at": timestamp(job.updated_at),
        }
        await connection.execute(
            insert(JOB_EVENTS).values(job_id=job.id, version=job.version, data=as_json(data))
        )
        await self._outbox.announce(job.origin.principal, job.id, job.status, job.updated_at)
        return job
