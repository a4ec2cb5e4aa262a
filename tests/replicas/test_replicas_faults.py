"""Something breaks under load, and nothing that was accepted is lost, done twice, or forgotten."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from invariants import AUTH, Load, assert_honest, nothing_is_lost_or_done_twice, open_inbox

from deploy.stack import Stack

pytestmark = pytest.mark.slow

Fault = Callable[[Stack, Load], Awaitable[None]]


async def replica_killed(stack: Stack, load: Load) -> None:
    """kill -9, at a random moment; it comes back later, and then the other one goes the same way."""
    for replica in stack.replicas:
        await asyncio.sleep(random.uniform(0, 0.3))
        replica.process.send(signal.SIGKILL)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(replica.process.kill)
        await asyncio.to_thread(replica.start)
        await asyncio.sleep(1.0)


async def postgresql_crashed(stack: Stack, load: Load) -> None:
    """The immediate shutdown of PostgreSQL is a crash: it recovers from its log when it starts."""
    await asyncio.to_thread(stack.postgres.process.stop, signal.SIGQUIT)
    await outage_is_told(stack)
    await asyncio.to_thread(stack.postgres.start)


async def redis_restarted(stack: Stack, load: Load) -> None:
    """Redis is stopped, and started again."""
    await asyncio.to_thread(stack.redis.stop)
    await outage_is_told(stack)
    await asyncio.to_thread(stack.redis.start)


async def outage_is_told(stack: Stack) -> None:
    """Each replica refuses what it cannot keep: at once, with 503, and for as long as it takes."""
    for _ in range(3):
        for replica in stack.replicas:
            async with httpx.AsyncClient(
                base_url=replica.url, headers=AUTH, timeout=15, verify=False
            ) as client:
                began = time.monotonic()
                for answer in (
                    await client.post("/analyze-document", json={"document": "never accepted"}),
                    await client.post("/sessions", json={}),
                    await client.get("/jobs"),
                ):
                    assert answer.status_code == 503, answer.text
                    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
                    assert answer.headers["retry-after"] == "1"
                    assert "127.0.0.1" not in answer.json()["error"]["message"]
                    assert_honest(answer)
                assert time.monotonic() - began < 10
                # Whether the process itself is alive is another question.
                assert (await client.get("/health")).status_code == 200
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("fault", [replica_killed, postgresql_crashed, redis_restarted])
def test_nothing_accepted_is_lost_and_nothing_is_done_twice(stack: Stack, fault: Fault) -> None:
    async def scene() -> None:
        load = Load(stack.url)
        with open_inbox() as inbox:
            async with load.client() as client:
                registered = await client.post("/webhooks", json={"url": inbox.url})
                assert registered.status_code == 201, registered.text
            await load.under(lambda: fault(stack, load))
            assert len(load.answers) >= 10, "the load was too light to mean anything"
            await nothing_is_lost_or_done_twice(load, inbox)
            async with load.client() as client:
                removed = await client.delete(f"/webhooks/{registered.json()['id']}")
                assert removed.status_code == 204
        for replica in stack.replicas:
            assert replica.process.alive
            log = replica.process.log.read_text()
            assert "Traceback" not in log, log[-4000:]

    asyncio.run(scene())


def test_a_frozen_replica_is_taken_for_dead_and_changes_nothing_when_it_wakes(stack: Stack) -> None:
    """SIGSTOP: the replica comes back after its leases have ended, and believes that it still holds them."""

    async def scene() -> None:
        first, second = stack.replicas
        document = {
            "document": "# a\n\nword\n\n# b\n\nword",
            "sandbox": {"scenario": "slow_document", "delay_ms": 1500},
        }
        async with httpx.AsyncClient(headers=AUTH, timeout=20, verify=False) as client:
            job = (await client.post(f"{first.url}/analyze-document", json=document)).json()["job_id"]
            started = time.monotonic()
            while (await client.get(f"{second.url}/jobs/{job}")).json()["status"] == "queued":
                assert time.monotonic() - started < 10
                await asyncio.sleep(0.05)
            first.process.send(signal.SIGSTOP)
            while (shown := (await client.get(f"{second.url}/jobs/{job}")).json())["status"] != "complete":
                assert time.monotonic() - started < 30, shown
                await asyncio.sleep(0.1)
            first.process.send(signal.SIGCONT)
            # The health check of the balancer sends requests to it again; what it says is what the other one wrote.
            await asyncio.sleep(2.0)
            assert (await client.get(f"{first.url}/jobs/{job}")).json() == shown

    asyncio.run(scene())
