"""Who used how much under which trace. Written behind the answers, in batches: a record is no answer's price."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from reference_impl.outages import OutageError
from reference_impl.store.database import Database
from reference_impl.store.tables import USAGE

_log = logging.getLogger("aiconform.reference")

DELAY_S = 0.1
"""How long a record may wait for others before it is written. A process that is killed loses so much."""


@dataclass(frozen=True)
class UsageRecord:
    """What one answer took. `cost` is an exact decimal in the price list's currency; `at` is epoch seconds."""

    principal: str
    trace_id: str
    request_id: str
    operation: str
    model: str
    at: float
    input: int
    output: int
    cached_input: int
    reasoning_output: int
    cost: str
    price_version: str


class UsageLog:
    """Append only. A reader always sees what was added before, wherever it was added."""

    def __init__(self, database: Database, retention_s: float) -> None:
        self._database = database
        self._retention_s = retention_s
        self._pending: list[UsageRecord] = []
        self._writing = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, record: UsageRecord) -> None:
        """Take a record; it is in the database a moment later. Other processes can read that, so they wait for it."""
        self._pending.append(record)
        if self._database.shared:
            try:
                await self.flush()
            except OutageError as problem:
                _log.warning("usage is written later: %s", problem)
        if self._pending and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.create_task(self._flush_later())

    async def of_trace(self, principal: str, trace_id: str) -> list[UsageRecord]:
        """What `principal` used under this trace, oldest first."""
        await self.flush()
        table = USAGE.c
        columns = [table[name] for name in UsageRecord.__dataclass_fields__]
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                select(*columns)
                .where(
                    table.principal == principal, table.trace_id == trace_id, table.expires_at > time.time()
                )
                .order_by(table.id)
            )
            return [UsageRecord(*row) for row in rows]

    async def flush(self) -> None:
        """Write what is pending, and delete what was kept long enough."""
        async with self._writing:
            batch = [{**vars(r), "expires_at": r.at + self._retention_s} for r in self._pending]
            if not batch:
                return
            async with self._database.transaction() as connection:
                await connection.execute(insert(USAGE), batch)
                if not self._database.shared:  # there one server tidies for all
                    await connection.execute(delete(USAGE).where(USAGE.c.expires_at <= time.time()))
            del self._pending[: len(batch)]

    async def close(self) -> None:
        """Write what is pending, for the last time."""
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        try:
            await self.flush()
        except OutageError as problem:
            _log.warning("%d records of usage are lost: %s", len(self._pending), problem)

    async def _flush_later(self) -> None:
        while self._pending:
            await asyncio.sleep(DELAY_S)
            with suppress(OutageError):  # they stay pending
                await self.flush()
