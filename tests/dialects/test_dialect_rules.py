"""Rules: sources in order, combinations, mappings, and how a fact says where it was or would be."""

from __future__ import annotations

from typing import Any

import pytest
from small_dialects import NOW, exchange

from conformance.dialects.facts import Fact
from conformance.dialects.rules import answered_at, compile_rule


def read(
    spec: Any, body: Any = None, headers: dict[str, str] | None = None, event: str | None = None
) -> Fact:
    return compile_rule(spec).read(body, exchange(body, headers=headers), event)


def test_a_path_gives_the_value_and_its_pointer() -> None:
    assert read("$.a[0].b", {"a": [{"b": 7}]}) == Fact(7, "/a/0/b")


def test_a_header_gives_its_text_and_its_name() -> None:
    assert read({"header": "x-request-id"}, {}, {"X-Request-Id": " r1 "}) == Fact("r1", "header x-request-id")


def test_a_constant_is_the_dialects() -> None:
    assert read({"const": "USD"}, {}) == Fact("USD", "dialect")


def test_what_is_not_there_is_absent_and_says_where_it_would_be() -> None:
    assert read("$.a.b", {"a": {}}) == Fact(None, "/a/b", "absent")
    assert read({"header": "x-a"}, {}) == Fact(None, "header x-a", "absent")
    assert not read("$.a", {})


def test_null_is_absent() -> None:
    assert read("$.a", {"a": None}).state == "absent"


@pytest.mark.parametrize("value", [False, 0, "", [], {}])
def test_an_empty_value_is_present(value: Any) -> None:
    assert read("$.a", {"a": value}) == Fact(value, "/a")


def test_unsupported_carries_the_reason() -> None:
    assert read({"unsupported": "no trace id"}, {"a": 1}) == Fact(None, "no trace id", "unsupported")


def test_the_first_alternative_with_a_value_wins() -> None:
    rule = ["$.a", "$.b", "$.c"]
    assert read(rule, {"a": None, "b": 2, "c": 3}) == Fact(2, "/b")
    assert read(rule, {}) == Fact(None, "/a", "absent")


def test_an_alternative_that_cannot_be_converted_gives_way_to_the_next() -> None:
    rule = [
        {"header": "retry-after", "seconds": "number"},
        {"header": "retry-after", "seconds": "http_date_delta"},
    ]
    assert read(rule, {}, {"Retry-After": "20"}).value == 20.0
    assert read(rule, {}, {"Retry-After": "Tue, 24 Nov 2026 08:18:53 GMT"}).value == 60.0
    assert read(rule, {}, {"Retry-After": "soon"}).state == "absent"


def test_join_puts_texts_together_and_skips_what_is_none() -> None:
    rule = {"select": "$.parts[*].text", "join": "+"}
    body = {"parts": [{"text": "a"}, {"text": None}, {"text": 3}, {"text": "b"}]}
    assert read(rule, body) == Fact("a+b", "/parts/0/text")
    assert read(rule, {"parts": [{"text": 3}]}).state == "absent"


def test_sum_adds_numbers_and_skips_what_is_none() -> None:
    rule = {"select": "$.usage['in','cache','flag','gone']", "sum": True}
    assert read(rule, {"usage": {"in": 5, "cache": 2, "flag": True}}) == Fact(7, "/usage/in")
    assert read(rule, {"usage": {"in": None}}).state == "absent"


def test_of_several_nodes_the_first_counts() -> None:
    assert read("$.a[*]", {"a": [1, 2]}) == Fact(1, "/a/0")


def test_map_translates_and_default_takes_the_rest() -> None:
    rule = {"select": "$.r", "map": {"end_turn": "stop", "1": "one"}, "default": "other"}
    assert read(rule, {"r": "end_turn"}).value == "stop"
    assert read(rule, {"r": 1}).value == "one"
    assert read(rule, {"r": "new"}).value == "other"
    assert read(rule, {"r": ["odd"]}).value == "other"
    assert read(rule, {"r": None}).state == "absent"
    assert read({"select": "$.r", "map": {"a": "b"}}, {"r": "new"}).state == "absent"


def test_a_rate_limit_field_is_read_by_policy_and_parameter() -> None:
    rule = {
        "header": "ratelimit",
        "sf_ratelimit": {"policy": "tokens", "parameter": "t"},
        "seconds": "number",
    }
    assert read(rule, {}, {"RateLimit": '"requests";r=3;t=9, "tokens";r=1;t=2'}) == Fact(
        2.0, "header ratelimit"
    )
    assert read(rule, {}, {"RateLimit": "broken;;"}).state == "absent"


def test_a_source_for_some_events_is_deaf_to_others() -> None:
    rule = {"select": "$.t", "events": ["token"]}
    assert read(rule, {"t": "a"}, event="token").value == "a"
    assert read(rule, {"t": "a"}, event="debug").state == "absent"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (None, NOW),
        ("Tue, 24 Nov 2026 08:17:52 GMT", NOW),  # within a second: our clock is the finer one
        ("Tue, 24 Nov 2026 09:17:53 GMT", NOW + 3600),  # an hour apart: its instants are of its clock
        ("not a date", NOW),
    ],
)
def test_instants_count_from_the_clock_that_made_them(date: str | None, expected: float) -> None:
    assert answered_at(exchange({}, headers={"Date": date} if date else {})) == expected
