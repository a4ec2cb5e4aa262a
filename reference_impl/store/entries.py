"""The ledger that agents write into: an entry exists at most once per tool call."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select

from reference_impl.store.database import Database
from reference_impl.store.tables import ENTRIES

_MOST = 100


@dataclass(frozen=True)
class Entry:
    """`id` is the id of the tool call that made it; `amount` a decimal string."""

    id: str
    amount: str
    currency: str
    memo: str


class Entries:
    """Entries are visible to the principal in whose name they were made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, principal: str, run_id: str, entry: Entry) -> None:
        """Keep an entry; one with this id that exists already stays as it is."""
        async with self._database.transaction() as connection:
            await connection.insert_new(
                ENTRIES,
                id=entry.id,
                principal=principal,
                run_id=run_id,
                amount=entry.amount,
                currency=entry.currency,
                memo=entry.memo,
                created_at=time.time(),
            )

    async def of(self, principal: str, memo: str | None = None) -> list[Entry]:
        """At most 100, newest first."""
        table = ENTRIES.c
        wanted = select(table.id, table.amount, table.currency, table.memo).where(
            table.principal == principal
        )
        if memo is not None:
            wanted = wanted.where(table.memo == memo)
        async with self._database.transaction() as connection:
            rows = await connection.execute(wanted.order_by(table.created_at.desc(), table.id).limit(_MOST))
            return [Entry(row.id, row.amount, row.currency, row.memo) for row in rows]
