"""What one probe has asked, the next need not ask again; unless the answer says nothing about the next attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from scripted_api import Asked, Reply, api, completion

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence, ProbeRecord, Sent
from conformance.reading import Reading, probed, readings_of
from conformance.run import Run, RunStopped
from conformance.session import Session
from conformance.sharing import Sharing
from conformance.target import Target
from conformance.wire.http import Wire

DIALECT = load_dialect("openai-chat")
ASKED = {"prompt": "Say yes.", "max_output_tokens": 16}


def shared(statuses: Sequence[int], *, at_once: bool = False, provoked: bool = False) -> tuple[Evidence, int]:
    """Two probes share one request to an API that answers with these statuses in order; how often it was asked."""
    left = list(statuses)

    def answering(asked: Asked) -> Reply:
        status = left.pop(0)
        return completion(asked) if status == 200 else Reply({"error": {"message": "x"}}, status)

    async def gather(url: str) -> Evidence:
        async with Wire() as wire:
            run = Run(Target(url, "openai-chat", model="m"), DIALECT, wire)
            sessions = [Session(run, name) for name in ("one", "two")]
            calls = [
                s.shared("chat", f"of_{s.record('done').name}", provoked=provoked, **ASKED) for s in sessions
            ]
            if at_once:
                await asyncio.gather(*calls)
            else:
                for call in calls:
                    await call
            records = {r.name: r for r in (s.record("done") for s in sessions)}
            return Evidence({}, "openai-chat", 0.0, 1.0, records, tuple(run.exchanges))

    with api(answering) as (url, asked):
        return asyncio.run(gather(url)), len(asked)


@pytest.mark.parametrize("at_once", [False, True])
def test_an_equal_request_is_sent_once_and_is_evidence_of_both(at_once: bool) -> None:
    evidence, sent = shared([200, 200], at_once=at_once)
    assert (sent, len(evidence.exchanges)) == (1, 1)
    readings = readings_of(evidence, DIALECT)
    for name in ("one", "two"):
        reading = probed(evidence, readings, name)[f"of_{name}"]
        assert (reading.exchange.id, reading.role, reading.ok) == ("x0001", f"of_{name}", True)
    assert [dict(evidence.probes[n].shared) for n in ("one", "two")] == [{}, {"of_two": "x0001"}]


@pytest.mark.parametrize(("status", "provoked", "sent"), [(400, False, 1), (503, False, 2), (503, True, 1)])
def test_only_what_would_come_again_is_shared(status: int, provoked: bool, sent: int) -> None:
    assert shared([status, 200], provoked=provoked)[1] == sent


def test_who_asks_meanwhile_gets_the_failure_too() -> None:
    assert shared([503, 200], at_once=True)[1] == 1


def test_a_run_that_stops_does_so_for_all_that_wait() -> None:
    async def run() -> list[BaseException | tuple[Reading, bool]]:
        sharing, request = Sharing(), Sent("GET", "http://127.0.0.1:1/")

        async def stopped() -> Reading:
            await asyncio.sleep(0)
            raise RunStopped("the budget is used up")

        asks = (sharing.once(request, stopped, provoked=False) for _ in range(3))
        return await asyncio.gather(*asks, return_exceptions=True)

    assert all(isinstance(r, RunStopped) for r in asyncio.run(run()))


def test_a_record_without_shared_exchanges_is_read_as_before() -> None:
    assert ProbeRecord("old", "done").shared == {}
