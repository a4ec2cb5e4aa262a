"""Requests: templates, conversations, headers and addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dialects import small
from transcript_files import spoken

from conformance.dialects.model import Dialect, load_dialect
from conformance.dialects.request import UnsupportedOperation, build_request
from conformance.evidence import Principal, Sent
from conformance.target import Target

TARGET = Target("http://127.0.0.1:8000/v1/", "any", keys={"main": "sk-1", "limited": ""})
CONTRACT = load_dialect("contract")


def send(
    dialect: Dialect | str, operation: str = "chat", principal: Principal = "main", **params: Any
) -> Sent:
    chosen = load_dialect(dialect) if isinstance(dialect, str) else dialect
    return build_request(chosen, operation, params, TARGET, principal)


def body(dialect: Dialect | str, operation: str = "chat", **params: Any) -> Any:
    return json.loads(send(dialect, operation, **params).body)


def with_body(folder: Path, template: Any, **more: Any) -> Dialect:
    return small(folder, operations={"chat": {"body": {"messages": None, **template}}}, **more)


def test_a_chat_request_of_the_contract() -> None:
    sent = send(
        "contract", prompt="Hi", system="Be brief.", max_output_tokens=8, seed=0, idempotency_key="k-1"
    )
    assert (sent.method, sent.url) == ("POST", "http://127.0.0.1:8000/v1/chat")
    assert dict(sent.headers) == {
        "Accept": "application/json",
        "Idempotency-Key": "k-1",
        "Content-Type": "application/json",
        "Authorization": "Bearer sk-1",
    }
    assert json.loads(sent.body) == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_output_tokens": 8,
        "seed": 0,
    }


def test_a_streamed_chat_request_of_openai() -> None:
    sent = send(
        "openai-chat", "chat_stream", prompt="Hi", model="m", max_output_tokens=8, idempotency_key="k"
    )
    assert sent.url == "http://127.0.0.1:8000/v1/chat/completions"
    assert ("Accept", "text/event-stream") in sent.headers
    assert json.loads(sent.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_openais_own_service_gets_the_newer_limit() -> None:
    for operation in ("chat", "chat_stream"):
        sent = body("openai", operation, prompt="Hi", max_output_tokens=8)
        assert (sent["max_completion_tokens"], "max_tokens" in sent) == (8, False)


@pytest.mark.parametrize(
    ("operation", "params", "method", "path"),
    [
        ("chat_deferred", {"prompt": "x"}, "POST", "/chat"),
        ("turn_stream", {"turn_id": "a b&c"}, "GET", "/chat/stream?turn_id=a%20b%26c"),
        ("classify", {"text": "x"}, "POST", "/classify"),
        ("models", {}, "GET", "/models"),
        ("model", {"model": "org/a b?"}, "GET", "/models/org%2Fa%20b%3F"),
        ("capabilities", {}, "GET", "/capabilities"),
        ("description", {}, "GET", "/openapi.json"),
        ("errors", {}, "GET", "/errors"),
        ("error", {"code": "RATE_LIMITED"}, "GET", "/errors/RATE_LIMITED"),
        ("health", {}, "GET", "/health"),
    ],
)
def test_where_the_contracts_operations_are(
    operation: str, params: dict[str, Any], method: str, path: str
) -> None:
    sent = send("contract", operation, **params)
    assert (sent.method, sent.url) == (method, "http://127.0.0.1:8000/v1" + path)
    assert bool(sent.body) is (method == "POST")
    assert any(k == "Content-Type" for k, _ in sent.headers) is (method == "POST")


def test_deferred_and_body_keys_of_the_contract() -> None:
    sent = body(
        "contract", "chat_deferred", prompt="x", idempotency_key_body="k", sandbox={"scenario": "overloaded"}
    )
    assert (sent["deferred"], sent["idempotency_key"], sent["sandbox"]) == (
        True,
        "k",
        {"scenario": "overloaded"},
    )


@pytest.mark.parametrize("value", [0, False, "", [], {}, -1.5, {"a": None}, [None]])
def test_a_placeholder_alone_keeps_the_type(tmp_path: Path, value: Any) -> None:
    assert body(with_body(tmp_path, {"x": "{seed}"}), seed=value) == {"x": value}


def test_what_is_absent_takes_its_surroundings_with_it(tmp_path: Path) -> None:
    template = {
        "a": {"b": {"c": "{seed}"}, "d": ["{seed}", "{model}"]},
        "e": [{"f": "{seed}"}],
        "g": {},
        "h": [1],
    }
    dialect = with_body(tmp_path, template)
    assert body(dialect, model="m") == {"a": {"d": ["m"]}, "g": {}, "h": [1]}
    assert body(dialect, seed=None) == {"g": {}, "h": [1]}
    assert body(with_body(tmp_path, {"a": {"b": "{seed}"}})) == {}


def test_a_placeholder_inside_text_is_text(tmp_path: Path) -> None:
    dialect = with_body(tmp_path, {"x": "t={temperature} s={seed}"})
    assert body(dialect, temperature=0.5, seed=True) == {"x": "t=0.5 s=true"}
    assert body(dialect, temperature=0.5) == {}


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    assert body("contract", prompt="{model} {x}", model="m")["messages"][0]["content"] == "{model} {x}"
    assert send("contract", "error", code="{model}").url.endswith("/errors/%7Bmodel%7D")


def test_messages_win_over_prompt_and_stay_as_given() -> None:
    odd = [{"role": "wizard", "content": None, "name": "x"}, {"content": "no role"}, "text", None]
    assert body("contract", messages=odd, prompt="ignored", system="ignored")["messages"] == odd
    assert body("contract", messages=[])["messages"] == []
    assert body("contract", messages="not a list")["messages"] == "not a list"
    assert "messages" not in body("contract", model="m")


def test_a_vendor_with_the_system_text_apart() -> None:
    anthropic = spoken("anthropic-messages")
    assert body(anthropic, prompt="Hi", system="Be brief.")["system"] == "Be brief."
    assert "system" not in body(anthropic, prompt="Hi")
    told = [
        {"role": "system", "content": "A"},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "B"},
    ]
    sent = body(anthropic, messages=told)
    assert (sent["system"], sent["messages"]) == ("A\n\nB", [{"role": "user", "content": "Hi"}])
    assert ("anthropic-version", "2023-06-01") in send(anthropic, prompt="x").headers
    assert ("x-api-key", "sk-1") in send(anthropic, prompt="x").headers


def test_a_vendor_with_its_own_form_of_messages() -> None:
    told = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "No."},
    ]
    sent = send(spoken("gemini"), "chat_stream", messages=told, system="Be brief.", model="g-1")
    assert sent.url == "http://127.0.0.1:8000/v1/models/g-1:streamGenerateContent?alt=sse"
    assert json.loads(sent.body) == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Yes?"}]},
            {"role": "user", "parts": [{"text": "No."}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


@pytest.mark.parametrize("principal", ["none", "other", "limited"])
def test_who_has_no_key_sends_none(principal: Principal) -> None:
    assert CONTRACT.auth_headers(TARGET, principal) == ()
    assert "Authorization" not in dict(send("contract", principal=principal, prompt="x").headers)


def test_the_targets_own_headers_replace_the_dialects() -> None:
    target = Target(
        "http://h", "contract", keys={"main": "k"}, headers={"authorization": "Basic x", "X-Team": "a"}
    )
    headers = build_request(CONTRACT, "models", {}, target, "main").headers
    assert headers == (("Accept", "application/json"), ("authorization", "Basic x"), ("X-Team", "a"))


def test_an_unknown_operation_names_dialect_and_operation() -> None:
    with pytest.raises(UnsupportedOperation, match="openai-chat has no operation classify"):
        send("openai-chat", "classify", text="x")


def test_a_path_without_its_parameter_names_it() -> None:
    with pytest.raises(UnsupportedOperation, match="model cannot be sent without model"):
        send("contract", "model", model=None)


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_any_text_arrives_as_it_is(text: str) -> None:
    assert body("contract", prompt=text)["messages"][0]["content"] == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\\ud800", "é😀"])
def test_a_lone_surrogate_is_sent_as_its_escape(text: str) -> None:
    sent = send("contract", prompt=text).body
    sent.decode("utf-8")
    assert json.loads(sent)["messages"][0]["content"] == text


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_nothing_in_a_path_leaves_its_segment(text: str) -> None:
    url = send("contract", "error", code=text).url
    segment = url.removeprefix("http://127.0.0.1:8000/v1/errors/")
    assert not set(segment) & set("/?#& \r\n")
