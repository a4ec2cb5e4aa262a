"""Dropping what has expired. Nobody sees expired rows anyway; this is about space."""

from __future__ import annotations

import time

from sqlalchemy import delete

from reference_impl.store.database import Database
from reference_impl.store.sessions import delete_expired_sessions
from reference_impl.store.tables import AGENT_CALLS, AGENT_RUNS, CODES, IDEMPOTENCY, TURNS, USAGE

ALONE = "housekeeping"
"""Two servers that delete the same rows in another order would wait for each other."""


async def drop_expired(database: Database) -> None:
    """Everything that has an end of its own but jobs and deliveries, which drop theirs themselves."""
    async with database.transaction() as transaction:
        await transaction.alone(ALONE)
        for table in (AGENT_CALLS, AGENT_RUNS, CODES, IDEMPOTENCY, TURNS, USAGE):
            await transaction.execute(delete(table).where(table.c.expires_at <= time.time()))
        await delete_expired_sessions(transaction)
