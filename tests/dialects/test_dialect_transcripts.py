"""What the dialects find in recorded answers. Files that begin with ``llmock-``, ``litellm-`` or ``transformers-`` come
from a running server; the others were written after a vendor's documents, which their first line names."""

from __future__ import annotations

from typing import Any

import pytest
from transcript_files import FOLDER, spoken, transcript

from conformance.dialects.facts import ANSWER_FACTS, HEADER_FACTS
from conformance.reading import Reading

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def facts(reading: Reading, *names: str) -> list[Any]:
    return [reading.facts[name].value for name in names]


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.http")))
def test_every_transcript_has_every_fact(name: str) -> None:
    reading = transcript(name)
    assert set(reading.facts) == {*ANSWER_FACTS, *HEADER_FACTS}
    assert reading.error.code is not None or reading.ok or reading.exchange.failure


def test_a_plain_answer() -> None:
    reading = transcript("llmock-chat")
    text, reason, model, total = facts(reading, "text", "finish_reason", "model_version", "usage.total")
    assert "gpt-4o" in text
    assert (reason, model) == ("stop", "gpt-4o")
    assert total == sum(facts(reading, "usage.input", "usage.output"))
    assert reading.facts["text"].where == "/choices/0/message/content"
    assert reading.facts["request_id"].state == "absent"
    assert reading.facts["trace_id"].state == "unsupported"
    assert reading.facts["usage.cached_input"].state == "absent"


def test_a_whole_stream() -> None:
    stream = transcript("llmock-stream").stream
    assert stream.text == "".join(d.value for d in stream.deltas)
    assert stream.finish_reason == "stop"
    assert stream.usage["total"] == stream.usage["input"] + stream.usage["output"]
    assert len(stream.usages) == 1
    assert len({p.value for p in stream.response_ids}) == 1
    assert {p.value for p in stream.model_versions} == {"gpt-4o"}
    assert len(stream.terminals) == 1
    assert (stream.errors, stream.invalid, stream.ignored) == ((), (), ())
    assert stream.terminal_name == "[DONE]"
    assert stream.unsupported == {"trace_id", "sequence_number"}


def test_openais_stream_with_padding_and_limits() -> None:
    reading = transcript("openai-stream")
    assert reading.stream.text == "Red, green"
    assert [d.event for d in reading.stream.deltas] == [1, 2]
    assert reading.stream.finish_reason == "length"
    assert reading.stream.usage == {"input": 11, "output": 3, "total": 14}
    assert [u.event for u in reading.stream.usages] == [4]
    assert reading.stream.terminals == (5,)
    limits = ("limit", "remaining", "reset")
    assert facts(reading, *(f"ratelimit.requests.{n}" for n in limits)) == [5000, 4999, 0.012]
    assert facts(reading, *(f"ratelimit.tokens.{n}" for n in limits)) == [160000, 159982, 360.0]
    assert facts(reading, "request_id", "api_version") == ["req_1", "2020-10-01"]


def test_a_list_of_models_has_no_answer() -> None:
    assert not transcript("llmock-models").facts["text"]


def test_limits_with_every_answer() -> None:
    reading = transcript("llmock-quota")
    requests = facts(reading, *(f"ratelimit.requests.{n}" for n in ("limit", "remaining", "reset")))
    tokens = facts(reading, *(f"ratelimit.tokens.{n}" for n in ("limit", "remaining", "reset")))
    assert requests == [10, 9, 6.0]
    assert tokens == [2000, 1943, 1.71]


def test_a_refusal_by_a_limit() -> None:
    reading = transcript("llmock-rate-limited")
    assert (reading.status, reading.error.code) == (429, "RATE_LIMITED")
    assert reading.error.raw_code.value == "rate_limit_exceeded"
    assert reading.facts["retry_after"].value == 5.647
    assert reading.facts["retry_after"].where == "header retry-after-ms"


def test_a_prompt_beyond_the_window() -> None:
    error = transcript("llmock-context").error
    assert error.code == "CONTEXT_LENGTH_EXCEEDED"
    assert error.details == {"max_tokens": 500, "input_tokens": 1125}
    assert error.message.where == "/error/message"


def test_a_request_that_is_not_valid() -> None:
    error = transcript("llmock-invalid").error
    assert (error.code, error.type.value, error.param.state) == (
        "INVALID_REQUEST",
        "invalid_request_error",
        "absent",
    )


def test_a_failure_of_the_server() -> None:
    assert transcript("llmock-500").error.code == "INTERNAL"


@pytest.mark.parametrize("name", ["llmock-trunc", "llmock-disconnect"])
def test_a_stream_that_breaks_off_has_no_terminal(name: str) -> None:
    stream = transcript(name).stream
    assert stream.terminals == ()
    assert stream.finishes == ()
    assert stream.usage == {}


def test_an_event_cut_in_two_is_invalid_where_it_is() -> None:
    stream = transcript("llmock-malformed").stream
    assert [index for index, _ in stream.invalid] == [3]
    assert "Unterminated string" in stream.invalid[0][1]
    assert stream.text == "LLMock says from gpt-4o."
    assert len(stream.terminals) == 1


def test_an_error_inside_a_stream() -> None:
    stream = transcript("vllm-stream-error").stream
    [(index, error)] = stream.errors
    assert (index, error.code, error.raw_code.value) == (1, "INTERNAL", 500)
    assert stream.text == "Red"


def test_the_contracts_stream() -> None:
    reading = transcript("contract-stream")
    stream = reading.stream
    assert stream.text == "Red, green"
    assert [p.value for p in stream.sequence_numbers] == [0, 1, 2, 3]
    assert {p.value for p in stream.trace_ids} == {TRACE}
    assert {p.value for p in stream.response_ids} == {"chat_7"}
    assert stream.usage == {"input": 7, "output": 2, "total": 9}
    assert stream.terminals == (5,)
    assert stream.ignored == (3,)  # an event of an unknown name need not even be JSON
    assert stream.invalid == ()
    assert reading.facts["ratelimit.requests.remaining"].value == 5998
    assert reading.facts["ratelimit.tokens.limit"].value == 2_000_000
    assert reading.facts["ratelimit.tokens.reset"].value == 42.0


def test_the_contracts_error_inside_a_stream() -> None:
    stream = transcript("contract-stream-fault").stream
    [(index, error)] = stream.errors
    assert (index, error.code, error.retryable.value) == (2, "UPSTREAM_ERROR", True)
    assert error.request_id.value == "req_8"
    assert error.details == {"stage": "generation"}
    assert (stream.terminals, stream.text) == ((), "Red")


def test_litellms_answer_through_a_gateway() -> None:
    reading = transcript("litellm-chat")
    assert facts(reading, "finish_reason", "model_version", "usage.total") == ["stop", "up-gpt", 19]
    assert facts(reading, "request_id") == ["de244ef9-04e1-42a6-8e32-1d08f045008f"]
    assert reading.facts["ratelimit.requests.remaining"].state == "absent"


def test_litellms_stream_ends_with_its_usage_and_done() -> None:
    stream = transcript("litellm-stream").stream
    assert stream.text == "Simulated answer from gpt-4o-mini for 'Name three colours.'."
    assert (stream.finish_reason, stream.usage) == ("stop", {"input": 4, "output": 15, "total": 19})
    assert (len(stream.terminals), stream.invalid, stream.errors) == (1, (), ())


def test_litellms_names_for_the_limits_of_a_key() -> None:
    reading = transcript("litellm-limited")
    assert facts(reading, "ratelimit.requests.limit", "ratelimit.requests.remaining") == [3, 2]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("litellm-401", 401, "UNAUTHENTICATED"),
        ("litellm-unknown-model", 400, "MODEL_NOT_FOUND"),
        ("litellm-context", 400, "CONTEXT_LENGTH_EXCEEDED"),
        ("litellm-rate-limited", 429, "RATE_LIMITED"),
        ("transformers-unknown-model", 400, "MODEL_NOT_FOUND"),
        ("transformers-500", 500, "INTERNAL"),
    ],
)
def test_refusals_of_running_servers(name: str, status: int, code: str) -> None:
    reading = transcript(name)
    assert (reading.status, reading.error.code) == (status, code)


def test_the_sizes_of_a_context_overflow_survive_the_gateway() -> None:
    assert transcript("litellm-context").error.details == {"max_tokens": 4000, "input_tokens": 6000}


def test_litellms_wait() -> None:
    assert transcript("litellm-rate-limited").facts["retry_after"].value == 60


def test_transformers_stream_has_usage_but_no_terminal() -> None:
    stream = transcript("transformers-stream").stream
    assert (stream.text, stream.finish_reason) == (" ass sky ass sky ass and", "length")
    assert stream.usage == {"input": 22, "output": 6, "total": 28}
    assert stream.terminals == ()


@pytest.mark.parametrize("vendor", ["anthropic", "gemini", "cohere"])
def test_the_language_carries_three_other_vendors(vendor: str) -> None:
    plain, streamed = transcript(f"llmock-{vendor}").facts, transcript(f"llmock-{vendor}-stream").stream
    assert "Name three colours." in plain["text"].value
    assert plain["finish_reason"].value == streamed.finish_reason == "stop"
    assert "Name three colours." in streamed.text
    assert streamed.usage["output"] > 0
    assert plain["usage.output"].value > 0
    assert len(streamed.terminals) == 1
    assert (streamed.invalid, streamed.errors) == ((), ())


def test_usage_in_pieces_ends_at_the_last_of_each() -> None:
    stream = transcript("llmock-anthropic-stream").stream
    assert [u.value for u in stream.usages] == [{"input": 6, "output": 1}, {"output": 11}]
    assert stream.usage == {"input": 6, "output": 11}
    assert [stream.terminal_name, len(stream.ignored)] == ["event message_stop", 3]


def test_a_stream_without_a_terminal_ends_after_its_finish_event() -> None:
    reading = transcript("llmock-gemini-stream")
    assert reading.stream.terminals == (len(reading.exchange.sse.events) - 1,)


def test_sizes_from_anthropics_prose_and_a_reset_instant() -> None:
    reading = transcript("anthropic-too-long")
    assert reading.error.code == "CONTEXT_LENGTH_EXCEEDED"
    assert reading.error.details == {"input_tokens": 210000, "max_tokens": 200000}
    assert reading.error.request_id.value == reading.facts["request_id"].value == "req_011"
    assert reading.facts["ratelimit.requests.reset"].value == pytest.approx(20.0, abs=0.1)


def test_a_wait_from_googles_details() -> None:
    reading = transcript("gemini-rate-limited")
    assert reading.error.code == "RATE_LIMITED"
    assert reading.facts["retry_after"].value == 45.837906927
    assert reading.facts["retry_after"].where == "/error/details/1/retryDelay"


def test_a_vendor_that_names_no_model() -> None:
    assert spoken("cohere-v2").stream.unsupported >= {"model_version"}
    assert transcript("llmock-cohere").facts["model_version"].state == "unsupported"
