"""The idempotency ledger: who executed what under which key, and the exact answer they got."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.outages import LeaseLostError, OutageError
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
    """Claims are atomic: of any number of concurrent claims of one slot, exactly one gets None back.

    A claim lasts until it is completed or released, as long as its process lives and renews it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[Slot] = set()
        # Answers that could not be kept yet. Were they dropped, repetitions would execute again.
        self._owed: dict[Slot, StoredAnswer] = {}

    async def claim(self, slot: Slot, fingerprint: str, expires_at: float) -> Entry | None:
        """Claim the slot for this execution (None), or return the entry that holds it already."""
        table, now = IDEMPOTENCY.c, time.time()
        over = table.expires_at <= now
        if slot not in self._held:
            over = or_(over, and_(table.status.is_(None), table.leased_until <= now))
        row = None
        while row is None:
            async with self._database.transaction() as connection:
                await connection.execute(delete(IDEMPOTENCY).where(_is(slot), over))
                claimed = await connection.insert_new(
                    IDEMPOTENCY,
                    principal=slot.principal,
                    operation=slot.operation,
                    key=slot.key,
                    fingerprint=fingerprint,
                    boot=self._database.boot,
                    leased_until=now + self._database.lease_s,
                    expires_at=expires_at,
                )
                if not claimed:
                    # None if whoever held it has just given it back.
                    row = (await connection.execute(select(IDEMPOTENCY).where(_is(slot)))).one_or_none()
            if claimed:
                self._held.add(slot)
                return None
        if row.status is None:
            return Entry(row.fingerprint, row.expires_at, None)
        answer = StoredAnswer(row.status, row.media_type, row.body, row.location)
        return Entry(row.fingerprint, row.expires_at, answer)

    async def complete(self, slot: Slot, answer: StoredAnswer) -> None:
        """Keep the answer for every later request with this key.

        In an outage the claim stays held until the answer can be kept (`settle_owed`).

        Raises:
            LeaseLostError: another process has taken the claim over, and is the one to answer.
            OutageError: the answer is not kept yet.
        """
        try:
            await self._complete(slot, answer)
        except LeaseLostError:
            self._held.discard(slot)
            raise
        except OutageError:
            if not self._database.in_transaction:
                self._owed[slot] = answer
            raise
        self._held.discard(slot)

    async def settle_owed(self) -> None:
        """Keep what could not be kept before."""
        for slot, answer in list(self._owed.items()):
            with suppress(LeaseLostError):  # then somebody else has answered
                await self._complete(slot, answer)
            del self._owed[slot]
            self._held.discard(slot)

    async def _complete(self, slot: Slot, answer: StoredAnswer) -> None:
        async with self._database.transaction() as connection:
            kept = await connection.execute(
                update(IDEMPOTENCY)
                .where(_is(slot), self._mine())
                .values(
                    status=answer.status,
                    media_type=answer.media_type,
                    body=answer.body,
                    location=answer.location,
                )
            )
            if not kept.rowcount:
                raise LeaseLostError("the claim of an idempotency key ran out while its answer was made")

    async def release(self, slot: Slot) -> None:
        """Give the key back: the execution had no result worth keeping."""
        if slot in self._owed:
            return
        self._held.discard(slot)
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(IDEMPOTENCY).where(_is(slot), self._mine(), IDEMPOTENCY.c.status.is_(None))
            )

    async def renew(self) -> None:
        """Say that this process is alive and still executes what it has claimed."""
        if not self._held:
            return
        until = time.time() + self._database.lease_s
        async with self._database.transaction() as connection:
            for slot in sorted(self._held, key=lambda s: (s.principal, s.operation, s.key)):
                await connection.execute(
                    update(IDEMPOTENCY).where(_is(slot), self._mine()).values(leased_until=until)
                )

    def _mine(self) -> ColumnElement[bool]:
        return IDEMPOTENCY.c.boot == self._database.boot


def _is(slot: Slot) -> ColumnElement[bool]:
    table = IDEMPOTENCY.c
    return and_(table.principal == slot.principal, table.operation == slot.operation, table.key == slot.key)
