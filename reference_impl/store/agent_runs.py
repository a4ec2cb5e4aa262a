"""Runs of agents: what was asked, how far it is. Only one request at a time can carry a run on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from reference_impl.outages import LeaseLostError
from reference_impl.store.database import Database
from reference_impl.store.tables import AGENT_RUNS, CUT_OFF


@dataclass(frozen=True)
class StoredRun:
    """`state` is plain JSON; `status` is `requires_action`, `running`, `complete` or `failed`."""

    id: str
    status: str
    state: dict[str, Any]


class AgentRuns:
    """Runs are visible to the principal that started them, until they expire.

    One whose process fell silent while carrying it on has failed if a tool has acted, or may have; else it waits again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[str] = set()

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
            if run_id not in self._held:
                await connection.execute(
                    update(AGENT_RUNS)
                    .where(table.id == run_id, table.status == "running", table.leased_until <= time.time())
                    .values(status=CUT_OFF, lease=None)
                )
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
                .values(
                    status="running",
                    lease=self._database.boot,
                    leased_until=time.time() + self._database.lease_s,
                )
            )
        if taken.rowcount:
            self._held.add(run_id)
        return bool(taken.rowcount)

    async def hold(self, run_id: str) -> None:
        """Make sure that a run that was taken is still ours, before something is done that cannot be undone.

        Raises:
            LeaseLostError: it is not.
        """
        table = AGENT_RUNS.c
        async with self._database.transaction() as connection:
            held = await connection.execute(
                update(AGENT_RUNS)
                .where(table.id == run_id, table.status == "running", table.lease == self._database.boot)
                .values(leased_until=time.time() + self._database.lease_s)
            )
            if not held.rowcount:
                raise LeaseLostError("the lease of an agent's run ran out while it was carried on")

    async def save(self, run_id: str, status: str, state: Mapping[str, Any]) -> None:
        """How far a run that was taken is now.

        Raises:
            LeaseLostError: it counts as failed already.
        """
        self._held.discard(run_id)
        async with self._database.transaction() as connection:
            saved = await connection.execute(
                update(AGENT_RUNS)
                .where(AGENT_RUNS.c.id == run_id, AGENT_RUNS.c.lease == self._database.boot)
                .values(status=status, state=json.dumps(state).encode(), lease=None)
            )
            if not saved.rowcount:
                raise LeaseLostError("the lease of an agent's run ran out while it was carried on")

    async def renew(self) -> None:
        """Say that this process is alive and still carries on what it has taken."""
        if not self._held:
            return
        async with self._database.transaction() as connection:
            await connection.execute(
                update(AGENT_RUNS)
                .where(AGENT_RUNS.c.id.in_(self._held), AGENT_RUNS.c.lease == self._database.boot)
                .values(leased_until=time.time() + self._database.lease_s)
            )
