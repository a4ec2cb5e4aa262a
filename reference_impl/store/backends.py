"""Where state can be kept: a SQLite file, memory, or PostgreSQL; and what is different about each."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from reference_impl.outages import OutageError

# Exclusive locking makes the process the only owner of the file, so an execution that another boot left in
# flight is certainly dead. synchronous=FULL: a stored answer also survives a power cut.
_PRAGMAS = (
    "PRAGMA busy_timeout = 500",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
)
_POSTGRESQL = ("postgres", "postgresql", "postgresql+asyncpg")
_CONNECT_S = 3.0
_STATEMENT_S = 5.0
_CONNECTIONS = 10
# SQLSTATE classes (PostgreSQL 18, appendix A): connection exceptions, insufficient resources, operator intervention
# (shutdown, starting up), and transactions that the server gave up so that another could go on.
_OUTAGE_STATES = ("08", "53", "57", "40")


class StoreUnavailableError(OutageError):
    """The database cannot be used; the message says why and what to do."""


class Backend(Protocol):
    """One kind of database. `shared`: other processes may be working on the same state at this moment."""

    @property
    def shared(self) -> bool:
        """Whether its state is other processes' too."""
        ...

    def engine(self) -> AsyncEngine:
        """A new engine; it connects when it is first used."""
        ...

    def probe(self) -> None:
        """Find out what would go wrong in a worse place later."""
        ...

    def is_outage(self, problem: BaseException) -> bool:
        """Whether the database was out of reach; else the problem is a bug."""
        ...

    def explain(self, problem: BaseException) -> str:
        """One line for the operator: what is wrong, and what to do."""
        ...


def backend_of(place: str) -> Backend:
    """What is behind a file path, `:memory:`, or a URL (`sqlite:///FILE`, `postgresql://…`).

    Raises:
        StoreUnavailableError: it is a URL that cannot be used.
    """
    if "://" not in place:
        return Sqlite(place)
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        raise StoreUnavailableError(
            "the database URL cannot be read; give one such as postgresql://user:password@host:5432/name"
        ) from None
    if url.drivername == "sqlite":
        return Sqlite(url.database or ":memory:")
    if url.drivername not in _POSTGRESQL:
        raise StoreUnavailableError(
            f"a database of the kind {url.drivername}: is not supported; give postgresql://… or sqlite:///FILE"
        )
    unknown = url.query.keys() - {"host", "sslmode"}
    if unknown:
        raise StoreUnavailableError(
            f"the database URL has the parameter {min(unknown)}; it takes only host and sslmode"
        )
    if not url.database:
        raise StoreUnavailableError("the database URL names no database; end it with /name")
    return Postgresql(url)


@dataclass(frozen=True)
class Sqlite:
    """One file, or `:memory:`, behind a single connection, for which transactions queue."""

    path: str
    shared = False

    def engine(self) -> AsyncEngine:
        """One connection for everything."""
        url = f"sqlite+aiosqlite:///{self.path}"
        engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0)
        event.listen(engine.sync_engine, "connect", _prepare)
        return engine

    def probe(self) -> None:
        """Open the file: aiosqlite's thread may outlive the event loop when it cannot; this leaves nothing."""
        sqlite3.connect(self.path).close()

    def is_outage(self, problem: BaseException) -> bool:
        """A file is not out of reach for a moment."""
        return False

    def explain(self, problem: BaseException) -> str:
        """What is wrong with the file."""
        text = str(problem)
        if "locked" in text:
            return f"the database {self.path} is in use by another server; stop it or choose another file with --db"
        if "unable to open" in text:
            return f"the database {self.path} cannot be opened; does its directory exist and may you write there?"
        if "not a database" in text:
            return f"{self.path} is not an SQLite database; choose another file with --db"
        return f"the database {self.path} cannot be used: {_first_line(problem)}"


@dataclass(frozen=True)
class Postgresql:
    """A database that any number of servers work on together."""

    url: URL
    shared = True

    def engine(self) -> AsyncEngine:
        """A pool of connections, each asked whether it still lives before it is used."""
        query = {name: value for name, value in self.url.query.items() if name != "sslmode"}
        arguments: dict[str, Any] = {
            "timeout": _CONNECT_S,
            "command_timeout": _STATEMENT_S,
            "server_settings": {"application_name": "aiconform"},
        }
        if (mode := self.url.query.get("sslmode")) is not None:
            arguments["ssl"] = mode
        return create_async_engine(
            self.url.set(drivername="postgresql+asyncpg", query=query),
            connect_args=arguments,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_CONNECT_S,
            pool_pre_ping=True,
        )

    def probe(self) -> None:
        """Connecting says everything."""

    def is_outage(self, problem: BaseException) -> bool:
        """Nobody listens, the server hung up or is starting, no connection is free, or it gave a transaction up."""
        if isinstance(problem, DBAPIError):
            if problem.connection_invalidated or isinstance(problem.orig, OSError):
                return True
            problem = problem.orig or problem
        if isinstance(problem, (OSError, TimeoutError, PoolTimeoutError)):
            return True
        if isinstance(problem, asyncpg.InterfaceError):
            return not isinstance(problem, ValueError)  # a value that the driver cannot send is a bug
        return str(getattr(problem, "sqlstate", None) or "").startswith(_OUTAGE_STATES)

    def explain(self, problem: BaseException) -> str:
        """What is wrong with the server, or with the URL."""
        where = f"{self.url.host or self.url.query.get('host') or 'localhost'}:{self.url.port or 5432}"
        reason = "it does not answer" if isinstance(problem, TimeoutError) else _first_line(problem)
        advice = "is it running, and is DATABASE_URL right?"
        return f"PostgreSQL at {where} cannot be used: {reason.rstrip('.')}; {advice}"


KNOWN_FAILURES = (
    DBAPIError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
"""Whatever a driver raises; SQLAlchemy passes some of it on as it is."""


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _first_line(problem: BaseException) -> str:
    original = getattr(problem, "orig", None) or problem
    text = str(original).strip() or type(original).__name__
    return text.splitlines()[0].split(">: ")[-1]
