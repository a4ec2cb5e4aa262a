"""Creating what is missing in a database, and setting free what a dead process held in a file of its own."""

from __future__ import annotations

from sqlalchemy import Column, Connection, delete, inspect, text, update
from sqlalchemy.schema import CreateColumn

from reference_impl.store.job_tables import DELIVERIES, JOBS
from reference_impl.store.tables import AGENT_RUNS, CUT_OFF, IDEMPOTENCY, METADATA, SESSIONS, TURNS


def create(connection: Connection) -> None:
    """Tables that are not there, and columns that an older version of a table lacks: they may all be NULL."""
    METADATA.create_all(connection)
    known = inspect(connection)
    for table in METADATA.sorted_tables:
        present = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                connection.execute(
                    text(f"ALTER TABLE {table.name} ADD COLUMN {_defined(column, connection)}")
                )


def release_what_the_dead_held(connection: Connection) -> None:
    """Of a file that only one process can open: whatever is in flight is certainly not under way any more."""
    for table in (SESSIONS, TURNS, JOBS, DELIVERIES):
        connection.execute(
            update(table).where(table.c.lease.is_not(None)).values(lease=None, leased_until=None)
        )
    under_way = IDEMPOTENCY.c.status.is_(None)
    connection.execute(delete(IDEMPOTENCY).where(under_way, IDEMPOTENCY.c.begun.is_(None)))
    connection.execute(update(IDEMPOTENCY).where(under_way).values(leased_until=0.0))
    connection.execute(
        update(AGENT_RUNS).where(AGENT_RUNS.c.status == "running").values(status=CUT_OFF, lease=None)
    )


def _defined(column: Column[object], connection: Connection) -> str:
    return str(CreateColumn(column).compile(dialect=connection.dialect))
