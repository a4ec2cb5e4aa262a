"""Whatever a server sends is read without an error, and fast."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dialects import exchange
from transcript_files import spoken, transcript

from conformance.dialects.facts import ANSWER_FACTS, HEADER_FACTS
from conformance.dialects.interpret import read_answer, read_error, read_stream
from conformance.dialects.model import builtin_dialects

NAMES = builtin_dialects()
WORDS = (
    "id model choices message content delta usage error code type metadata token candidates parts text "
    "finish_reason details tokens_used input prompt_tokens param"
)
KEYS = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=4), max_leaves=15
)
HEADERS = st.dictionaries(
    st.sampled_from(["RateLimit", "RateLimit-Policy", "Retry-After", "Date", "x-ratelimit-reset-tokens", "retry-after-ms"]),
    st.text(max_size=12),
)  # fmt: skip


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(NAMES), JSON, st.none() | st.integers(100, 599), HEADERS)
def test_any_json_answer_is_read(name: str, body: Any, status: int | None, headers: dict[str, str]) -> None:
    answer = exchange(body, status=status, headers=headers)
    facts = read_answer(spoken(name), answer)
    assert set(facts) == {*ANSWER_FACTS, *HEADER_FACTS}
    error = read_error(spoken(name), answer)
    assert error.code is None or isinstance(error.code, str)


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(NAMES), st.binary(max_size=60))
def test_any_bytes_are_read(name: str, body: bytes) -> None:
    answer = exchange(raw=body)
    assert set(read_answer(spoken(name), answer)) == {*ANSWER_FACTS, *HEADER_FACTS}
    read_error(spoken(name), answer)
    read_stream(spoken(name), answer)


@settings(deadline=None)  # the machine may be busy
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.sampled_from(["", "error", "token", "done", "ping"]), JSON), max_size=6),
)
def test_any_events_are_read(name: str, sent: list[tuple[str, Any]]) -> None:
    lines = [
        f"event: {event}\ndata: {json.dumps(data)}\n\n" if event else f"data: {json.dumps(data)}\n\n"
        for event, data in sent
    ]
    answer = exchange(raw="".join(lines).encode(), content_type="text/event-stream")
    stream = read_stream(spoken(name), answer)
    assert stream.text == "".join(d.value for d in stream.deltas)
    assert all(isinstance(n, int) for n in stream.usage.values())
    indices = {
        *stream.terminals,
        *stream.ignored,
        *(i for i, _ in stream.invalid),
        *(i for i, _ in stream.errors),
    }
    assert indices <= set(range(len(answer.sse.events)))


@pytest.mark.parametrize("name", NAMES)
def test_a_document_deeper_than_any_stack_is_read(name: str) -> None:
    answer = exchange(raw=b'{"content":' * 900 + b"1" + b"}" * 900)
    assert set(read_answer(spoken(name), answer)) == {*ANSWER_FACTS, *HEADER_FACTS}
    assert not read_error(spoken(name), exchange(raw=b"[" * 200_000)).message


def test_a_long_hostile_message_is_classified_in_bounded_time() -> None:
    hostile = "model " * 300_000 + "maximum context length is " + "1" * 300_000
    answer = exchange({"error": {"message": hostile}}, status=400)
    clock = time.process_time()
    assert read_error(spoken("openai-chat"), answer).code == "INVALID_REQUEST"
    assert time.process_time() - clock < 1.0


@pytest.mark.parametrize("name", ["llmock-chat", "llmock-rate-limited", "openai-stream", "contract-stream"])
def test_ten_thousand_exchanges_fit_in_a_minute(name: str) -> None:
    """A selftest reads that many on one core; measured on a hundredth, with a wide margin for slow machines."""
    reading = transcript(name)
    clock = time.process_time()
    for _ in range(100):
        read_answer(reading.dialect, reading.exchange)
        read_error(reading.dialect, reading.exchange)
        read_stream(reading.dialect, reading.exchange)
    assert time.process_time() - clock < 0.6
