"""Opening and closing the database, and transactions on it."""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from reference_impl.store.backends import KNOWN_FAILURES, Backend, StoreUnavailableError, backend_of
from reference_impl.store.schema import create, release_what_the_dead_held

LEASE_S = 30.0
"""How long nobody takes over the work of a process that has fallen silent."""

T = TypeVar("T")


class Transaction:
    """Where the statements of one transaction go."""

    def __init__(self, connection: AsyncConnection, backend: Backend) -> None:
        self._connection = connection
        self._backend = backend

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run one statement; its rows are all here afterwards."""
        with _outages(self._backend):
            return await _to_its_end(self._connection.execute(statement, parameters))

    async def run_sync(self, work: Callable[[Connection], None]) -> None:
        """Run what wants a plain connection, such as the creation of tables."""
        with _outages(self._backend):
            await _to_its_end(self._connection.run_sync(work))

    async def insert_new(self, table: Table, **values: Any) -> bool:
        """Insert a row unless one with its key is there; whether it was inserted."""
        kind = postgresql if self._backend.shared else sqlite
        done = await self.execute(kind.insert(table).values(**values).on_conflict_do_nothing())
        return done.rowcount > 0

    async def alone(self, name: str) -> None:
        """Wait until no other transaction is in its part that goes by this name; ours lasts to its end."""
        # On SQLite transactions queue for the only connection anyway.
        if self._backend.shared:
            await self.execute(select(func.pg_advisory_xact_lock(zlib.crc32(name.encode()))))


class Database:
    """A SQLite file or `:memory:` behind a single connection, for which transactions queue; or PostgreSQL.

    Whoever is cancelled in a transaction feels it afterwards, and so knows what it has committed. SQLAlchemy throws
    away a connection whose statement was cancelled, and with it everything that is in `:memory:`.
    """

    def __init__(self, place: str, lease_s: float = LEASE_S) -> None:
        """See `backend_of` for `place`. `boot` names this process where something is leased to it."""
        self.boot = uuid.uuid4().hex
        self.lease_s = lease_s
        self._backend = backend_of(place)
        self._open: ContextVar[Transaction | None] = ContextVar("transaction", default=None)
        self._engine = self._backend.engine()

    @property
    def shared(self) -> bool:
        """Whether other processes may be working on the same state."""
        return self._backend.shared

    @property
    def in_transaction(self) -> bool:
        """Whether the caller is within a transaction, which decides over what is done now."""
        return self._open.get() is not None

    async def open(self) -> None:
        """Create what is missing. In a file of our own, also release what a dead process left in flight."""
        try:
            self._backend.probe()
            async with self.transaction() as transaction:
                # Of servers that start at the same time, one creates the tables.
                await transaction.alone("schema")
                await transaction.run_sync(create)
                if not self.shared:
                    await transaction.run_sync(release_what_the_dead_held)
        except KNOWN_FAILURES as problem:
            await self.close()
            raise StoreUnavailableError(self._backend.explain(problem)) from problem
        except StoreUnavailableError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections; a file is complete and unlocked afterwards."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All or nothing. One that is begun inside another is a part of it.

        The other must not start tasks that use the database: they would inherit it.

        Raises:
            StoreUnavailableError: the database is out of reach. Nothing was kept, unless the connection broke while
                it was being told to: then nobody knows.
        """
        outer = self._open.get()
        if outer is not None:
            yield outer
            return
        with _outages(self._backend):
            connection = await self._engine.connect().start()
        token = self._open.set(transaction := Transaction(connection, self._backend))
        try:
            yield transaction
            with _outages(self._backend):
                await _to_its_end(connection.commit())
        finally:
            self._open.reset(token)
            await _to_its_end(self._return(connection))

    async def _return(self, connection: AsyncConnection) -> None:
        """Roll back what was not committed. A broken connection has done that by itself."""
        try:
            await connection.close()
        except KNOWN_FAILURES as problem:
            if not self._backend.is_outage(problem):
                raise
            await connection.invalidate()


@contextmanager
def _outages(backend: Backend) -> Iterator[None]:
    try:
        yield
    except KNOWN_FAILURES as problem:
        if not backend.is_outage(problem):
            raise
        raise StoreUnavailableError(backend.explain(problem)) from problem


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
