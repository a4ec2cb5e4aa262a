"""Opening and closing the database."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import delete, event, select, update
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


class StoreUnavailableError(Exception):
    """The database cannot be used; the message says why and what to do."""


class Database:
    """One SQLite file (or `:memory:`) behind a single connection: transactions queue, none is torn."""

    def __init__(self, path: str) -> None:
        self.boot = uuid.uuid4().hex
        self._path = path
        self._open: ContextVar[AsyncConnection | None] = ContextVar("transaction", default=None)
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
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """All or nothing. One that is begun inside another is a part of it.

        The other must not start tasks that use the database: they would inherit it.
        """
        outer = self._open.get()
        if outer is not None:
            yield outer
            return
        async with self._engine.begin() as connection:
            token = self._open.set(connection)
            try:
                yield connection
            finally:
                self._open.reset(token)


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
