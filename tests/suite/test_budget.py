"""A run never passes its budget, waits as it is told, stops at a target that is down, and says what it left out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_api import Asked, Reply, api, completion, prompt_tokens

from conformance.budget import Budget, Ledger, OverBudget, Price, Share, most_of
from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence
from conformance.gather import gather, plan
from conformance.registry import CHECKS, load_all
from conformance.run import BREAKER
from conformance.target import Limits, Target

load_all()
DIALECT = load_dialect("openai-chat")
ALL = plan(CHECKS.values(), DIALECT, Target("http://127.0.0.1:1", "openai-chat"))
SOME = replace(ALL, probes=tuple(p for p in ALL.probes if p.name in ("baseline", "stream_twin", "output_limit", "unknown_model")))  # fmt: skip


def run(url: str, planned: Any = SOME, **more: Any) -> Evidence:
    target = Target(url, "openai-chat", model="m", limits=Limits(total=5.0), **more)
    return asyncio.run(gather(target, DIALECT, planned))


def account(evidence: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = evidence.target["budget"]
    return found


# ---- the ledger


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), max_size=30
    ),
    st.integers(1, 300),
)
def test_what_is_reserved_never_passes_the_budget(
    calls: list[tuple[int, int, int, int]], tokens: int
) -> None:
    ledger = Ledger(Budget(tokens=tokens), None)
    for most_in, most_out, took_in, took_out in calls:
        most = Share(most_in, most_out)
        try:
            ledger.reserve(most)
        except OverBudget:
            continue
        ledger.settle(most, Share(min(took_in, most_in), min(took_out, most_out)))
        spent = ledger.spent()
        assert spent["input_tokens"] + spent["output_tokens"] <= tokens


def test_money_is_reserved_at_its_price() -> None:
    ledger = Ledger(Budget(cost=0.001), Price(1.0, 10.0))
    ledger.reserve(Share(100, 50))  # 0.0006
    with pytest.raises(
        OverBudget, match=r"0\.001 US dollars has no room for the next call: 0\.0006 are spent"
    ):
        ledger.reserve(Share(0, 50))
    ledger.settle(Share(100, 50), Share(100, 0))
    ledger.reserve(Share(0, 50))
    assert ledger.spent()["usd"] == 0.0006


def test_a_call_without_tokens_needs_no_room() -> None:
    ledger = Ledger(Budget(tokens=1), None)
    ledger.reserve(Share())
    with pytest.raises(OverBudget):
        ledger.reserve(Share(1, 1))
    assert ledger.calls == 1


@pytest.mark.parametrize(
    ("operation", "params", "most"),
    [
        ("models", {}, Share()),
        ("chat", {"max_output_tokens": 8}, Share(42, 8)),
        ("chat_stream", {}, Share(42, 1024)),
        ("chat", {"max_output_tokens": -1}, Share(42, 1024)),
        ("agent_run", {}, Share(42, 1024)),
        ("submit_job", {}, Share(42, 1024)),
        ("chat_socket", {"max_output_tokens": 8}, Share(42, 8)),
        ("raw", {}, Share()),
    ],
)
def test_the_most_that_a_call_takes(operation: str, params: dict[str, Any], most: Share) -> None:
    assert most_of(operation, params, b"0123456789") == most


# ---- whole runs


def test_no_call_more_than_granted() -> None:
    with api(completion) as (url, asked):
        evidence = run(url, ALL, max_calls=7)
    assert len(asked) == 7 == account(evidence)["spent"]["calls"]
    assert account(evidence)["ended"] == "the budget of 7 calls is used up"
    stopped = {r.name for r in evidence.probes.values() if r.outcome == "stopped"}
    assert set(account(evidence)["unfinished"]) == stopped != set()


@pytest.mark.parametrize("tokens", [250, 700, 1500])
def test_no_token_more_than_granted(tokens: int) -> None:
    """The server takes as much as a call allows it; what it counts is the truth."""
    counted: list[int] = []

    def counting(asked: Asked) -> Reply:
        if not asked.path.endswith("/chat/completions") or not isinstance(asked.body, dict):
            return Reply({"error": {"message": "no"}}, 400)
        counted.append(prompt_tokens(asked) + int(asked.body.get("max_tokens") or 16))
        return completion(asked)

    with api(counting) as (url, _):
        evidence = run(url, ALL, budget=Budget(tokens=tokens))
    spent = account(evidence)["spent"]
    assert spent["input_tokens"] + spent["output_tokens"] <= tokens
    assert 0 < sum(counted) <= tokens
    assert account(evidence)["ended"].startswith(f"the budget of {tokens} tokens has no room left")


def test_no_second_more_than_granted() -> None:
    def slow(asked: Asked) -> Reply:
        time.sleep(0.4)
        return completion(asked)

    began = time.monotonic()
    with api(slow) as (url, _):
        evidence = run(url, budget=Budget(seconds=1.0), concurrency=1)
    assert time.monotonic() - began < 4.0
    assert account(evidence)["ended"] == "the budget of 1 s is used up"
    assert account(evidence)["unfinished"]


def test_enough_is_enough() -> None:
    with api(completion) as (url, _):
        evidence = run(url, max_calls=40, budget=Budget(tokens=100_000, seconds=60.0))
    assert (account(evidence)["ended"], account(evidence)["unfinished"]) == ("", [])
    assert account(evidence)["granted"] == {"calls": 40, "tokens": 100_000, "seconds": 60.0}


def test_a_wait_that_is_asked_for_is_kept() -> None:
    times: list[float] = []

    def limited(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply({"data": []})
        times.append(time.monotonic())
        if len(times) == 1:
            return Reply(
                {"error": {"message": "x", "code": "rate_limit_exceeded"}}, 429, {"Retry-After": "1"}
            )
        return completion(asked)

    only = replace(SOME, probes=tuple(p for p in SOME.probes if p.name == "baseline"))
    with api(limited) as (url, _):
        evidence = run(url, only)
    assert times[1] - times[0] >= 1.0
    assert [e.role for e in evidence.exchanges if e.operation == "chat"] == ["chat!429", "chat"]


def test_a_target_that_is_down_is_left_alone() -> None:
    evidence = run("http://127.0.0.1:9", ALL)
    assert BREAKER <= len(evidence.exchanges) <= BREAKER + 6  # those under way at the time
    stopped = [r for r in evidence.probes.values() if r.outcome == "stopped"]
    assert stopped
    assert all("the target is down" in r.reason for r in stopped)
