"""Runs of agents: what was asked, how far it is. Only one request at a time can carry a run on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from reference_impl.store.database import Database
from reference_impl.store.tables import AGENT_RUNS


@dataclass(frozen=True)
class StoredRun:
    """`state` is plain JSON; `status` is `requires_action`, `running`, `complete` or `failed`."""

    id: str
    status: str
    state: dict[str, Any]


class AgentRuns:
    """Runs are visible to the principal that started them, until they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, run: StoredRun, principal: str, ttl_s: float) -> None:
        """Keep a new run."""
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(AGENT_RUNS).values(
                    id=run.id,
                    principal=principal,
                    status=run.status,
                    state=json.dumps(run.state).encode(),
                    expires_at=time.time() + ttl_s,
                )
            )

    async def find(self, run_id: str, principal: str) -> StoredRun | None:
        """The run, if it exists, belongs to `principal` and has not expired."""
        table = AGENT_RUNS.c
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(table.status, table.state).where(
                    table.id == run_id, table.principal == principal, table.expires_at > time.time()
                )
            )
            row = found.one_or_none()
        return None if row is None else StoredRun(run_id, row.status, json.loads(row.state))

    async def take(self, run_id: str) -> bool:
        """Claim a run that waits for an action; False if another request was first."""
        table = AGENT_RUNS.c
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                update(AGENT_RUNS)
                .where(table.id == run_id, table.status == "requires_action")
                .values(status="running")
            )
        return bool(taken.rowcount)

    async def save(self, run_id: str, status: str, state: Mapping[str, Any]) -> None:
        """How far the run is now."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(AGENT_RUNS)
                .where(AGENT_RUNS.c.id == run_id)
                .values(status=status, state=json.dumps(state).encode())
            )
