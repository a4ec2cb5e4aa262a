"""Opening and closing the database."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Executable, delete, event, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from reference_impl.store.tables import (
    AGENT_RUNS,
    CODES,
    IDEMPOTENCY,
    METADATA,
    SESSION_MESSAGES,
    SESSIONS,
    TURNS,
    USAGE,
)

# Exclusive locking makes the process the only owner of the file, so an execution that another boot left in
# flight is certainly dead. synchronous=FULL: a stored answer also survives a power cut.
_PRAGMAS = (
    "PRAGMA busy_timeout = 500",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
)


T = TypeVar("T")


class StoreUnavailableError(Exception):
    """The database cannot be used; the message says why and what to do."""


class Transaction:
    """Where the statements of one transaction go."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run one statement; its rows are all here afterwards."""
        return await _to_its_end(self._connection.execute(statement, parameters))


class Database:
    """One SQLite file (or `:memory:`) behind a single connection: transactions queue, none is torn.

    Whoever is cancelled in a transaction feels it afterwards, and so knows what it has committed. SQLAlchemy throws
    away a connection whose statement was cancelled, and with it everything that is in `:memory:`.
    """

    def __init__(self, path: str) -> None:
        self.boot = uuid.uuid4().hex
        self._path = path
        self._open: ContextVar[Transaction | None] = ContextVar("transaction", default=None)
        self._engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
        )
        event.listen(self._engine.sync_engine, "connect", _prepare)

    async def open(self) -> None:
        """Create what is missing, drop what has expired, and release what a dead process left in flight."""
        try:
            # aiosqlite's thread may outlive the event loop when it cannot open the file; this one does not.
            sqlite3.connect(self._path).close()
            async with self._engine.begin() as connection:
                await connection.run_sync(METADATA.create_all)
                now = time.time()
                for table in (AGENT_RUNS, CODES, IDEMPOTENCY, TURNS, SESSIONS, USAGE):
                    await connection.execute(delete(table).where(table.c.expires_at <= now))
                known = select(SESSIONS.c.id)
                await connection.execute(
                    delete(SESSION_MESSAGES).where(SESSION_MESSAGES.c.session.not_in(known))
                )
                await connection.execute(update(SESSIONS).values(lease=None, leased_until=None))
                await connection.execute(
                    delete(IDEMPOTENCY).where(IDEMPOTENCY.c.status.is_(None), IDEMPOTENCY.c.boot != self.boot)
                )
                # Nobody knows whether the tools of a run that was cut off have acted.
                await connection.execute(
                    update(AGENT_RUNS).where(AGENT_RUNS.c.status == "running").values(status="failed")
                )
        except (DBAPIError, sqlite3.Error) as problem:
            await self.close()
            raise StoreUnavailableError(_explain(self._path, problem)) from problem

    async def close(self) -> None:
        """Close the connection; the file is complete and unlocked afterwards."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All or nothing. One that is begun inside another is a part of it.

        The other must not start tasks that use the database: they would inherit it.
        """
        outer = self._open.get()
        if outer is not None:
            yield outer
            return
        connection = await self._engine.connect().start()
        token = self._open.set(transaction := Transaction(connection))
        try:
            yield transaction
            await _to_its_end(connection.commit())
        finally:
            self._open.reset(token)
            await _to_its_end(connection.close())  # rolls back what was not committed


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which nothing cuts short: who is cancelled meanwhile feels it at the next await."""
    task, waiting, cancelled = asyncio.create_task(work), asyncio.current_task(), False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            cancelled = True
    if cancelled and waiting is not None:
        waiting.uncancel()  # asked for once, counted once
        waiting.cancel()
    return task.result()


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _explain(path: str, problem: Exception) -> str:
    text = str(problem)
    if "locked" in text:
        return f"the database {path} is in use by another server; stop it or choose another file with --db"
    if "unable to open" in text:
        return f"the database {path} cannot be opened; does its directory exist and may you write there?"
    if "not a database" in text:
        return f"{path} is not an SQLite database; choose another file with --db"
    return f"the database {path} cannot be used: {text.splitlines()[0]}"
