"""Limits: told on every answer, enforced with 429, and honest about when to come back."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator

import http_sf
import httpx
import pytest
from reference_server import LIMITED_KEY, OTHER_KEY, ReferenceServer, chat, error

from reference_impl.settings import DEVELOPMENT, PRODUCTION, Allowance, Settings, credential

SMALL = dataclasses.replace(DEVELOPMENT, requests=Allowance(3, 2), tokens=Allowance(60, 2))


@pytest.fixture
def small() -> Iterator[ReferenceServer]:
    """A server whose limited key allows 3 requests and 60 tokens in two seconds."""
    credentials = (credential(LIMITED_KEY, "limited", SMALL), credential(OTHER_KEY, "other", PRODUCTION))
    with ReferenceServer(Settings(credentials=credentials)) as running:
        yield running


def parsed(response: httpx.Response, name: str) -> dict[str, dict[str, object]]:
    """A RateLimit or RateLimit-Policy header as RFC 9651 sees it."""
    members = http_sf.parse(response.headers[name].encode(), tltype="list")
    return {value: dict(parameters) for value, parameters in members}


def test_every_authenticated_answer_tells_the_limits(reference: ReferenceServer) -> None:
    with reference.client(OTHER_KEY) as caller:
        for answer in (
            caller.get("/models"),
            caller.post("/chat", json=chat()),
            caller.post("/chat", json=chat(stream=True)),
            caller.post("/chat", json={}),
            caller.get("/nowhere"),
            caller.delete("/chat"),
            caller.post("/chat", content=b"x", headers={"Content-Type": "text/plain"}),
        ):
            assert answer.headers["ratelimit-policy"] == (
                '"requests";q=6000;w=60, "tokens";q=2000000;qu="tokens";w=60, '
                '"cost";q=50000000;qu="cost-microunits";w=86400, "concurrent";q=64;qu="concurrent-requests"'
            )
            assert parsed(answer, "ratelimit").keys() == parsed(answer, "ratelimit-policy").keys()


def test_the_fields_agree_with_their_aliases(reference: ReferenceServer) -> None:
    with reference.client(OTHER_KEY) as caller:
        answer = caller.post("/chat", json=chat())
    standing, policy = parsed(answer, "ratelimit"), parsed(answer, "ratelimit-policy")
    for name in ("requests", "tokens"):
        assert answer.headers[f"x-ratelimit-limit-{name}"] == str(policy[name]["q"])
        assert answer.headers[f"x-ratelimit-remaining-{name}"] == str(standing[name]["r"])
        assert answer.headers[f"x-ratelimit-reset-{name}"] == f"{standing[name]['t']}s"
        assert 0 < int(str(standing[name]["t"])) <= int(str(policy[name]["w"]))


def test_requests_count_one_and_tokens_what_was_used(small: ReferenceServer) -> None:
    with small.client(OTHER_KEY) as caller:
        before = parsed(caller.get("/models"), "ratelimit")
        answer = caller.post("/chat", json=chat("Repeat exactly: a b c"))
    after = parsed(answer, "ratelimit")
    used = answer.json()["metadata"]["tokens_used"]
    assert used == {"input": 9, "output": 3, "total": 12, "cached_input": 0, "reasoning_output": 0}
    assert int(str(before["requests"]["r"])) - int(str(after["requests"]["r"])) == 1
    assert int(str(before["tokens"]["r"])) - int(str(after["tokens"]["r"])) == 12


def test_a_stream_is_charged_like_its_twin(small: ReferenceServer) -> None:
    with small.client(OTHER_KEY) as caller:
        before = parsed(caller.get("/models"), "ratelimit")
        caller.post("/chat", json=chat("Repeat exactly: a b c", stream=True))
        after = parsed(caller.get("/models"), "ratelimit")
    assert int(str(before["tokens"]["r"])) - int(str(after["tokens"]["r"])) == 12


def test_rejected_requests_use_no_tokens(small: ReferenceServer) -> None:
    with small.client(OTHER_KEY) as caller:
        before = parsed(caller.get("/models"), "ratelimit")
        caller.post("/chat", json=chat(model="nobody"))
        caller.post("/chat", json=chat(sandbox={"scenario": "content_filter_input"}))
        caller.post("/classify", json={"text": "hm", "min_confidence": 0.99})
        after = parsed(caller.get("/models"), "ratelimit")
    assert after["tokens"]["r"] == before["tokens"]["r"]
    assert int(str(before["requests"]["r"])) - int(str(after["requests"]["r"])) == 4


def refused_request(caller: httpx.Client, *, stream: bool = False) -> httpx.Response:
    """The first answer after the request limit is used up."""
    for _ in range(3):
        assert caller.get("/models").status_code == 200
    return caller.post("/chat", json=chat(stream=stream))


@pytest.mark.parametrize("stream", [False, True])
def test_one_request_too_many_is_429_and_waiting_as_told_helps(small: ReferenceServer, stream: bool) -> None:
    with small.client(LIMITED_KEY) as caller:
        refused = refused_request(caller, stream=stream)
        envelope = error(refused, 429, "RATE_LIMITED")
        assert envelope["retryable"] is True
        details = envelope["details"]
        retry_after = int(refused.headers["retry-after"])
        assert details.pop("suggestion")
        assert details == {
            "policy": "requests",
            "unit": "requests",
            "limit": 3,
            "remaining": 0,
            "window_seconds": 2,
            "tier": "development",
            "retry_after_seconds": retry_after,
        }
        assert retry_after >= int(str(parsed(refused, "ratelimit")["requests"]["t"])) >= 1
        small.ask(lambda: asyncio.sleep(retry_after))
        assert caller.get("/models").status_code == 200


def test_refused_requests_do_not_prolong_the_window(small: ReferenceServer) -> None:
    with small.client(LIMITED_KEY) as caller:
        started = time.monotonic()
        refused_request(caller)
        while caller.get("/models").status_code == 429:
            assert time.monotonic() - started < 8
        assert time.monotonic() - started < 2.5


def test_tokens_run_out_while_requests_remain(small: ReferenceServer) -> None:
    with small.client(LIMITED_KEY) as caller:
        text = "Repeat exactly: " + "word " * 30
        assert caller.post("/chat", json=chat(text)).status_code == 200
        refused = caller.post("/chat", json=chat(text))
        details = error(refused, 429, "TOKEN_LIMIT_EXCEEDED")["details"]
        assert (details["policy"], details["unit"], details["limit"]) == ("tokens", "tokens", 60)
        assert int(str(parsed(refused, "ratelimit")["requests"]["r"])) == 1
        small.ask(lambda: asyncio.sleep(int(refused.headers["retry-after"])))
        assert caller.post("/chat", json=chat(text)).status_code == 200


def test_an_input_over_the_whole_limit_is_told_that_waiting_is_useless(small: ReferenceServer) -> None:
    with small.client(LIMITED_KEY) as caller:
        refused = caller.post("/chat", json=chat("word " * 61))
    assert "Shorten" in error(refused, 429, "TOKEN_LIMIT_EXCEEDED")["details"]["suggestion"]
    assert refused.headers["x-should-retry"] == "false"


def test_one_caller_does_not_use_up_anothers_limit(small: ReferenceServer) -> None:
    with small.client(LIMITED_KEY) as caller, small.client(OTHER_KEY) as other:
        error(refused_request(caller), 429, "RATE_LIMITED")
        assert other.get("/models").status_code == 200


def test_an_exhausted_caller_is_refused_on_any_path(small: ReferenceServer) -> None:
    with small.client(LIMITED_KEY) as caller:
        refused_request(caller)
        error(caller.get("/nowhere"), 429, "RATE_LIMITED")


def test_unauthenticated_requests_are_not_counted(small: ReferenceServer) -> None:
    with small.client("sk-wrong") as stranger, small.client(LIMITED_KEY) as caller:
        for _ in range(5):
            assert stranger.get("/models").status_code == 401
        assert caller.get("/models").headers["x-ratelimit-remaining-requests"] == "2"


def test_limits_can_be_switched_off() -> None:
    with ReferenceServer(Settings(rate_limits=False)) as running, running.client(LIMITED_KEY) as caller:
        answers = [caller.get("/models") for _ in range(8)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
        assert "rate_limits" not in caller.get("/capabilities").json()["capabilities"]
