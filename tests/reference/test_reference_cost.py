"""Cost: estimates that come true, budgets that end, slots that are freed, usage by trace."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import http_sf
import httpx
import pytest
from reference_server import OTHER_KEY, ReferenceServer, chat, error, events

from reference_impl.accounting import microunits
from reference_impl.settings import BUDGET, DEMO_CREDENTIALS, PRODUCTION, Allowance, Settings, credential

BUDGET_KEY = "sk-demo-budget"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def level(answer: httpx.Response, policy: str, field: str = "ratelimit") -> dict[str, Any]:
    members = http_sf.parse(answer.headers[field].encode(), tltype="list")
    return next(dict(parameters) for name, parameters in members if name == policy)


@pytest.fixture
def poor() -> Iterator[ReferenceServer]:
    """A server whose budget key has 60 millionths in two seconds, and two slots."""
    tier = dataclasses.replace(BUDGET, cost=Allowance(60, 2))
    credentials = (credential(BUDGET_KEY, "budget", tier), *DEMO_CREDENTIALS[:2])
    with ReferenceServer(Settings(credentials=credentials)) as running:
        yield running


@pytest.mark.parametrize("model", ["atlas-1", "atlas-mini-2026-03-01", "atlas-0", None])
def test_an_estimate_comes_true(client: httpx.Client, model: str | None) -> None:
    session_id = client.post("/sessions", json={}).json()["session_id"]
    client.post("/chat", json=chat("Remember the number seven.", session_id=session_id))
    body = {
        "messages": [
            {"role": "system", "content": "Be exact."},
            {"role": "user", "content": "Repeat exactly: a b c"},
        ],
        "session_id": session_id,
        "max_output_tokens": 20,
        **({} if model is None else {"model": model}),
    }
    told = client.post("/estimate", json=body).json()
    counted = client.post("/count-tokens", json=body).json()
    real = client.post("/chat", json=body).json()["metadata"]
    assert told["input_tokens"] == counted["input_tokens"] == real["tokens_used"]["input"]
    assert told["model_version"] == counted["model_version"] == real["model_version"]
    assert told["context"] == real["context"]
    assert told["max_output_tokens"] == 20 >= real["tokens_used"]["output"]
    assert Decimal(told["cost"]["min"]) <= Decimal(real["cost"]["amount"]) <= Decimal(told["cost"]["max"])
    assert (told["cost"]["currency"], told["price_version"]) == (
        real["cost"]["currency"],
        real["cost"]["price_version"],
    )
    assert told["exact"] is True


def test_an_estimate_takes_and_changes_nothing(client: httpx.Client) -> None:
    session_id = client.post("/sessions", json={}).json()["session_id"]
    before = client.get("/models")
    for _ in range(3):
        after = client.post("/estimate", json=chat(session_id=session_id))
    for policy in ("tokens", "cost"):
        assert level(before, policy)["r"] == level(after, policy)["r"]
    assert client.get(f"/sessions/{session_id}").json()["messages"] == []


def test_an_estimate_is_refused_like_the_request(client: httpx.Client) -> None:
    error(client.post("/estimate", json=chat(model="nobody")), 404, "MODEL_NOT_FOUND")
    error(client.post("/estimate", json={}), 400, "INVALID_REQUEST")
    too_long = chat("word " * 3000, model="atlas-mini")
    error(client.post("/estimate", json=too_long), 400, "CONTEXT_LENGTH_EXCEEDED")


def test_the_budget_goes_down_by_what_the_answer_told(poor: ReferenceServer) -> None:
    with poor.client(OTHER_KEY) as caller:
        before = caller.get("/models")
        answers = [
            caller.post("/chat", json=chat("Repeat exactly: a b c", model="atlas-mini")),
            caller.post("/chat", json=chat("Repeat exactly: a b c")),
            caller.post("/classify", json={"text": "my invoice"}),
        ]
        after = caller.get("/models")
    costs = [Decimal(a.json()["metadata"]["cost"]["amount"]) for a in answers]
    assert costs[:2] == [Decimal("0.0000021"), Decimal("0.000021")]
    assert level(before, "cost")["r"] - level(after, "cost")["r"] == sum(map(microunits, costs))
    assert microunits(costs[0]) == 3


def test_a_used_up_budget_refuses_until_it_is_renewed(poor: ReferenceServer) -> None:
    body = chat("Repeat exactly: " + "word " * 8)
    with poor.client(BUDGET_KEY) as caller:
        assert caller.post("/chat", json=body).status_code == 200
        assert caller.post("/chat", json=body).status_code == 200
        refused = caller.post("/chat", json=body)
        details = error(refused, 429, "BUDGET_EXCEEDED")["details"]
        assert (details["policy"], details["unit"], details["limit"]) == ("cost", "cost-microunits", 60)
        assert (details["currency"], details["tier"]) == ("USD", "budget")
        assert error(caller.post("/chat", json={**body, "stream": True}), 429, "BUDGET_EXCEEDED")
        assert error(caller.post("/classify", json={"text": "invoice"}), 429, "BUDGET_EXCEEDED")
        problem = caller.post("/chat", json=body, headers={"Accept": "application/problem+json"}).json()
        assert problem["code"] == "BUDGET_EXCEEDED"
        assert problem["violated-policies"] == ["cost"]
        assert level(caller.get("/models"), "cost")["r"] == 0
        poor.ask(lambda: asyncio.sleep(int(refused.headers["retry-after"])))
        assert caller.post("/chat", json=body).status_code == 200


def test_a_long_wait_for_the_budget_is_not_slept() -> None:
    tier = dataclasses.replace(PRODUCTION, cost=Allowance(10, 3600))
    settings = Settings(credentials=(credential("sk-a", "a", tier),))
    with ReferenceServer(settings) as running, running.client("sk-a") as caller:
        caller.post("/chat", json=chat("Hi"))
        refused = caller.post("/chat", json=chat("Hi"))
        error(refused, 429, "BUDGET_EXCEEDED")
        assert int(refused.headers["retry-after"]) > 60
        assert refused.headers["x-should-retry"] == "false"


def test_too_many_at_once_are_refused_by_name_and_slots_come_back(poor: ReferenceServer) -> None:
    slow = chat("Hi", stream=True, max_output_tokens=12, sandbox={"scenario": "slow_tokens", "delay_ms": 100})
    with poor.client(BUDGET_KEY) as one, poor.client(BUDGET_KEY) as two, poor.client(BUDGET_KEY) as three:
        with (
            one.stream("POST", "/chat", json=slow) as first,
            two.stream("POST", "/chat", json=slow) as second,
        ):
            reading = [answer.iter_lines() for answer in (first, second)]
            assert [next(lines) for lines in reading] == ["event: metadata"] * 2
            refused = three.get("/models")
            details = error(refused, 429, "RATE_LIMITED")["details"]
            assert (details["policy"], details["unit"], details["limit"]) == (
                "concurrent",
                "concurrent-requests",
                2,
            )
            assert details["window_seconds"] is None
            assert refused.headers["retry-after"] == "1"
            assert level(refused, "concurrent") == {"r": 0}
            assert level(refused, "concurrent", "ratelimit-policy") == {"q": 2, "qu": "concurrent-requests"}
        poor.eventually(lambda: poor.app.services.engine.gauge.active == 0)

        async def until_free() -> int:
            async with asyncio.timeout(5):
                while True:
                    answer = await asyncio.to_thread(three.get, "/models")
                    if answer.status_code == 200 and level(answer, "concurrent") != {"r": 0}:
                        return int(level(answer, "concurrent")["r"])

        # The request that asks holds one of the two itself.
        assert poor.ask(until_free) == 1


def test_overload_is_not_a_limit_of_the_caller() -> None:
    with ReferenceServer(Settings(max_generations=0)) as running, running.client() as caller:
        for body in (chat(), chat(stream=True)):
            refused = caller.post("/chat", json=body)
            assert error(refused, 503, "MODEL_OVERLOADED")["details"]["policy"] == "capacity"
            assert refused.headers["retry-after"] == "1"
        problem = caller.post("/chat", json=chat(), headers={"Accept": "application/problem+json"})
        assert problem.json()["violated-policies"] == ["capacity"]
        assert caller.get("/models").status_code == 200


def traced(trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}


def test_usage_is_found_by_trace_and_principal(reference: ReferenceServer, client: httpx.Client) -> None:
    headers = traced(TRACE)
    plain = client.post("/chat", json=chat(), headers=headers).json()["metadata"]
    done = events(client.post("/chat", json=chat(stream=True), headers=headers).text)[-1]["metadata"]
    sorted_ = client.post("/classify", json={"text": "my invoice"}, headers=headers).json()["metadata"]
    client.post("/chat", json=chat(model="nobody"), headers=headers)
    report = client.get("/usage", params={"trace_id": TRACE}).json()
    told = [(e["request_id"], e["tokens_used"], e["cost"], e["model_version"]) for e in report["data"]]
    assert told == [
        (m["request_id"], m["tokens_used"], m["cost"], m["model_version"]) for m in (plain, done, sorted_)
    ]
    assert [e["operation"] for e in report["data"]] == ["chat", "chat", "classify"]
    total = sum(Decimal(m["cost"]["amount"]) for m in (plain, done, sorted_))
    assert Decimal(report["total"]["cost"]["amount"]) == total
    with reference.client(OTHER_KEY) as other:
        assert other.get("/usage", params={"trace_id": TRACE}).json()["data"] == []
    assert client.get("/usage", params={"trace_id": "f" * 32}).json()["data"] == []


def test_a_replay_is_no_usage(client: httpx.Client) -> None:
    trace_id = "a" * 31 + "1"
    headers = {**traced(trace_id), "Idempotency-Key": "usage-once"}
    for _ in range(3):
        client.post("/chat", json=chat(), headers=headers)
    assert len(client.get("/usage", params={"trace_id": trace_id}).json()["data"]) == 1


@pytest.mark.parametrize("trace_id", [None, "", "x", "A" * 32, "a" * 33])
def test_usage_wants_a_trace_id(client: httpx.Client, trace_id: str | None) -> None:
    params = {} if trace_id is None else {"trace_id": trace_id}
    error(client.get("/usage", params=params), 400, "INVALID_REQUEST")


def test_usage_survives_a_restart_also_when_nobody_looked(tmp_path: Path) -> None:
    settings = Settings(database=str(tmp_path / "state.sqlite"))
    with ReferenceServer(settings) as running, running.client() as client:
        client.post("/chat", json=chat(), headers=traced(TRACE))
    with ReferenceServer(settings) as running, running.client() as client:
        assert len(client.get("/usage", params={"trace_id": TRACE}).json()["data"]) == 1
    with (
        ReferenceServer(dataclasses.replace(settings, usage_retention_s=-1)) as running,
        running.client() as client,
    ):
        client.post("/chat", json=chat(), headers=traced("b" * 32))
        assert client.get("/usage", params={"trace_id": "b" * 32}).json()["data"] == []


def test_usage_is_written_without_being_asked_for(reference: ReferenceServer, client: httpx.Client) -> None:
    usage = reference.app.services.usage
    client.post("/chat", json=chat())
    reference.eventually(lambda: usage._pending == [])
