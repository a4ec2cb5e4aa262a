"""The idempotency ledger: who executed what under which key, and the exact answer they got."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.store.database import Database
from reference_impl.store.tables import IDEMPOTENCY


@dataclass(frozen=True)
class Slot:
    """What a key is unique within: the caller and the operation (method and path)."""

    principal: str
    operation: str
    key: str


@dataclass(frozen=True)
class StoredAnswer:
    """A finished answer as it went over the wire; `location` is the Location header, if it had one."""

    status: int
    media_type: str
    body: bytes
    location: str | None = None


@dataclass(frozen=True)
class Entry:
    """What the ledger holds for a slot. `answer` is None while the execution is in flight."""

    fingerprint: str
    expires_at: float
    answer: StoredAnswer | None


class Ledger:
    """Claims are atomic: of any number of concurrent claims of one slot, exactly one gets None back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, slot: Slot, fingerprint: str, expires_at: float) -> Entry | None:
        """Claim the slot for this execution (None), or return the entry that holds it already."""
        table = IDEMPOTENCY.c
        async with self._database.transaction() as connection:
            await connection.execute(delete(IDEMPOTENCY).where(_is(slot), table.expires_at <= time.time()))
            claimed = await connection.execute(
                insert(IDEMPOTENCY)
                .values(
                    principal=slot.principal,
                    operation=slot.operation,
                    key=slot.key,
                    fingerprint=fingerprint,
                    boot=self._database.boot,
                    expires_at=expires_at,
                )
                .on_conflict_do_nothing()
            )
            if claimed.rowcount:
                return None
            row = (await connection.execute(select(IDEMPOTENCY).where(_is(slot)))).one()
        if row.status is None:
            return Entry(row.fingerprint, row.expires_at, None)
        answer = StoredAnswer(row.status, row.media_type, row.body, row.location)
        return Entry(row.fingerprint, row.expires_at, answer)

    async def complete(self, slot: Slot, answer: StoredAnswer) -> None:
        """Keep the answer for every later request with this key."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(IDEMPOTENCY)
                .where(_is(slot))
                .values(
                    status=answer.status,
                    media_type=answer.media_type,
                    body=answer.body,
                    location=answer.location,
                )
            )

    async def release(self, slot: Slot) -> None:
        """Give the key back: the execution had no result worth keeping."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(IDEMPOTENCY).where(_is(slot), IDEMPOTENCY.c.status.is_(None)))


def _is(slot: Slot) -> ColumnElement[bool]:
    table = IDEMPOTENCY.c
    return and_(table.principal == slot.principal, table.operation == slot.operation, table.key == slot.key)
