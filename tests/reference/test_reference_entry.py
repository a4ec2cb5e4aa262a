"""The outermost layer: whatever breaks inside, the answer is the envelope."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from reference_impl.http.entry import Entry
from reference_impl.policies import default_policies
from reference_impl.settings import Settings


def answered(problem: BaseException) -> httpx.Response:
    async def broken(_scope: object, _receive: object, _send: object) -> None:
        raise problem

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Entry(broken, default_policies(Settings()), {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://reference") as client:
            return await client.get("/api/v1/health")

    return asyncio.run(ask())


@pytest.mark.parametrize("problem", [RuntimeError("a bug"), asyncio.CancelledError()])
def test_a_bug_inside_is_an_envelope(problem: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    answer = answered(problem)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL"
    assert "failed" in caplog.text


def test_a_request_that_is_cancelled_itself_gets_no_answer() -> None:
    async def cancelled() -> bool:
        reached = asyncio.Event()

        async def waiting(_scope: object, _receive: object, _send: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        transport = httpx.ASGITransport(Entry(waiting, default_policies(Settings()), {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://reference") as client:
            asking = asyncio.create_task(client.get("/api/v1/health"))
            await reached.wait()
            asking.cancel()
            await asyncio.wait([asking])
            return asking.cancelled()

    assert asyncio.run(cancelled())
