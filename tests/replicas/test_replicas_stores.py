"""The stores on each database: claims and leases of several processes, and what happens to them in the end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.servers import Postgres
from reference_impl.engine.base import Message
from reference_impl.outages import LeaseLostError
from reference_impl.settings import PRODUCTION
from reference_impl.store.agent_calls import AgentCalls
from reference_impl.store.agent_runs import AgentRuns, StoredRun
from reference_impl.store.backends import StoreUnavailableError
from reference_impl.store.database import Database
from reference_impl.store.entries import Entries, Entry
from reference_impl.store.housekeeping import drop_expired
from reference_impl.store.job_rows import Origin
from reference_impl.store.jobs import Jobs
from reference_impl.store.ledger import Ledger, Slot, StoredAnswer
from reference_impl.store.sessions import SessionIsBusyError, Sessions
from reference_impl.store.turns import Turns
from reference_impl.store.webhooks import Outbox, Webhooks

LEASE_S = 0.3
SLOT = Slot("demo", "POST /chat", "key")
ANSWER = StoredAnswer(200, "application/json", b"{}")
ORIGIN = Origin("demo", PRODUCTION, "req_1", "0" * 32, "0" * 16, "http://here", "")
numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[Postgres]:
    """One PostgreSQL for the tests of this file."""
    started = Postgres(home, power_cuts=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def place(postgres: Postgres) -> str:
    """An empty database of PostgreSQL."""
    return postgres.create(f"stores_{next(numbers)}")


@asynccontextmanager
async def opened(place: str, count: int = 2, lease_s: float = LEASE_S) -> AsyncIterator[list[Database]]:
    """As many processes as far as the database can tell, which open it at the same time."""
    databases = [Database(place, lease_s) for _ in range(count)]
    try:
        await asyncio.gather(*(database.open() for database in databases))
        yield databases
    finally:
        await asyncio.gather(*(database.close() for database in databases))


def scene(place: str, act: Callable[..., Awaitable[None]], count: int = 2, lease_s: float = LEASE_S) -> None:
    async def run() -> None:
        async with opened(place, count, lease_s) as databases:
            await act(*databases)

    asyncio.run(run())


async def add_job(jobs: Jobs, name: str) -> None:
    await jobs.add(name, "document", {"payload": {}}, ORIGIN, deadline_s=60, retention_s=60)


def test_servers_that_start_at_once_create_the_tables_once(place: str) -> None:
    async def act(*databases: Database) -> None:
        await Sessions(databases[0]).create("s", "demo", 1e9, 1e9)
        assert await Sessions(databases[-1]).find("s", "demo")

    scene(place, act, count=6)


def test_of_concurrent_claims_one_executes(place: str) -> None:
    async def act(*databases: Database) -> None:
        claims = [Ledger(d).claim(SLOT, "f", 2e9) for d in databases for _ in range(5)]
        assert (await asyncio.gather(*claims)).count(None) == 1

    scene(place, act, count=4, lease_s=60)


def test_a_claim_is_its_process_as_long_as_that_renews_it(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = Ledger(first), Ledger(second)
        assert await mine.claim(SLOT, "f", 2e9) is None
        for _ in range(4):
            await asyncio.sleep(LEASE_S / 2)
            await mine.renew()
            held = await theirs.claim(SLOT, "f", 2e9)
            assert held is not None
            assert held.answer is None
        await asyncio.sleep(LEASE_S * 1.5)
        # Silent for too long: another one may execute, and the first may not answer any more.
        assert await theirs.claim(SLOT, "f", 2e9) is None
        with pytest.raises(LeaseLostError):
            await mine.complete(SLOT, ANSWER)
        await mine.release(SLOT)
        await theirs.complete(SLOT, ANSWER)
        replayed = await mine.claim(SLOT, "f", 2e9)
        assert replayed is not None
        assert replayed.answer == ANSWER

    scene(place, act)


def test_each_job_is_one_workers(place: str) -> None:
    async def act(*databases: Database) -> None:
        workers = [Jobs(d, Outbox(d)) for d in databases]
        for n in range(12):
            await add_job(workers[0], f"job_{n}")
        taken = await asyncio.gather(*(w.lease() for w in workers for _ in range(6)))
        assert sorted(job.id for job in taken if job) == sorted(f"job_{n}" for n in range(12))

    scene(place, act, count=3, lease_s=60)


def test_a_dead_workers_job_is_taken_over_and_a_living_ones_is_not(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = Jobs(first, Outbox(first)), Jobs(second, Outbox(second))
        await add_job(mine, "job")
        assert await mine.lease()
        for _ in range(4):
            await asyncio.sleep(LEASE_S / 2)
            await mine.extend({"job"})
            assert await theirs.lease() is None
        await asyncio.sleep(LEASE_S * 1.5)
        over = await theirs.lease()
        assert over is not None
        assert over.id == "job"
        assert await mine.lost({"job"}) == {"job"}
        assert not await mine.complete("job", {})
        assert await theirs.complete("job", {})

    scene(place, act)


def test_a_message_is_leased_once_and_again_only_after_its_lease(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        webhook = await Webhooks(first).add("demo", "https://a.example", ["job.completed"], "s", 5)
        assert webhook is not None
        mine, theirs = Outbox(first), Outbox(second)
        await mine.announce("demo", "job", "complete", 1.0)
        leased = await asyncio.gather(mine.lease(LEASE_S), theirs.lease(LEASE_S))
        assert sum(message is not None for message in leased) == 1
        await asyncio.sleep(LEASE_S * 1.5)
        over = await theirs.lease(LEASE_S)
        assert over is not None
        # Who was silent for too long changes nothing any more.
        if leased[0] is not None:
            await mine.retry(leased[0], 2e9)
        await theirs.delivered(over)
        assert await mine.next_due() is None

    scene(place, act)


def test_a_session_is_one_turns(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = Sessions(first), Sessions(second)
        await mine.create("s", "demo", 1e9, 1e9)
        assert await mine.take("s", "demo", "mine")
        with pytest.raises(SessionIsBusyError):
            await theirs.take("s", "demo", "theirs")
        await asyncio.sleep(LEASE_S * 1.5)
        assert await theirs.take("s", "demo", "theirs")
        with pytest.raises(LeaseLostError):
            await mine.append("s", "mine", [Message("user", "too late")])
        await theirs.append("s", "theirs", [Message("user", "said")])
        kept = await mine.find("s", "demo")
        assert kept is not None
        assert kept.messages == (Message("user", "said"),)

    scene(place, act)


def test_what_a_dead_execution_had_begun_is_told_to_the_one_that_takes_its_key_over(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = Ledger(first), Ledger(second)
        assert await mine.claim(SLOT, "f", 2e9) is None
        await mine.mark(SLOT, "run")
        held = await theirs.claim(SLOT, "f", 2e9)
        assert held is not None
        assert held.begun is None, "its process lives"
        await asyncio.sleep(LEASE_S * 1.5)
        reused = await theirs.claim(SLOT, "another payload", 2e9)
        assert reused is not None
        assert (reused.fingerprint, reused.begun) == ("f", None)
        taken = [await ledger.claim(SLOT, "f", 2e9) for ledger in (theirs, theirs, Ledger(second))]
        assert [entry and entry.begun for entry in taken] == ["run", None, None], "one takes it over"
        for late in (mine.mark(SLOT, "later"), mine.complete(SLOT, ANSWER)):
            with pytest.raises(LeaseLostError):
                await late
        # Without an answer the next one is told too, at once.
        await theirs.release(SLOT)
        after = await mine.claim(SLOT, "f", 2e9)
        assert after is not None
        assert after.begun == "run"

    scene(place, act)


@pytest.mark.parametrize("acted", [False, True])
def test_an_agents_run_whose_process_died_has_failed_if_a_tool_may_have_acted(
    place: str, *, acted: bool
) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = AgentRuns(first), AgentRuns(second)
        await mine.add(StoredRun("run", "requires_action", {}), "demo", 60)
        assert (await asyncio.gather(mine.take("run"), theirs.take("run"))).count(True) == 1
        if acted:
            await AgentCalls(first).begin("run", "call", {}, 2e9)
        await asyncio.sleep(LEASE_S * 1.5)
        bystander = AgentRuns(second)
        found = await bystander.find("run", "demo")
        assert found is not None
        assert found.status == ("failed" if acted else "requires_action")
        # Who comes back from the dead begins nothing and changes nothing.
        for late in (mine.hold("run"), mine.save("run", "complete", {})):
            with pytest.raises(LeaseLostError):
                await late

    scene(place, act)


def test_a_turn_is_generated_by_one(place: str) -> None:
    async def act(first: Database, second: Database) -> None:
        mine, theirs = Turns(first), Turns(second)
        await mine.add("turn", "demo", {}, 60)
        assert (await asyncio.gather(mine.take("turn"), theirs.take("turn"))).count(True) == 1
        await asyncio.sleep(LEASE_S * 1.5)
        assert await theirs.take("turn")
        await theirs.answer("turn", b"stream")
        assert not await mine.take("turn")
        found = await mine.find("turn", "demo")
        assert found is not None
        assert found.answer == b"stream"

    scene(place, act)


TEXTS = ["\x00", "a\x00b", "\x01", "\x01\x02", "\x01\x00\x01", "\x00\x01\x02\x00", "ü😀", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_of_json_is_kept_and_found(place: str, text: str) -> None:
    async def act(database: Database) -> None:
        sessions, entries = Sessions(database), Entries(database)
        await sessions.create("s", "demo", 1e9, 1e9)
        await sessions.take("s", "demo", "mine")
        await sessions.append("s", "mine", [Message("user", text)])
        kept = await sessions.find("s", "demo")
        assert kept is not None
        assert kept.messages[0].content == text
        for _ in range(2):
            await entries.add("demo", "run", Entry("call", "1", "EUR", text))
        assert [e.memo for e in await entries.of("demo", memo=text)] == [text]
        assert await sessions.find(text, "demo") is None

    scene(place, act, count=1)


def test_what_has_expired_is_dropped_with_what_belongs_to_it(place: str) -> None:
    async def act(database: Database) -> None:
        sessions = Sessions(database)
        await sessions.create("kept", "demo", 1e9, 1e10)
        await sessions.take("kept", "demo", "mine")
        await sessions.append("kept", "mine", [Message("user", "said")])
        await Turns(database).add("gone", "demo", {}, -1)
        await drop_expired(database)
        kept = await sessions.find("kept", "demo")
        assert kept is not None
        assert len(kept.messages) == 1
        assert not await Turns(database).take("gone")

    scene(place, act, count=1)


def test_a_database_that_is_not_there_is_explained_in_one_line(postgres: Postgres) -> None:
    with pytest.raises(StoreUnavailableError) as problem:
        asyncio.run(Database(postgres.url("nowhere")).open())
    assert 'database "nowhere" does not exist' in str(problem.value)
    assert "\n" not in str(problem.value)


def test_an_answer_that_an_outage_kept_from_being_stored_is_stored_later(
    postgres: Postgres, place: str
) -> None:
    async def act(database: Database) -> None:
        ledger: Any = Ledger(database)
        assert await ledger.claim(SLOT, "f", 2e9) is None
        await asyncio.to_thread(postgres.stop)
        with pytest.raises(StoreUnavailableError):
            await ledger.complete(SLOT, ANSWER)
        # Whoever settles the failed request must not free the key: it would be executed a second time.
        await ledger.release(SLOT)
        await asyncio.to_thread(postgres.start)
        held = await ledger.claim(SLOT, "f", 2e9)
        assert held is not None
        assert held.answer is None
        await ledger.settle_owed()
        replayed = await ledger.claim(SLOT, "f", 2e9)
        assert replayed is not None
        assert replayed.answer == ANSWER

    scene(place, act, count=1)
