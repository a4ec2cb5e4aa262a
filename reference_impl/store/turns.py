"""Deferred turns: accepted requests whose answer is streamed later, and kept once it was generated."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, or_, select, update

from reference_impl.outages import LeaseLostError
from reference_impl.store.database import Database
from reference_impl.store.tables import TURNS


@dataclass(frozen=True)
class Turn:
    """An accepted request; `answer` holds the bytes of its event stream once that is complete.

    `under_way`: somebody generates it now.
    """

    id: str
    request: Mapping[str, Any]
    answer: bytes | None
    under_way: bool


class Turns:
    """Turns are visible to the principal that posted them, until they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[str] = set()

    async def add(self, turn_id: str, principal: str, request: Mapping[str, Any], ttl_s: float) -> None:
        """Accept a turn."""
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(TURNS).values(
                    id=turn_id,
                    principal=principal,
                    request=json.dumps(request).encode(),
                    expires_at=time.time() + ttl_s,
                )
            )

    async def find(self, turn_id: str, principal: str) -> Turn | None:
        """The turn, if it exists, belongs to `principal` and has not expired."""
        table = TURNS.c
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(table.request, table.answer, table.lease, table.leased_until).where(
                    table.id == turn_id, table.principal == principal, table.expires_at > time.time()
                )
            )
            row = found.one_or_none()
        if row is None:
            return None
        under_way = row.lease is not None and row.leased_until > time.time()
        return Turn(turn_id, json.loads(row.request), row.answer, under_way)

    async def take(self, turn_id: str) -> bool:
        """The sole right to generate the answer, until it is given or released; False if somebody else has it."""
        table, now = TURNS.c, time.time()
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                update(TURNS)
                .where(
                    table.id == turn_id,
                    table.answer.is_(None),
                    or_(table.lease.is_(None), table.leased_until <= now),
                )
                .values(lease=self._database.boot, leased_until=now + self._database.lease_s)
            )
        if taken.rowcount:
            self._held.add(turn_id)
        return taken.rowcount > 0

    async def answer(self, turn_id: str, stream: bytes) -> None:
        """Keep the complete event stream of a turn that was taken.

        Raises:
            LeaseLostError: somebody else generates it by now.
        """
        async with self._database.transaction() as connection:
            kept = await connection.execute(
                update(TURNS)
                .where(TURNS.c.id == turn_id, TURNS.c.lease == self._database.boot)
                .values(answer=stream)
            )
            if not kept.rowcount:
                raise LeaseLostError("the lease of a deferred turn ran out while its answer was generated")

    async def release(self, turn_id: str) -> None:
        """Give the right back; without an answer, the next request tries again."""
        self._held.discard(turn_id)
        async with self._database.transaction() as connection:
            await connection.execute(
                update(TURNS)
                .where(TURNS.c.id == turn_id, TURNS.c.lease == self._database.boot)
                .values(lease=None, leased_until=None)
            )

    async def renew(self) -> None:
        """Say that this process is alive and still generates what it has taken."""
        if not self._held:
            return
        async with self._database.transaction() as connection:
            await connection.execute(
                update(TURNS)
                .where(TURNS.c.id.in_(self._held), TURNS.c.lease == self._database.boot)
                .values(leased_until=time.time() + self._database.lease_s)
            )
