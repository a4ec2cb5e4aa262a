"""What the language needed for vendors that differ: credentials in the query, demands on parameters, models, names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_dialects import events, exchange, small, write_dialect

from conformance.budget import Price
from conformance.dialects.interpret import read_models, read_stream
from conformance.dialects.model import DialectError, load_dialect
from conformance.dialects.request import build_request, settled
from conformance.target import Target

TARGET = Target("http://127.0.0.1:8000/v1", "small", keys={"main": "k y"})


def test_a_credential_in_the_query(tmp_path: Path) -> None:
    dialect = small(tmp_path, auth={"header": None, "query": "key", "value": "{key}"})
    sent = build_request(dialect, "chat", {"prompt": "Hi"}, TARGET, "main")
    assert sent.url == "http://127.0.0.1:8000/v1/chat?key=k%20y"
    assert "k y" not in str(sent.headers)
    assert build_request(dialect, "chat", {"prompt": "Hi"}, TARGET, "none").url.endswith("/chat")
    assert dialect.auth_headers(TARGET, "main") == ()


@pytest.mark.parametrize("auth", [{"query": "key"}, {"header": None}])
def test_a_credential_has_one_place(tmp_path: Path, auth: dict[str, Any]) -> None:
    with pytest.raises(DialectError, match=r"/auth: .* give exactly one of header, query"):
        load_dialect(str(write_dialect(tmp_path, {"auth": auth})))


@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, 64), ({"max_output_tokens": 5}, 16), ({"max_output_tokens": 17}, 17), ({"max_output_tokens": -1}, -1), ({"max_output_tokens": "x"}, "x")],
)  # fmt: skip
def test_what_a_vendor_demands_of_a_parameter(tmp_path: Path, given: dict[str, Any], sent: Any) -> None:
    """A value that is wrong on purpose stays wrong."""
    dialect = small(tmp_path, parameters={"max_output_tokens": {"default": 64, "minimum": 16}})
    assert settled(dialect, given)["max_output_tokens"] == sent


def test_a_default_reaches_the_body() -> None:
    sent = build_request(
        load_dialect("anthropic-messages"), "chat", {"prompt": "Hi", "model": "m"}, TARGET, "none"
    )
    assert json.loads(sent.body)["max_tokens"] == 256


def test_models_of_any_shape(tmp_path: Path) -> None:
    rules = {"each": "$.items[?@.chat == true]", "id": {"select": "$.name", "as": "last_segment"}, "context_window": "$.window"}  # fmt: skip
    dialect = small(tmp_path, models=rules)
    body = {"items": [{"name": "models/a", "chat": True, "window": 8}, {"name": "b", "chat": False}, {"name": 7, "chat": True}, {"name": "c", "chat": True, "window": True}]}  # fmt: skip
    assert [(m.id, m.context_window) for m in read_models(dialect, exchange(body))] == [("a", 8), ("c", None)]
    assert read_models(dialect, exchange([1])) == ()


@pytest.mark.parametrize("body", [{"data": None}, {"data": ["x", {}]}, [], "x", None])
def test_no_models_in_another_document(tmp_path: Path, body: Any) -> None:
    assert read_models(small(tmp_path), exchange(body)) == ()


def test_any_of_several_events_is_the_end(tmp_path: Path) -> None:
    terminal = {"data": None, "event": ["done", "failed"]}
    dialect = small(tmp_path, stream={"terminal": terminal})
    assert read_stream(dialect, events({"t": "a"}, {}, names={1: "failed"})).terminals == (1,)
    assert read_stream(dialect, events({"t": "a"}, {}, names={1: "other"})).terminals == ()
    assert read_stream(dialect, events({})).terminal_name == "event done or failed"


def test_a_name_in_the_data_wins(tmp_path: Path) -> None:
    stream = {
        "name": "$.type",
        "terminal": {"data": None, "event": "end"},
        "ignore": ["ping"],
        "known": ["delta", "end"],
    }
    dialect = small(tmp_path, stream=stream)
    found = read_stream(
        dialect,
        events({"type": "ping", "t": "x"}, {"type": "delta", "t": "a"}, {"type": "end"}, names={2: "odd"}),
    )
    assert (found.text, found.terminals, found.ignored) == ("a", (2,), (0,))
    assert read_stream(dialect, events({"type": 7}, "[1", [1], names={0: "end"})).terminals == (0,)


def test_an_empty_id_says_nothing(tmp_path: Path) -> None:
    dialect = small(tmp_path, stream={"facts": {"response_id": "$.id"}})
    assert [p.value for p in read_stream(dialect, events({"id": ""}, {"id": "a"})).response_ids] == ["a"]


def test_a_finish_that_is_null_is_not_the_end(tmp_path: Path) -> None:
    """LiteLLM sends ``"finishReason": null`` on every chunk."""
    dialect = small(tmp_path, stream={"terminal": {"data": None, "eof_after": "$.f"}})
    assert read_stream(dialect, events({"f": None}, {"f": "STOP"})).terminals == (1,)


def test_a_price(tmp_path: Path) -> None:
    dialect = small(tmp_path, price={"input": 2.5, "output": 10})
    assert dialect.price == Price(2.5, 10)
    assert Price(2.5, 10).of(1_000_000, 100_000) == 3.5
