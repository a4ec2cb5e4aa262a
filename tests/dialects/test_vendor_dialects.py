"""Each vendor's dialect on recorded answers: every fact it claims, every event it knows, every error it classifies.

A transcript is recorded from a server or written after the vendor's document, which its
first line names. The last tests of this file keep the corpus complete.
"""

from __future__ import annotations

from typing import Any

import pytest
from error_files import ERRORS, error_cases
from small_dialects import events, exchange
from transcript_files import FOLDER, spoken, transcript

from conformance.dialects.interpret import read_error, read_stream
from conformance.reading import Reading

# ---- plain answers

FULL: dict[str, dict[str, Any]] = {
    "openai-chat-full": {
        "text": "Red, green", "finish_reason": "length", "response_id": "chatcmpl-1", "model_version": "gpt-5.4",
        "usage.input": 20, "usage.output": 10, "usage.total": 30, "usage.cached_input": 8, "usage.reasoning_output": 4,
        "request_id": "req_1", "api_version": "2020-10-01", "ratelimit.requests.limit": 5000,
        "ratelimit.requests.reset": 0.012, "ratelimit.tokens.reset": 360.0,
    },
    "responses-full": {
        "text": "Red, green", "finish_reason": "stop", "response_id": "resp_1", "model_version": "gpt-5.4-2026-03-05",
        "usage.input": 36, "usage.output": 87, "usage.total": 123, "usage.cached_input": 12,
        "usage.reasoning_output": 64, "request_id": "req_1", "ratelimit.tokens.remaining": 159982,
    },
    "responses-incomplete": {"finish_reason": "length"},
    "responses-filtered": {"finish_reason": "content_filter"},
    "responses-tool": {"finish_reason": "tool_call", "text": None},
    "anthropic-full": {
        "text": "Red, green", "finish_reason": "stop", "response_id": "msg_1", "model_version": "claude-opus-4-6",
        "usage.input": 2112, "usage.output": 30, "usage.total": None, "usage.cached_input": 2000,
        "usage.reasoning_output": 20, "request_id": "req_011", "ratelimit.requests.limit": 50,
        "ratelimit.requests.remaining": 49, "ratelimit.tokens.limit": 80000, "ratelimit.tokens.remaining": 79000,
    },
    "anthropic-2026-full": {"text": "Red, green", "usage.input": 2112},
    "anthropic-refusal": {"finish_reason": "content_filter", "text": None},
    "anthropic-window": {"finish_reason": "length"},
    "gemini-full": {
        "text": "Red, green", "finish_reason": "stop", "response_id": "r1", "model_version": "gemini-2.5-pro",
        "usage.input": 12, "usage.output": 12, "usage.total": 24, "usage.cached_input": 4, "usage.reasoning_output": 7,
    },
    "gemini-blocked": {"finish_reason": "content_filter", "text": None, "usage.input": 10},
    "cohere-full": {
        "text": "Red, green", "finish_reason": "stop", "response_id": "c14c80c3", "model_version": None,
        "usage.input": 71, "usage.output": 22, "usage.cached_input": 16,
    },
    "mistral-full": {
        "text": "Red, green", "finish_reason": "length", "usage.total": 30, "request_id": "m-1",
        "ratelimit.requests.limit": 60, "ratelimit.requests.remaining": 59, "ratelimit.tokens.limit": 500000,
        "ratelimit.tokens.remaining": 499000,
    },
    "azure-full": {
        "text": "Red, green", "finish_reason": "content_filter", "model_version": "gpt-4o-2024-11-20",
        "request_id": "a-1", "ratelimit.requests.reset": 0.0, "ratelimit.tokens.reset": 10.0,
    },
    # recorded from running servers
    "litellm-chat-plain": {"finish_reason": "stop", "usage.output": 15, "model_version": "up-gpt"},
    "litellm-responses": {"finish_reason": "stop", "model_version": "up-gpt"},
    "litellm-anthropic": {"finish_reason": "stop", "usage.output": 15},
    "litellm-gemini": {"finish_reason": "stop", "usage.output": 15},
    "llmock-responses": {"finish_reason": "stop", "model_version": "gpt-4o"},
    "llmock-mistral": {"finish_reason": "stop", "model_version": "mistral-small-latest"},
}  # fmt: skip


@pytest.mark.parametrize("name", FULL)
def test_the_facts_of_an_answer(name: str) -> None:
    found = transcript(name).facts
    assert {fact: found[fact].value for fact in FULL[name]} == FULL[name]


def test_a_reset_is_an_instant_at_anthropic() -> None:
    found = transcript("anthropic-full").facts
    assert found["ratelimit.requests.reset"].value == pytest.approx(20.0, abs=0.1)
    assert found["ratelimit.tokens.reset"].value == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "first", "window"),
    [
        ("llmock-models", "gpt-4o", None),
        ("llmock-anthropic-models", "claude-opus-4-6", None),
        ("llmock-gemini-models", "gemini-2.5-pro", 1048576),
        ("llmock-mistral-models", "mistral-large-latest", None),
    ],
)
def test_a_list_of_models(name: str, first: str, window: int | None) -> None:
    listed = transcript(name).models
    assert (listed[0].id, listed[0].context_window) == (first, window)


def test_only_models_that_chat_are_listed() -> None:
    body = {"models": [{"name": "embed", "endpoints": ["embed"]}, {"name": "command-r", "endpoints": ["chat"], "context_length": 128000}]}  # fmt: skip
    [only] = Reading(exchange(body), spoken("cohere-v2")).models
    assert (only.id, only.context_window) == ("command-r", 128000)
    body = {"data": [{"id": "embed", "capabilities": {"completion_chat": False}}, {"id": "chat", "capabilities": {"completion_chat": True}, "max_context_length": 32768}, {"id": 7}, "x"]}  # fmt: skip
    assert [m.id for m in Reading(exchange(body), spoken("mistral")).models] == ["chat"]


# ---- streams

STREAMS: dict[str, dict[str, Any]] = {
    "openai-stream": {"text": "Red, green", "finish": "length", "usage": {"input": 11, "output": 3, "total": 14}},
    "responses-stream-full": {"text": "Red, green", "finish": "stop", "usage": {"input": 36, "output": 87, "total": 123}},
    "responses-stream-incomplete": {"text": "Red, green", "finish": "length", "usage": {"input": 36, "output": 87, "total": 123}},
    "responses-stream-failed": {"text": "Red, green", "finish": "error", "errors": ["INTERNAL"]},
    "responses-stream-error": {"text": "Red, green", "finish": None, "errors": ["RATE_LIMITED"], "terminals": 0},
    "open-responses-stream": {"text": "Red, green", "finish": "stop", "usage": {"input": 36, "output": 87, "total": 123}},
    "anthropic-stream-full": {"text": "Red, green", "finish": "length", "usage": {"input": 2112, "output": 30}},
    "anthropic-2026-stream": {"text": "Red, green", "finish": "length", "usage": {"input": 2112, "output": 30}},
    "anthropic-stream-error": {"text": "Red, green", "finish": None, "usage": {"input": 2112, "output": 1}, "errors": ["MODEL_OVERLOADED"], "terminals": 0},
    "gemini-stream-full": {"text": "Red, green", "finish": "length", "usage": {"input": 12, "output": 12, "total": 24}},
    "gemini-stream-blocked": {"text": "", "finish": "content_filter", "usage": {"input": 10, "total": 10}},
    "gemini-stream-error": {"text": "", "finish": None, "usage": {"input": 10, "total": 10}, "errors": ["MODEL_OVERLOADED"], "terminals": 0},
    "cohere-stream-full": {"text": "Red, green", "finish": "length", "usage": {"input": 71, "output": 22}},
    "cohere-stream-error": {"text": "Red, ", "finish": "error", "errors": ["INTERNAL"]},
    "mistral-stream-full": {"text": "Red, green", "finish": "stop", "usage": {"input": 20, "output": 3, "total": 23}},
    "azure-stream-full": {"text": "Red, green", "finish": "stop", "usage": {"input": 20, "output": 3, "total": 23}},
    # recorded from running servers
    "litellm-chat-stream": {"finish": "stop", "usage": {"input": 4, "output": 15, "total": 19}},
    "litellm-responses-stream": {"finish": "stop", "usage": {"input": 4, "output": 15, "total": 19}},
    "litellm-anthropic-stream": {"finish": "stop", "usage": {"input": 4, "output": 15}},
    "litellm-gemini-stream": {"finish": "stop", "usage": {"input": 0, "output": 0, "total": 0}},
    "llmock-responses-stream": {"finish": "stop", "usage": {"input": 4, "output": 7, "total": 11}},
    "llmock-mistral-stream": {"finish": "stop"},  # it sends no usage
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_the_facts_of_a_stream(name: str) -> None:
    expected, stream = STREAMS[name], transcript(name).stream
    assert stream.text == expected.get("text", stream.text) == "".join(d.value for d in stream.deltas)
    assert stream.finish_reason == expected["finish"]
    assert stream.usage == expected.get("usage", {})
    assert [error.code for _, error in stream.errors] == expected.get("errors", [])
    assert len(stream.terminals) == expected.get("terminals", 1)
    assert stream.invalid == ()


def test_an_event_may_be_named_by_its_data_alone() -> None:
    """LiteLLM leaves the ``event`` field out, which OpenAI's SDKs do not read."""
    raw = (FOLDER / "litellm-responses-stream.http").read_bytes()
    assert b"\nevent:" not in raw
    stream = transcript("litellm-responses-stream").stream
    assert stream.terminal_name.startswith("event response.completed or ")
    assert [p.value for p in stream.sequence_numbers] == list(range(len(stream.sequence_numbers)))


def test_azures_empty_first_event_says_nothing() -> None:
    stream = transcript("azure-stream-full").stream
    assert {p.value for p in stream.response_ids} == {"m1"}
    assert {p.value for p in stream.model_versions} == {"gpt-4o-2024-11-20"}


def test_the_two_formats_of_responses_differ_in_their_end() -> None:
    ended = transcript("open-responses-stream")
    assert ended.exchange.sse.events[ended.stream.terminals[0]].data == "[DONE]"
    openai = read_stream(spoken("openai-responses"), ended.exchange)
    assert len(openai.terminals) == 1
    assert openai.terminals[0] == ended.stream.terminals[0] - 1
    without = transcript("responses-stream-full").exchange
    assert read_stream(spoken("open-responses"), without).terminals == ()


# ---- errors


WRITTEN = [(p.stem, *case) for p in sorted(ERRORS.glob("*.yaml")) for case in error_cases(p.stem)]


@pytest.mark.parametrize(
    ("name", "status", "body", "code", "details"),
    [(c[0], *c[2:]) for c in WRITTEN],
    ids=[f"{c[0]}: {c[1]}" for c in WRITTEN],
)
def test_an_error_of_a_vendor(
    name: str, status: int, body: Any, code: str | None, details: dict[str, Any]
) -> None:
    answer = exchange(raw=b"<html>", status=status) if body is None else exchange(body, status=status)
    found = read_error(spoken(name), answer)
    assert (found.code, found.details) == (code, details)


RECORDED_ERRORS = {
    "llmock-anthropic-context": ("CONTEXT_LENGTH_EXCEEDED", {"input_tokens": 1375, "max_tokens": 500}),
    "llmock-anthropic-500": ("INTERNAL", {}),
    "llmock-anthropic-invalid": ("INVALID_REQUEST", {}),
    "llmock-anthropic-rate-limited": ("RATE_LIMITED", {}),
    "llmock-gemini-context": ("CONTEXT_LENGTH_EXCEEDED", {"input_tokens": 1375, "max_tokens": 500}),
    "llmock-gemini-500": ("INTERNAL", {}),
    "llmock-gemini-rate-limited": ("RATE_LIMITED", {}),
    "llmock-cohere-context": ("CONTEXT_LENGTH_EXCEEDED", {}),
    "llmock-cohere-rate-limited": ("RATE_LIMITED", {}),
    "llmock-mistral-rate-limited": ("RATE_LIMITED", {}),
    "llmock-responses-context": ("CONTEXT_LENGTH_EXCEEDED", {"input_tokens": 1375, "max_tokens": 500}),
    "llmock-responses-rate-limited": ("RATE_LIMITED", {}),
    "litellm-anthropic-context": ("CONTEXT_LENGTH_EXCEEDED", {}),
    "litellm-anthropic-no-model": ("MODEL_NOT_FOUND", {}),
    "litellm-anthropic-rate-limited": ("RATE_LIMITED", {}),
    "litellm-anthropic-unauthenticated": ("UNAUTHENTICATED", {}),
    "litellm-chat-context": ("CONTEXT_LENGTH_EXCEEDED", {}),
    "litellm-chat-rate-limited": ("RATE_LIMITED", {}),
    "litellm-gemini-no-model": ("MODEL_NOT_FOUND", {}),
    "litellm-gemini-unauthenticated": ("UNAUTHENTICATED", {}),
    "litellm-responses-no-model": ("MODEL_NOT_FOUND", {}),
    "anthropic-2026-spend-limit": ("BUDGET_EXCEEDED", {"error_code": "enforced_spend_limit_reached", "error_visibility": "user_facing"}),
    "azure-filtered": ("CONTENT_FILTER_TRIGGERED", {"hate": {"filtered": True, "severity": "high"}, "violence": {"filtered": False, "severity": "safe"}}),
    "gemini-error-array": ("RATE_LIMITED", {}),
    "gemini-error-full": ("UNAUTHENTICATED", {"service": "generativelanguage.googleapis.com"}),
    "azure-rate-limited": ("RATE_LIMITED", {}),
    "cohere-unauthenticated": ("UNAUTHENTICATED", {}),
    "anthropic-not-again": ("INVALID_REQUEST", {}),
    "mistral-fields": ("INVALID_REQUEST", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_a_recorded_error(name: str) -> None:
    found = transcript(name).error
    assert (found.code, found.details) == RECORDED_ERRORS[name]
    assert found.message


def test_the_stable_code_is_the_code_in_the_newer_version_only() -> None:
    newer = transcript("anthropic-2026-spend-limit")
    assert newer.error.raw_code.value == "enforced_spend_limit_reached"
    older = read_error(spoken("anthropic-messages"), newer.exchange)
    assert (older.raw_code.value, older.code) == ("billing_error", "BUDGET_EXCEEDED")


def test_how_long_to_wait() -> None:
    assert transcript("gemini-error-array").facts["retry_after"].value == 9.0
    assert transcript("llmock-anthropic-rate-limited").facts["retry_after"].value == 2.134


def test_a_stream_by_events_of_one_name_only() -> None:
    """A delta of another kind (thinking, a tool's input) is no text."""
    data = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "{"},
    }
    assert (
        read_stream(spoken("anthropic-messages"), events(data, names={0: "content_block_delta"})).text == ""
    )
