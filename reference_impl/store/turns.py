"""Deferred turns: accepted requests whose answer is streamed later, and kept once it was generated."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from reference_impl.store.database import Database
from reference_impl.store.tables import TURNS


@dataclass(frozen=True)
class Turn:
    """An accepted request; `answer` holds the bytes of its event stream once that is complete."""

    id: str
    request: Mapping[str, Any]
    answer: bytes | None


class Turns:
    """Turns are visible to the principal that posted them, until they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, turn_id: str, principal: str, request: Mapping[str, Any], ttl_s: float) -> None:
        """Accept a turn."""
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(TURNS).values(
                    id=turn_id,
                    principal=principal,
                    request=json.dumps(request).encode(),
                    expires_at=time.time() + ttl_s,
                )
            )

    async def find(self, turn_id: str, principal: str) -> Turn | None:
        """The turn, if it exists, belongs to `principal` and has not expired."""
        table = TURNS.c
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(table.request, table.answer).where(
                    table.id == turn_id, table.principal == principal, table.expires_at > time.time()
                )
            )
            row = found.one_or_none()
        return None if row is None else Turn(turn_id, json.loads(row.request), row.answer)

    async def answer(self, turn_id: str, stream: bytes) -> None:
        """Keep the complete event stream of a turn."""
        async with self._database.transaction() as connection:
            await connection.execute(update(TURNS).where(TURNS.c.id == turn_id).values(answer=stream))
