"""Idempotency keys: at most one execution, and the same bytes for everybody who asks again."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from reference_server import OTHER_KEY, ReferenceServer, chat, error, events

from reference_impl.settings import Settings


@pytest.fixture
def key() -> str:
    """A key nobody has used."""
    return uuid.uuid4().hex


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def test_a_repetition_gets_the_same_bytes_and_says_so(client: httpx.Client, key: str) -> None:
    first = client.post("/chat", json=chat(), headers=keyed(key))
    again = client.post("/chat", json=chat(), headers=keyed(key))
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_a_replay_costs_a_request_and_no_tokens(client: httpx.Client, key: str) -> None:
    first = client.post("/chat", json=chat(), headers=keyed(key))
    again = client.post("/chat", json=chat(), headers=keyed(key))
    tokens, requests = "x-ratelimit-remaining-tokens", "x-ratelimit-remaining-requests"
    assert again.headers[tokens] == first.headers[tokens]
    assert int(again.headers[requests]) == int(first.headers[requests]) - 1


def test_without_a_key_every_call_is_an_execution(client: httpx.Client) -> None:
    first, second = (client.post("/chat", json=chat()) for _ in range(2))
    assert first.json()["id"] != second.json()["id"]
    assert "idempotency" not in first.json()["metadata"]
    assert "cache-status" not in first.headers


def test_the_expiry_is_told_and_a_day_away(client: httpx.Client, key: str) -> None:
    before = datetime.now(UTC)
    metadata = client.post("/chat", json=chat(), headers=keyed(key)).json()["metadata"]
    expires = datetime.fromisoformat(metadata["idempotency"]["expires_at"])
    assert timedelta(hours=24) <= expires - before <= timedelta(hours=24, seconds=10)


def test_another_payload_is_refused(client: httpx.Client, key: str) -> None:
    client.post("/chat", json=chat("one"), headers=keyed(key))
    refused = client.post("/chat", json=chat("two"), headers=keyed(key))
    error(refused, 422, "IDEMPOTENCY_KEY_REUSED")


def test_payloads_are_compared_by_meaning(client: httpx.Client, key: str) -> None:
    first = client.post("/chat", json={**chat(), "temperature": 1}, headers=keyed(key))
    other = b'{ "temperature": 1.0,\n "messages": [{"content":"Tell me s\\u006fmething","role":"user"}] }'
    again = client.post("/chat", content=other, headers={**keyed(key), "Content-Type": "application/json"})
    assert again.content == first.content


def test_a_quoted_key_and_a_key_in_the_body_are_the_same_key(client: httpx.Client, key: str) -> None:
    first = client.post("/chat", json=chat(), headers=keyed(key))
    quoted = client.post("/chat", json=chat(), headers=keyed(f'"{key}"'))
    in_body = client.post("/chat", json=chat(idempotency_key=key))
    both = client.post("/chat", json=chat(idempotency_key=key), headers=keyed(key))
    assert first.content == quoted.content == in_body.content == both.content


def test_contradictory_keys_are_refused(client: httpx.Client, key: str) -> None:
    refused = client.post("/chat", json=chat(idempotency_key=key), headers=keyed(f"not-{key}"))
    error(refused, 400, "IDEMPOTENCY_KEY_CONFLICT")


@pytest.mark.parametrize("bad", ["", "x" * 256, '"open', "caf\xe9", '""'])
def test_a_malformed_key_is_refused(client: httpx.Client, bad: str) -> None:
    refused = client.post("/chat", json=chat(), headers={"Idempotency-Key": bad.encode("latin-1")})
    error(refused, 400, "IDEMPOTENCY_KEY_INVALID")


def test_the_longest_key_is_accepted(client: httpx.Client) -> None:
    assert client.post("/chat", json=chat(), headers=keyed(uuid.uuid4().hex + "k" * 223)).status_code == 200


def test_keys_belong_to_one_caller(reference: ReferenceServer, client: httpx.Client, key: str) -> None:
    mine = client.post("/chat", json=chat(), headers=keyed(key))
    with reference.client(OTHER_KEY) as other:
        theirs = other.post("/chat", json=chat(), headers=keyed(key))
    assert "idempotency-replayed" not in theirs.headers
    assert theirs.json()["id"] != mine.json()["id"]


def test_keys_belong_to_one_operation(client: httpx.Client, key: str) -> None:
    client.post("/chat", json=chat(), headers=keyed(key))
    other = client.post("/classify", json={"text": "my invoice"}, headers=keyed(key))
    assert other.status_code == 200
    assert "idempotency-replayed" not in other.headers


def test_concurrent_duplicates_execute_once(reference: ReferenceServer, key: str) -> None:
    body = chat(sandbox={"scenario": "slow_first_token", "delay_ms": 400})
    together = threading.Barrier(6)

    def send(_: int) -> httpx.Response:
        with reference.client() as caller:
            together.wait()
            return caller.post("/chat", json=body, headers=keyed(key))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    for answer in answers:
        if answer.status_code == 409:
            assert error(answer, 409, "IDEMPOTENCY_IN_PROGRESS")["retryable"] is True
            assert answer.headers["retry-after"] == "1"
    winner = next(answer for answer in answers if answer.status_code == 200)
    with reference.client() as caller:
        assert caller.post("/chat", json=body, headers=keyed(key)).content == winner.content


def test_a_retryable_failure_frees_the_key(client: httpx.Client, key: str) -> None:
    body = chat(sandbox={"scenario": "overloaded"})
    for _ in range(2):
        error(client.post("/chat", json=body, headers=keyed(key)), 503, "MODEL_OVERLOADED")
    assert client.post("/chat", json=chat(), headers=keyed(key)).status_code == 200


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("model_timeout", 504, "MODEL_TIMEOUT"),
        ("fault_midstream", 502, "UPSTREAM_ERROR"),
    ],
)
def test_failures_of_the_execution_free_the_key(
    client: httpx.Client, key: str, scenario: str, status: int, code: str
) -> None:
    failing = chat(sandbox={"scenario": scenario, "delay_ms": 10})
    error(client.post("/chat", json=failing, headers=keyed(key)), status, code)
    assert client.post("/chat", json=chat(), headers=keyed(key)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/classify", {"text": "hm", "min_confidence": 0.99}, 422, "INSUFFICIENT_CONFIDENCE"),
        ("/chat", chat(sandbox={"scenario": "tool_failure"}), 424, "TOOL_EXECUTION_FAILED"),
    ],
)
def test_a_final_failure_of_the_execution_is_replayed(
    client: httpx.Client, key: str, path: str, body: object, status: int, code: str
) -> None:
    first = client.post(path, json=body, headers=keyed(key))
    error(first, status, code)
    again = client.post(path, json=body, headers=keyed(key))
    assert (again.status_code, again.content) == (status, first.content)
    assert again.headers["idempotency-replayed"] == "true"


def test_a_refusal_before_the_execution_leaves_no_trace(client: httpx.Client, key: str) -> None:
    error(client.post("/chat", json=chat(model="nobody"), headers=keyed(key)), 404, "MODEL_NOT_FOUND")
    assert client.post("/chat", json=chat(), headers=keyed(key)).status_code == 200


def test_a_stream_is_replayed_byte_for_byte(client: httpx.Client, key: str) -> None:
    body = chat(stream=True)
    first = client.post("/chat", json=body, headers=keyed(key))
    again = client.post("/chat", json=body, headers=keyed(key))
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "expires_at" in events(first.text)[-1]["metadata"]["idempotency"]


def test_a_cut_stream_goes_on_and_the_retry_replays_it(reference: ReferenceServer, key: str) -> None:
    body = chat("Repeat exactly: one two three four five six", stream=True)
    body["sandbox"] = {"scenario": "slow_tokens", "delay_ms": 60}
    generated = reference.app.services.engine.gauge.generated
    with reference.client() as caller:
        with caller.stream("POST", "/chat", json=body, headers=keyed(key)) as cut:
            chunks = cut.iter_raw()
            head = next(chunks)
        error(caller.post("/chat", json=body, headers=keyed(key)), 409, "IDEMPOTENCY_IN_PROGRESS")
        reference.eventually(lambda: not reference.app.services.runs.active)
        replayed = caller.post("/chat", json=body, headers=keyed(key))
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.content.startswith(head)
    assert events(replayed.text)[-1]["text"] == "one two three four five six"
    assert reference.app.services.engine.gauge.generated - generated == 6


def test_a_stream_that_fails_frees_its_key(client: httpx.Client, key: str) -> None:
    failing = chat(stream=True, sandbox={"scenario": "fault_midstream"})
    for _ in range(2):
        assert events(client.post("/chat", json=failing, headers=keyed(key)).text)[-1]["type"] == "error"
    assert client.post("/chat", json=chat(), headers=keyed(key)).status_code == 200


def test_a_deferred_turn_is_accepted_once(client: httpx.Client, key: str) -> None:
    first, again = (client.post("/chat", json=chat(deferred=True), headers=keyed(key)) for _ in range(2))
    assert (first.status_code, first.content) == (202, again.content)
    assert again.headers["location"] == first.headers["location"]


@pytest.fixture(scope="module")
def forgetful() -> Iterator[ReferenceServer]:
    """A server that remembers keys for a moment."""
    with ReferenceServer(Settings(idempotency_ttl_s=0.2)) as running:
        yield running


def test_an_expired_key_executes_anew(forgetful: ReferenceServer, key: str) -> None:
    with forgetful.client() as caller:
        first = caller.post("/chat", json=chat(), headers=keyed(key))
        forgetful.ask(lambda: asyncio.sleep(0.25))
        later = caller.post("/chat", json=chat("another payload"), headers=keyed(key))
    assert (first.status_code, later.status_code) == (200, 200)
    assert "idempotency-replayed" not in later.headers


def test_a_token_limit_frees_the_key(key: str) -> None:
    with ReferenceServer(Settings()) as own, own.client("sk-demo-limited") as caller:
        long = chat("word " * 401)
        error(caller.post("/chat", json=long, headers=keyed(key)), 429, "TOKEN_LIMIT_EXCEEDED")
        short = chat("Repeat exactly: ok")
        assert caller.post("/chat", json=short, headers=keyed(key)).status_code == 200
