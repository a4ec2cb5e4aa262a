"""Limits that are counted in Redis: together, and for the dead only until their leases end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.servers import Redis
from reference_impl.exchange import Exchange, Principal, RequestHeaders, Trace
from reference_impl.outages import OutageError
from reference_impl.policies.errors import ContractError
from reference_impl.policies.shared_limits import LimitsUnavailableError, SharedWindows
from reference_impl.settings import Allowance, Tier

LEASE_S = 0.5
TIER = Tier("test", Allowance(6, 60), Allowance(100, 60), Allowance(1000, 60), concurrency=2)
numbers = itertools.count()


@pytest.fixture(scope="session")
def redis(home: Path) -> Iterator[Redis]:
    """One Redis for the tests of this file."""
    started = Redis(home)
    started.start()
    yield started
    started.stop()


def exchange(name: str, tier: Tier = TIER) -> Exchange:
    asked = Exchange(
        "POST", "/chat", RequestHeaders(()), "http://here", "", "req_1", Trace("0" * 32, "0" * 16), None
    )
    asked.principal = Principal(name, tier, frozenset())
    return asked


def scene(redis: Redis, act: Callable[..., Awaitable[None]], count: int = 2) -> None:
    """`act` gets the policies of so many replicas, and a caller of its own."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            replicas = [SharedWindows(redis.url, LEASE_S) for _ in range(count)]
            for replica in replicas:
                await replica.open()
                stack.push_async_callback(replica.close)
            await act(f"caller-{next(numbers)}", *replicas)

    asyncio.run(run())


def standing(asked: Exchange, policy: str) -> int:
    return next(q.remaining for q in asked.quotas if q.policy == policy)


async def refused(work: Awaitable[None]) -> ContractError:
    with pytest.raises(ContractError) as problem:
        await work
    return problem.value


def test_requests_are_counted_together(redis: Redis) -> None:
    async def act(name: str, first: SharedWindows, second: SharedWindows) -> None:
        left = []
        for replica in (first, second, first, second, first, second):
            asked = exchange(name)
            await replica.admit_request(asked)
            replica.release(asked)
            await asyncio.sleep(0.02)
            left.append(standing(asked, "requests"))
        assert left == [5, 4, 3, 2, 1, 0]
        error = await refused(first.admit_request(exchange(name)))
        assert error.code == "RATE_LIMITED"
        assert 1 <= int(error.headers["Retry-After"]) <= 60

    scene(redis, act)


def test_tokens_and_cost_are_charged_together(redis: Redis) -> None:
    async def act(name: str, first: SharedWindows, second: SharedWindows) -> None:
        asked = exchange(name)
        await first.charge(asked, 70, 800)
        assert (standing(asked, "tokens"), standing(asked, "cost")) == (30, 200)
        await second.admit_tokens(exchange(name), 30)
        assert (await refused(second.admit_tokens(exchange(name), 31))).code == "TOKEN_LIMIT_EXCEEDED"
        assert (await refused(second.admit_cost(exchange(name), 201))).code == "BUDGET_EXCEEDED"

    scene(redis, act)


def test_slots_are_held_together_and_given_back(redis: Redis) -> None:
    async def act(name: str, first: SharedWindows, second: SharedWindows) -> None:
        one, two = exchange(name), exchange(name)
        await asyncio.gather(first.admit_request(one), second.admit_request(two))
        assert (await refused(first.admit_request(exchange(name)))).details["policy"] == "concurrent"
        second.release(two)
        await asyncio.sleep(0.1)
        three = exchange(name)
        await first.admit_request(three)
        assert standing(three, "concurrent") == 0

    scene(redis, act)


def test_slots_of_a_dead_replica_come_free_and_those_of_a_living_one_do_not(redis: Redis) -> None:
    async def act(name: str, living: SharedWindows, dead: SharedWindows) -> None:
        await living.admit_request(exchange(name))
        await dead.admit_request(exchange(name))
        for _ in range(4):
            await asyncio.sleep(LEASE_S / 2)
            await living.renew()
        after = exchange(name)
        await living.admit_request(after)
        assert (await refused(living.admit_request(exchange(name)))).details["policy"] == "concurrent"

    scene(redis, act)


def test_the_time_that_is_told_is_never_too_short(redis: Redis) -> None:
    """Redis tells ends of windows in rounded seconds; who waited so long would be refused again."""
    tier = Tier("short", Allowance(1, 2), Allowance(100, 60))

    async def act(name: str, first: SharedWindows) -> None:
        await first.admit_request(exchange(name, tier))
        await asyncio.sleep(0.6)  # 1.4 s are left, which rounds to 1
        error = await refused(first.admit_request(exchange(name, tier)))
        assert error.headers["Retry-After"] == "2"
        await asyncio.sleep(2.0)
        await first.admit_request(exchange(name, tier))

    scene(redis, act, count=1)


def test_without_redis_nobody_is_admitted_and_what_is_used_is_charged_later(redis: Redis) -> None:
    async def act(name: str, first: SharedWindows) -> None:
        asked = exchange(name)
        await first.admit_request(asked)
        await asyncio.to_thread(redis.stop)
        with pytest.raises(OutageError):
            await first.admit_request(exchange(name))
        await first.charge(asked, 40, 0)
        first.release(asked)
        await asyncio.to_thread(redis.start)
        await first.renew()
        after = exchange(name)
        await first.admit_request(after)
        assert (standing(after, "tokens"), standing(after, "requests")) == (60, 4)

    scene(redis, act, count=1)


@pytest.mark.parametrize(
    "url", ["redis:secret", "http://:secret@host", "redis://:secret@host:port/0", "memcached://secret"]
)
def test_a_url_that_cannot_be_used_is_explained_in_one_line(url: str) -> None:
    with pytest.raises(LimitsUnavailableError) as problem:
        SharedWindows(url, LEASE_S)
    assert "secret" not in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_redis_that_is_not_there_is_explained_in_one_line() -> None:
    async def opened() -> None:
        await SharedWindows("redis://:secret@127.0.0.1:1/0", LEASE_S).open()

    with pytest.raises(LimitsUnavailableError) as problem:
        asyncio.run(opened())
    assert "Redis at 127.0.0.1:1 cannot be used" in str(problem.value)
    assert "secret" not in str(problem.value)
    assert "\n" not in str(problem.value)
