"""The idempotency ledger: who executed what under which key, and the exact answer they got."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.outages import LeaseLostError, OutageError
from reference_impl.store.database import Database, Transaction
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
    """What the ledger holds for a slot. `answer` is None while the execution is in flight.

    With `begun` the entry is a claim: it was taken over from an execution that ended without an answer, after it had
    begun what nobody may begin again.
    """

    fingerprint: str
    expires_at: float
    answer: StoredAnswer | None
    begun: str | None = None


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
        row, claimed, taken_over = None, False, False
        while row is None and not claimed:
            async with self._database.transaction() as connection:
                await connection.execute(delete(IDEMPOTENCY).where(_is(slot), self._over(slot)))
                claimed = await connection.insert_new(
                    IDEMPOTENCY,
                    principal=slot.principal,
                    operation=slot.operation,
                    key=slot.key,
                    fingerprint=fingerprint,
                    boot=self._database.boot,
                    leased_until=time.time() + self._database.lease_s,
                    expires_at=expires_at,
                )
                if not claimed:
                    # None if whoever held it has just given it back.
                    row = (await connection.execute(select(IDEMPOTENCY).where(_is(slot)))).one_or_none()
                if row is not None and row.begun is not None and row.fingerprint == fingerprint:
                    taken_over = await self._take_over(connection, slot)
        if row is None:
            self._held.add(slot)
            return None
        if taken_over:
            self._held.add(slot)
            return Entry(row.fingerprint, row.expires_at, None, row.begun)
        if row.status is None:
            return Entry(row.fingerprint, row.expires_at, None)
        answer = StoredAnswer(row.status, row.media_type, row.body, row.location)
        return Entry(row.fingerprint, row.expires_at, answer)

    def _over(self, slot: Slot) -> ColumnElement[bool]:
        """What makes an entry one that is not there: its age, or an end of its execution that left nothing."""
        expired = IDEMPOTENCY.c.expires_at <= time.time()
        if slot in self._held:
            return expired
        return or_(expired, and_(_dead(), IDEMPOTENCY.c.begun.is_(None)))

    async def _take_over(self, connection: Transaction, slot: Slot) -> bool:
        """Claim what a dead execution has begun."""
        if slot in self._held:
            return False
        taken = await connection.execute(
            update(IDEMPOTENCY)
            .where(_is(slot), _dead())
            .values(boot=self._database.boot, leased_until=time.time() + self._database.lease_s)
        )
        return taken.rowcount > 0

    async def mark(self, slot: Slot, begun: str) -> None:
        """Write down, before it is begun, what no repetition may begin again.

        Raises:
            LeaseLostError: another process has taken the claim over.
        """
        async with self._database.transaction() as connection:
            marked = await connection.execute(
                update(IDEMPOTENCY)
                .where(_is(slot), self._mine(), IDEMPOTENCY.c.status.is_(None))
                .values(begun=begun)
            )
            if not marked.rowcount:
                raise LeaseLostError("the claim of an idempotency key ran out during its execution")

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
        """Give the key back: the execution had no result worth keeping. What it has begun is kept (`mark`)."""
        if slot in self._owed:
            return
        self._held.discard(slot)
        async with self._database.transaction() as connection:
            under_way = and_(_is(slot), self._mine(), IDEMPOTENCY.c.status.is_(None))
            await connection.execute(delete(IDEMPOTENCY).where(under_way, IDEMPOTENCY.c.begun.is_(None)))
            await connection.execute(update(IDEMPOTENCY).where(under_way).values(leased_until=0.0))

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


def _dead() -> ColumnElement[bool]:
    """In flight, and nobody executes it any more."""
    return and_(IDEMPOTENCY.c.status.is_(None), IDEMPOTENCY.c.leased_until <= time.time())


def _is(slot: Slot) -> ColumnElement[bool]:
    table = IDEMPOTENCY.c
    return and_(table.principal == slot.principal, table.operation == slot.operation, table.key == slot.key)
