"""Agents and WebSockets are admitted, limited and accounted for like every other answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from reference_server import ReferenceServer, error
from test_reference_agents import decide, record, run
from test_reference_sockets import answer, ask, heard, opened

from reference_impl.settings import BUDGET, Allowance, Settings, credential

BUDGET_KEY = "sk-demo-budget"
NARROW_KEY = "sk-demo-narrow"
SLOW = {"sandbox": {"scenario": "slow_tokens", "delay_ms": 50}, "max_output_tokens": 64}


def traced(trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}


def usage(client: httpx.Client, trace_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/usage", params={"trace_id": trace_id}).json()["data"]
    return found


def told(answers: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(m["request_id"], m["tokens_used"], m["cost"], m["model_version"]) for m in answers]


@pytest.fixture(scope="module")
def poor() -> Iterator[ReferenceServer]:
    """A server whose budget key has 60 millionths, for longer than the tests take, and two slots."""
    tier = dataclasses.replace(BUDGET, cost=Allowance(60, 600))
    with ReferenceServer(Settings(credentials=(credential(BUDGET_KEY, "budget", tier),))) as running:
        yield running


def test_a_run_and_its_continuation_are_in_the_usage(client: httpx.Client) -> None:
    trace_id = "b" * 31 + "1"
    client.headers.update(traced(trace_id))
    waiting = run(client, record("accounted"))
    after = decide(client, waiting, approve=True)
    client.get(f"/agent/runs/{after.json()['id']}")
    entries = usage(client, trace_id)
    assert [e["operation"] for e in entries] == ["agent", "agent"]
    assert told(entries) == told([waiting.json()["metadata"], after.json()["metadata"]])


def test_a_run_that_breaks_is_in_the_usage_too(client: httpx.Client) -> None:
    trace_id = "b" * 31 + "2"
    client.headers.update(traced(trace_id))
    broken = run(client, 'Call calculator {"expression": "1"}', sandbox={"scenario": "tool_failure"})
    error(broken, 424, "TOOL_EXECUTION_FAILED")
    assert [e["tokens_used"]["input"] > 0 for e in usage(client, trace_id)] == [True]


def test_a_run_needs_a_budget_and_a_slot(poor: ReferenceServer) -> None:
    with poor.client(BUDGET_KEY) as caller:
        codes = [run(caller, "What is 6 * 7?").status_code for _ in range(8)]
        error(run(caller, "What is 6 * 7?"), 429, "BUDGET_EXCEEDED")
    assert codes[0] == 200
    assert codes == sorted(codes)


def test_a_run_needs_the_scope_of_its_model(reference: ReferenceServer) -> None:
    with reference.client(NARROW_KEY) as caller:
        refused = error(run(caller, "What is 6 * 7?", model="atlas-1"), 403, "INSUFFICIENT_SCOPE")
        assert refused["details"]["required_scopes"] == ["models:atlas-1-2026-06-01:invoke"]
        assert run(caller, "Hello", model="atlas-mini").status_code == 200


def test_answers_on_a_socket_are_in_the_usage(reference: ReferenceServer, client: httpx.Client) -> None:
    trace_id = "c" * 31 + "1"
    with opened(reference, **traced(trace_id)) as socket:
        ask(socket, "Repeat exactly: one two")
        done = answer(socket)[-1]
        ask(socket, "Tell me a story", **SLOW)
        while heard(socket)["type"] != "token":
            pass
        socket.send(json.dumps({"type": "cancel", "message_id": "m"}))
        cancelled = answer(socket)[-1]
    assert (done["type"], cancelled["type"]) == ("done", "cancelled")
    entries = usage(client, trace_id)
    assert [e["operation"] for e in entries] == ["chat", "chat"]
    assert told(entries) == told([done["metadata"], cancelled["metadata"]])


def test_a_socket_needs_the_scope_of_the_model(reference: ReferenceServer) -> None:
    with opened(reference, NARROW_KEY) as socket:
        ask(socket, "Hello", model="atlas-1")
        assert answer(socket)[-1]["error"]["code"] == "INSUFFICIENT_SCOPE"
        ask(socket, "Hello", model="atlas-mini")
        assert answer(socket)[-1]["type"] == "done"


def test_an_open_socket_holds_no_slot_and_an_answer_on_it_does(reference: ReferenceServer) -> None:
    with (
        opened(reference, BUDGET_KEY) as socket,
        opened(reference, BUDGET_KEY),
        opened(reference, BUDGET_KEY),
    ):
        for name in ("one", "two", "three"):
            ask(socket, "Repeat exactly: a b c d e f", message_id=name, model="atlas-mini", **SLOW)
        events = [e for _ in range(3) for e in answer(socket)]
        # Which of them is one too many, only a single process decides by their order.
        endings = [e for e in events if e["type"] in ("done", "error")]
        assert sorted(e["type"] for e in endings) == ["done", "done", "error"]
        (refused,) = [e for e in endings if e["type"] == "error"]
        assert refused["error"]["details"]["policy"] == "concurrent"
        for _ in range(50):  # where slots are shared, one comes back a moment after the answer
            ask(socket, "Repeat exactly: a", model="atlas-mini")
            if answer(socket)[-1]["type"] == "done":
                break
        else:
            pytest.fail("no slot came back")


def test_a_session_goes_on_over_a_socket(reference: ReferenceServer, client: httpx.Client) -> None:
    own = client.post("/sessions", json={}).json()["session_id"]
    with opened(reference) as socket:
        for words in ("one two", "three"):
            ask(socket, f"Repeat exactly: {words}", session_id=own)
            assert answer(socket)[-1]["text"] == words
        ask(socket, "Tell me a story", session_id=own, **SLOW)
        while heard(socket)["type"] != "token":
            pass
        ask(socket, "And me", message_id="busy", session_id=own)
        busy = next(e for e in iter(lambda: heard(socket), None) if e["reply_to"] == "busy")
        assert busy["error"]["code"] == "SESSION_BUSY"
        socket.send(json.dumps({"type": "cancel", "message_id": "m"}))
        assert answer(socket)[-1]["type"] == "cancelled"
        ask(socket, "Hi", session_id="sess_nobody")
        assert answer(socket)[-1]["error"]["code"] == "SESSION_NOT_FOUND"
    # The cancelled turn is no part of the conversation, and does not hold it.
    after = {"messages": [{"role": "user", "content": "Repeat exactly: four"}], "session_id": own}
    assert client.post("/chat", json=after).status_code == 200
    told_now = client.get(f"/sessions/{own}").json()["messages"]
    assert [m["content"] for m in told_now if m["role"] == "assistant"] == ["one two", "three", "four"]
