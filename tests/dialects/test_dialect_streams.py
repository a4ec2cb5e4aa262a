"""The grammar of streams, one feature at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_dialects import events, exchange, small

from conformance.dialects.interpret import read_stream
from conformance.dialects.model import Dialect, load_dialect


def grammar(folder: Path, **stream: Any) -> Dialect:
    return small(folder, stream={**stream, "terminal": {"data": None, **stream["terminal"]}})


def test_a_terminal_by_data(tmp_path: Path) -> None:
    stream = read_stream(
        grammar(tmp_path, terminal={"data": "END"}), events({"t": "a"}, "END", {"t": "b"}, "END")
    )
    assert stream.terminals == (1, 3)
    assert stream.text == "ab"
    assert stream.invalid == ()


def test_a_terminal_by_name_may_carry_facts(tmp_path: Path) -> None:
    facts = {"text_delta": "$.t", "finish_reason": "$.r"}
    dialect = grammar(tmp_path, terminal={"event": "end"}, facts=facts)
    stream = read_stream(dialect, events({"t": "a"}, {"r": "stop"}, names={1: "end"}))
    assert (stream.terminals, stream.finish_reason, stream.terminal_name) == ((1,), "stop", "event end")


def test_a_terminal_by_what_was_said(tmp_path: Path) -> None:
    dialect = grammar(tmp_path, terminal={"eof_after": "$.c[?@.done]"})
    stream = read_stream(dialect, events({"t": "a", "c": [{}]}, {"t": "b", "c": [{"done": True}]}))
    assert stream.terminals == (1,)
    assert stream.terminal_name == "the end of the response after the finish event"


def test_sentinels_are_neither_invalid_nor_terminal(tmp_path: Path) -> None:
    dialect = grammar(tmp_path, terminal={"event": "end"}, sentinels=["[DONE]"])
    stream = read_stream(dialect, events({}, "[DONE]", "[FIN]", names={0: "end"}))
    assert stream.terminals == (0,)
    assert [index for index, _ in stream.invalid] == [2]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("{", "Expecting"),
        ("NaN", "NaN"),
        ("[1,]", "Illegal trailing comma|Expecting"),
        ("[DONE] ", "Expecting"),
    ],
)
def test_data_that_is_not_json_is_invalid(tmp_path: Path, data: str, why: str) -> None:
    [(index, message)] = read_stream(small(tmp_path), events(data)).invalid
    assert index == 0
    assert any(part in message for part in why.split("|"))


def test_json_nested_beyond_reason_is_invalid(tmp_path: Path) -> None:
    assert len(read_stream(small(tmp_path), events("[" * 100_000)).invalid) == 1


def test_ignorable_and_unknown_events(tmp_path: Path) -> None:
    dialect = grammar(tmp_path, terminal={"data": "END"}, ignore=["ping"], known=["message", "token"])
    names = {0: "ping", 1: "debug", 2: "debug", 3: "token", 4: "token"}
    stream = read_stream(
        dialect, events("not json", "not json", {"x": 1}, {"t": "a"}, "not json", {"x": 1}, names=names)
    )
    assert stream.ignored == (0, 1, 2, 5)
    assert [index for index, _ in stream.invalid] == [4]
    assert stream.text == "a"


def test_empty_and_odd_pieces_are_no_text(tmp_path: Path) -> None:
    stream = read_stream(small(tmp_path), events({"t": ""}, {"t": "a"}, {"t": 5}, {"t": None}, {"t": ["b"]}))
    assert [(d.event, d.value) for d in stream.deltas] == [(1, "a")]


@pytest.mark.parametrize(("take", "expected"), [(None, 4), ("last", 4), ("max", 7), ("sum", 14)])
def test_usage_is_final_by_the_take_rule(tmp_path: Path, take: str | None, expected: int) -> None:
    rule = {"select": "$.u", "take": take} if take else {"select": "$.u"}
    dialect = small(tmp_path, stream={"facts": {"usage.output": rule}})
    stream = read_stream(dialect, events({"u": 3}, {"u": 7}, {"u": None}, {"u": "9"}, {"u": True}, {"u": 4}))
    assert stream.usage == {"output": expected}
    assert [u.value for u in stream.usages] == [{"output": 3}, {"output": 7}, {"output": 4}]


def test_an_error_by_name_or_by_what_it_says(tmp_path: Path) -> None:
    error = {"events": ["error"], "when": "$.err", "message": "$.err"}
    dialect = grammar(tmp_path, terminal={"data": "END"}, error=error)
    stream = read_stream(
        dialect, events({"message": "x"}, {"err": "y"}, {"err": None, "t": "a"}, names={0: "error"})
    )
    assert [(index, e.message.value) for index, e in stream.errors] == [(0, None), (1, "y")]


@pytest.mark.parametrize("name", ["contract", "openai-chat"])
def test_a_null_error_on_each_event_is_no_error(name: str) -> None:
    data = {"id": "x", "error": None, "token": "a", "choices": [{"delta": {"content": "a"}}]}
    stream = read_stream(load_dialect(name), events(data))
    assert (stream.errors, stream.text) == ((), "a")


def test_facts_keep_the_arrival_of_their_event() -> None:
    stream = read_stream(load_dialect("contract"), events({"token": "a", "sequence_number": 1}))
    assert [(p.event, p.value, p.t) for p in stream.sequence_numbers] == [(0, 1, 0.1)]
    assert stream.deltas[0].t == 0.1


def test_running_totals_on_every_chunk_end_at_the_last() -> None:
    chunks = [{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": n}} for n in (1, 2, 3)]
    stream = read_stream(load_dialect("openai-chat"), events(*chunks, "[DONE]"))
    assert stream.usage == {"input": 5, "output": 3}
    assert len(stream.usages) == 3


def test_no_stream_at_all() -> None:
    stream = read_stream(load_dialect("contract"), exchange(raw=b""))
    assert (stream.text, stream.terminals, stream.finish_reason) == ("", (), None)
