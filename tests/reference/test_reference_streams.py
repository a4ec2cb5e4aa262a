"""Streams: their bytes, their end, their silence, and what happens when somebody leaves."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
from contextlib import closing

import httpx
import pytest
from reference_server import ReferenceServer, chat, error, events, post_bytes

from reference_impl.policies import default_policies
from reference_impl.policies.metadata import AnswerFacts
from reference_impl.settings import Settings

# Every byte a stream may consist of: event blocks, and keep-alive comments directly before them.
GRAMMAR = re.compile(
    rb"(?:(?:: keep-alive\n)*(?:event: (?:metadata|done|error)\n)?data: [^\r\n]+\n\n)+(?::\ keep-alive\n)*"
)


def streamed(
    client: httpx.Client, text: str = "Repeat exactly: Hello there", **fields: object
) -> httpx.Response:
    return client.post("/chat", json=chat(text, stream=True, **fields))


def test_the_events_of_an_answer(client: httpx.Client) -> None:
    answer = streamed(client)
    assert answer.status_code == 200
    metadata, first, second, done = events(answer.text)
    assert metadata == {
        "type": "metadata",
        "sequence_number": 0,
        "id": metadata["id"],
        "request_id": answer.headers["x-request-id"],
        "trace_id": metadata["trace_id"],
        "model_version": "atlas-1-2026-06-01",
    }
    assert first == {"type": "token", "token": "Hello ", "index": 0, "sequence_number": 1}
    assert second == {"type": "token", "token": "there", "index": 1, "sequence_number": 2}
    assert done["sequence_number"] == 3
    assert (done["id"], done["text"], done["finish_reason"]) == (metadata["id"], "Hello there", "stop")
    block = done["metadata"]
    assert (block["request_id"], block["trace_id"]) == (metadata["request_id"], metadata["trace_id"])
    assert block["tokens_used"]["output"] == 2
    assert 0 <= block["time_to_first_token_ms"] <= block["latency_ms"]


def test_the_headers_of_a_stream(client: httpx.Client) -> None:
    headers = streamed(client).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["api-version"] == "2026-11-01"
    assert "content-length" not in headers


def test_the_bytes_are_the_profile_every_sdk_reads(reference: ReferenceServer) -> None:
    body = json.dumps(chat("Repeat exactly: caf\u00e9 \u65e5\u672c \U0001f469", stream=True)).encode()
    answer = reference.raw(post_bytes("/chat", body))
    head, _, chunked = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert chunked.endswith(b"\r\n0\r\n\r\n")
    stream = dechunked(chunked)
    assert GRAMMAR.fullmatch(stream)
    assert stream.startswith(b"event: metadata\ndata: {")
    assert stream.endswith(b"\n\ndata: [DONE]\n\n")
    assert stream.count(b"[DONE]") == 1
    assert "caf\u00e9 \u65e5\u672c \U0001f469" in stream.decode("utf-8", "strict")


def test_a_stream_says_what_its_twin_says(client: httpx.Client) -> None:
    plain = client.post("/chat", json=chat(seed=7, temperature=0)).json()
    done = events(streamed(client, "Tell me something", seed=7, temperature=0).text)[-1]
    assert done["text"] == plain["message"]["content"]
    assert done["finish_reason"] == plain["finish_reason"]
    assert done["metadata"]["tokens_used"] == plain["metadata"]["tokens_used"]


def test_silence_is_filled_with_comments(client: httpx.Client) -> None:
    slow = streamed(client, sandbox={"scenario": "slow_first_token", "delay_ms": 500}).content
    assert GRAMMAR.fullmatch(slow)
    before_first_token = slow[: slow.index(b"data: " + b'{"type":"token"')]
    assert before_first_token.endswith(
        b"\n\n" + b": keep-alive\n" * before_first_token.count(b": keep-alive\n")
    )
    assert 2 <= slow.count(b": keep-alive\n") <= 4


def test_the_first_event_does_not_wait_for_the_first_token(reference: ReferenceServer) -> None:
    body = chat(stream=True, sandbox={"scenario": "slow_first_token", "delay_ms": 20_000})
    with reference.client() as caller, caller.stream("POST", "/chat", json=body) as answer:
        assert next(answer.iter_raw()).startswith(b"event: metadata\n")


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("overloaded", 503, "MODEL_OVERLOADED"),
        ("unavailable", 503, "SERVICE_UNAVAILABLE"),
        ("content_filter_input", 400, "CONTENT_FILTER_TRIGGERED"),
        ("tool_failure", 424, "TOOL_EXECUTION_FAILED"),
    ],
)
def test_what_is_known_before_the_first_event_has_a_status(
    client: httpx.Client, scenario: str, status: int, code: str
) -> None:
    error(streamed(client, sandbox={"scenario": scenario}), status, code)


def test_an_unknown_model_has_a_status(client: httpx.Client) -> None:
    refused = error(streamed(client, model="nobody"), 404, "MODEL_NOT_FOUND")
    assert refused["param"] == "/model"


@pytest.mark.parametrize(
    ("scenario", "tokens", "code"),
    [("fault_midstream", 3, "UPSTREAM_ERROR"), ("model_timeout", 0, "MODEL_TIMEOUT")],
)
def test_a_later_fault_is_one_error_event_and_the_end(
    client: httpx.Client, scenario: str, tokens: int, code: str
) -> None:
    answer = streamed(client, "Tell me something", sandbox={"scenario": scenario, "delay_ms": 20})
    *before, last = events(answer.text)
    assert [event["type"] for event in before] == ["metadata", *["token"] * tokens]
    assert answer.text.endswith(f"\n\nevent: error\ndata: {json.dumps(last, separators=(',', ':'))}\n\n")
    assert last["sequence_number"] == tokens + 1
    assert last["error"]["code"] == code
    assert last["error"]["retryable"] is True
    assert last["error"]["request_id"] == answer.headers["x-request-id"]


def test_a_filtered_output_ends_with_its_finish_reason(client: httpx.Client) -> None:
    answer = streamed(client, "Tell me something", sandbox={"scenario": "content_filter_output"})
    assert events(answer.text)[-1]["finish_reason"] == "content_filter"
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_client_that_leaves_stops_the_generation(reference: ReferenceServer) -> None:
    gauge = reference.app.services.engine.gauge
    before = gauge.generated
    body = chat("Repeat exactly: " + "word " * 500, stream=True, max_output_tokens=500)
    body["sandbox"] = {"scenario": "slow_tokens", "delay_ms": 20}
    with closing(socket.create_connection(("127.0.0.1", reference.port))) as connection:
        connection.sendall(post_bytes("/chat", json.dumps(body).encode()))
        received = b""
        while received.count(b'"type":"token"') < 3:
            received += connection.recv(65_536)
        assert gauge.active == 1
    reference.eventually(lambda: gauge.active == 0)
    assert 3 <= gauge.generated - before < 100


def test_one_who_leaves_does_not_disturb_another(reference: ReferenceServer) -> None:
    body = chat("Repeat exactly: a b c d e f", stream=True)
    body["sandbox"] = {"scenario": "slow_tokens", "delay_ms": 40}
    with (
        reference.client() as staying,
        reference.client() as leaving,
        staying.stream("POST", "/chat", json=body) as kept,
    ):
        with leaving.stream("POST", "/chat", json=body) as cut:
            next(cut.iter_raw())
        assert events(kept.read().decode())[-1]["text"] == "a b c d e f"


def test_a_large_token_and_a_long_answer_pass_unbroken(client: httpx.Client) -> None:
    large = "x" * 262_144
    assert events(streamed(client, f"Repeat exactly: {large}").text)[1]["token"] == large
    long = "word " * 4096
    answer = streamed(client, f"Repeat exactly: {long}", max_output_tokens=4096)
    assert events(answer.text)[-1]["text"] == long


def test_a_head_request_starts_nothing(reference: ReferenceServer, client: httpx.Client) -> None:
    turn = client.post("/chat", json=chat(deferred=True)).json()
    before = reference.app.services.engine.gauge.generated
    answer = client.head("/chat/stream", params={"turn_id": turn["turn_id"]})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reference.app.services.engine.gauge.generated == before


class BrokenMetadata:
    """A bug in the server: it shows when the answer is complete."""

    def block(self, exchange: object, facts: AnswerFacts) -> dict[str, object]:
        raise ZeroDivisionError(f"{exchange} {facts}")


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_a_bug_of_the_server_is_told_and_not_explained(headers: dict[str, str]) -> None:
    settings = Settings()
    policies = dataclasses.replace(default_policies(settings), metadata=BrokenMetadata())
    with ReferenceServer(settings, policies) as broken, broken.client() as caller:
        refused = caller.post("/chat", json=chat(), headers=headers)
        error(refused, 500, "INTERNAL")
        answer = caller.post("/chat", json=chat(stream=True), headers=headers)
        *_, last = events(answer.text)
        assert last["error"]["code"] == "INTERNAL"
        assert "[DONE]" not in answer.text
        assert "ZeroDivision" not in refused.text + answer.text


def test_shutdown_ends_an_open_stream_with_a_reason() -> None:
    body = chat(stream=True, sandbox={"scenario": "slow_first_token", "delay_ms": 20_000})
    running = ReferenceServer(Settings(shutdown_grace_s=0.1))
    started, received = threading.Event(), bytearray()

    def listen() -> None:
        with running.client() as caller, caller.stream("POST", "/chat", json=body) as answer:
            for chunk in answer.iter_raw():
                received.extend(chunk)
                started.set()

    with running:
        listener = threading.Thread(target=listen)
        listener.start()
        assert started.wait(10)
    listener.join(10)
    assert events(received.decode())[-1]["error"]["code"] == "MODEL_OVERLOADED"


def dechunked(body: bytes) -> bytes:
    """The payload of a chunked body."""
    payload = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        payload += rest[:length]
        body = rest[length + 2 :]
    return payload
