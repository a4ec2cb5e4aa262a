"""Transactions: whoever is cancelled, at whatever moment, nothing is torn, lost or left locked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from reference_impl.store.database import Database
from reference_impl.store.turns import Turns

# Long enough to be in the middle of it after a few steps of the loop.
LENGTHY = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n"
)


def test_a_cancelled_statement_costs_the_database_nothing(tmp_path: Path) -> None:
    async def scene(path: str) -> None:
        database = Database(path)
        await database.open()
        turns = Turns(database)
        await turns.add("before", "demo", {}, 60)

        async def work() -> None:
            async with database.transaction() as connection:
                await turns.add("during", "demo", {}, 60)
                await connection.execute(LENGTHY)

        task = asyncio.create_task(work())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert await turns.find("before", "demo")
        await turns.add("after", "demo", {}, 60)
        await database.close()

    for path in (":memory:", str(tmp_path / "file.sqlite")):
        asyncio.run(scene(path))


@pytest.mark.parametrize("steps", range(0, 60, 3))
def test_who_is_cancelled_knows_what_was_committed(steps: int) -> None:
    def when_cancelled(database: Database, committed: list[str]) -> Coroutine[Any, Any, None]:
        async def work() -> None:
            await Turns(database).add("one", "demo", {}, 60)
            committed.append("one")
            await asyncio.sleep(60)

        return work()

    known, kept = asyncio.run(_cancelled_after(steps, when_cancelled))
    assert known == kept


async def _cancelled_after(
    steps: int, work: Callable[[Database, list[str]], Coroutine[Any, Any, None]]
) -> tuple[bool, bool]:
    database = Database(":memory:")
    await database.open()
    committed: list[str] = []
    task = asyncio.create_task(work(database, committed))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    kept = await Turns(database).find("one", "demo") is not None
    await database.close()
    return bool(committed), kept


def test_a_file_of_an_earlier_version_gets_the_columns_it_lacks(tmp_path: Path) -> None:
    path = str(tmp_path / "old.sqlite")
    with closing(sqlite3.connect(path)) as old:
        old.execute(
            "CREATE TABLE turns (id VARCHAR PRIMARY KEY, principal VARCHAR NOT NULL, request BLOB NOT NULL, "
            "expires_at FLOAT NOT NULL, answer BLOB)"
        )
        old.execute("INSERT INTO turns VALUES ('old', 'demo', '{}', 9e9, NULL)")
        old.commit()

    async def scene() -> None:
        for _ in range(2):
            database = Database(path)
            await database.open()
            found = await Turns(database).find("old", "demo")
            assert found is not None
            assert not found.under_way
            # What was under way when the process died is free at once.
            assert await Turns(database).take("old")
            await database.close()

    asyncio.run(scene())
