"""What is not offered is not failed: by the tester's word, or by the target's own list of capabilities."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from conformance.dialects.model import load_dialect
from conformance.evidence import Chunk, Evidence, Exchange, ProbeRecord, Sent
from conformance.judge import judge
from conformance.offers import as_declared, as_seen
from conformance.registry import CHECKS, load_all
from conformance.target import Declared
from conformance.verdict import Result
from spec.catalogue import requirements

load_all()
CONTRACT = load_dialect("contract")


def evidence(listed: Any = None, declared: Any = None, status: int = 200) -> Evidence:
    raw = json.dumps({"capabilities": listed}).encode()
    told = Exchange(
        "x0001", "self_description", "public:capabilities", "capabilities", "none", {},
        Sent("GET", "http://127.0.0.1/capabilities"), time.time(), status, "HTTP/1.1",
        (("Content-Type", "application/json"),), 0.1, (Chunk(0.1, raw),), 0.1,
    )  # fmt: skip
    target = {"base_url": "http://127.0.0.1", **({"declared": declared} if declared else {})}
    record = ProbeRecord("self_description", "done")
    return Evidence(
        target, "contract", 0.0, 0.0, {"self_description": record}, (told,) if listed is not None else ()
    )


def state(found: Evidence, capability: str) -> str:
    return as_seen(found, CONTRACT).offer(capability).state


def test_what_the_target_does_not_list_is_not_offered() -> None:
    found = evidence({"core": {}, "streaming": {"turns": False}, "confidence": {}})
    assert [state(found, c) for c in ("idempotency", "rate_limits.tokens", "streaming.turns")] == [
        "not_offered"
    ] * 3
    assert [state(found, c) for c in ("core", "streaming", "confidence", "usage", "trace")] == ["offered"] * 5
    [verdict] = judge(found, CONTRACT, [requirements()["IDEM-01"]], CHECKS)
    assert (verdict.result, "GET /capabilities does not list it" in verdict.detail) == (
        Result.NOT_OFFERED,
        True,
    )


def test_parts_of_a_capability_are_offered_as_it_says() -> None:
    told = {"core": {}, "context": {"strategies": ["error"]}, "rate_limits": {"tiers": [{"name": "a"}]}}
    parts = ("context.summarize", "rate_limits.cost", "classify")
    assert [state(evidence(told), part) for part in parts] == ["not_offered"] * 3
    whole = {
        "core": {},
        "confidence": {},
        "context": {"strategies": ["error", "summarize"]},
        "rate_limits": {"tiers": [{"name": "a"}, {"name": "b", "cost": {}}]},
    }
    unreadable = {"core": {}, "confidence": {}, "context": {"strategies": 1}, "rate_limits": {}}
    for listed in (whole, unreadable):
        assert [state(evidence(listed), part) for part in parts] == ["offered"] * 3


@pytest.mark.parametrize("listed", [None, {}, [], "x", {"streaming": {}}])
def test_a_list_that_is_none_hides_nothing(listed: Any) -> None:
    """A broken description is a finding of its own; it excuses no other."""
    assert state(evidence(listed), "idempotency") == "offered"


def test_an_error_is_no_list() -> None:
    assert state(evidence({"core": {}}, status=500), "idempotency") == "offered"


def test_the_tester_has_the_last_word() -> None:
    declared = {"capabilities": {"idempotency": "offered", "streaming": "not_offered"}, "provocations": {}}
    found = evidence({"core": {}, "streaming": {}}, declared)
    assert (state(found, "idempotency"), state(found, "streaming")) == ("offered", "not_offered")


def test_only_the_contract_has_such_a_list() -> None:
    chat = load_dialect("openai-chat")
    assert as_seen(evidence({"core": {}}), chat).offer("streaming").state == "offered"


def test_declarations_add_to_the_dialect() -> None:
    chat = load_dialect("openai-chat")
    mine = as_declared(chat, Declared({"models": "not_offered"}, {"content_filter_input": {"prompt": "x"}}))
    assert mine.offer("models").state == "not_offered"
    assert mine.provocations == {**chat.provocations, "content_filter_input": {"prompt": "x"}}
    assert as_declared(chat, Declared()) == chat
