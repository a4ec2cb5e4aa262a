"""Calls of tools that act: written down before they are begun, and again when it is known what became of them.

A call that is here has acted, or may have; nobody may begin it a second time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from reference_impl.store.database import Database
from reference_impl.store.tables import AGENT_CALLS


@dataclass(frozen=True)
class BegunCall:
    """A call as it was begun, and how it ended; `outcome` is None as long as nobody knows. Both are plain JSON."""

    call: dict[str, Any]
    outcome: dict[str, Any] | None


class AgentCalls:
    """What the runs of agents have begun since they were kept for the last time (`agent_runs.py`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, run_id: str, call_id: str, call: Mapping[str, Any], expires_at: float) -> None:
        """This call acts from now on, as far as anybody knows."""
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(AGENT_CALLS).values(
                    id=call_id,
                    run_id=run_id,
                    begun_at=time.time(),
                    begun=json.dumps(call).encode(),
                    expires_at=expires_at,
                )
            )

    async def end(self, call_id: str, outcome: Mapping[str, Any]) -> None:
        """It has acted, and this came of it."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(AGENT_CALLS)
                .where(AGENT_CALLS.c.id == call_id)
                .values(outcome=json.dumps(outcome).encode())
            )

    async def withdraw(self, call_id: str) -> None:
        """It has certainly not acted."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(AGENT_CALLS).where(AGENT_CALLS.c.id == call_id))

    async def of(self, run_id: str) -> list[BegunCall]:
        """In the order in which they were begun."""
        table = AGENT_CALLS.c
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                select(table.begun, table.outcome)
                .where(table.run_id == run_id)
                .order_by(table.begun_at, table.id)
            )
            return [
                BegunCall(json.loads(begun), None if outcome is None else json.loads(outcome))
                for begun, outcome in rows
            ]

    async def settle(self, run_id: str) -> None:
        """The run is kept with everything that these calls did."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(AGENT_CALLS).where(AGENT_CALLS.c.run_id == run_id))
