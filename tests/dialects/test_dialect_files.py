"""Dialect files: the ones that ship are complete; a wrong one is refused in one line that says where and what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from small_dialects import small, write_dialect

from conformance.dialects.facts import ANSWER_FACTS, ERROR_FACTS, HEADER_FACTS, STREAM_FACTS
from conformance.dialects.lint import NEEDS, lint
from conformance.dialects.model import PARAMETERS, DialectError, Offer, builtin_dialects, load_dialect
from conformance.dialects.schema import dialect_schema
from conformance.dialects.yaml_file import merge_patch
from spec.catalogue import requirements
from spec.errors import ERRORS

# ---- what ships


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_shipped_dialect_is_complete(name: str) -> None:
    dialect = load_dialect(name)
    assert dialect.name == name
    assert lint(dialect) == []
    assert load_dialect(name) is dialect


def test_the_shipped_dialects() -> None:
    assert builtin_dialects() == [
        "anthropic-messages", "anthropic-messages-2026", "azure-openai", "cohere-v2", "contract", "gemini",
        "mistral", "open-responses", "openai", "openai-chat", "openai-facade", "openai-responses",
    ]  # fmt: skip


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_shipped_dialect_declares_every_capability_of_the_catalogue(name: str) -> None:
    asked = {r.capability for r in requirements().values()}
    declared = set(load_dialect(name).capabilities)
    assert asked <= declared | {c for c in asked if c.rpartition(".")[0] in declared}
    assert declared <= asked | {"sandbox"}


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_shipped_dialect_classifies_onto_codes_of_the_contract(name: str) -> None:
    assert {rule.code for rule in load_dialect(name).error.classify} <= {*ERRORS, "same"}


def test_the_contract_offers_everything() -> None:
    dialect = load_dialect("contract")
    assert {offer.state for offer in dialect.capabilities.values()} == {"offered"}
    assert set(dialect.provocations) == {
        "slow_first_token", "slow_tokens", "model_timeout", "content_filter_input", "content_filter_output",
        "slow_job", "endless_job", "failing_job", "job_needs_approval", "job_misses_deadline", "job_soon_forgotten",
        "fault_midstream", "overloaded", "unavailable", "tool_failure", "long", "tool_use", "tool_unknown", "tool_wrong_arguments",
        "tool_misuse",
        "tool_bad_json", "tool_error", "tool_loop", "tool_terminal", "tool_action", "tool_two_actions",
        "tool_action_fails", "tool_injection", "tool_ledger", "retired_model",
    }  # fmt: skip


def test_offers_fall_back_to_the_parent() -> None:
    dialect = load_dialect("openai-chat")
    assert dialect.offer("rate_limits.tokens").state == dialect.offer("rate_limits").state == "detected"
    assert dialect.offer("streaming").state == "offered"
    assert dialect.offer("streaming.turns").state == "not_offered"
    assert dialect.offer("fine_tuning.jobs") == Offer("not_offered")


def test_core_is_always_offered(tmp_path: Path) -> None:
    assert small(tmp_path, capabilities={"core": None}).offer("core") == Offer("offered")


# ---- the schema


def test_the_schema_is_a_schema_and_knows_every_fact() -> None:
    schema = dialect_schema()
    Draft202012Validator.check_schema(schema)
    parts = schema["properties"]
    assert tuple(parts["answer"]["properties"]) == ANSWER_FACTS
    assert tuple(parts["headers"]["properties"]) == HEADER_FACTS
    assert tuple(parts["stream"]["properties"]["facts"]["properties"]) == STREAM_FACTS
    assert set(parts["error"]["properties"]) == {*ERROR_FACTS, "classify"}
    provocation = parts["provocations"]["additionalProperties"]["properties"]
    assert set(provocation) == {*PARAMETERS, "context_window"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"titel": "x"}, "top level: unknown key 'titel'; known here: extends, dialect, version, title"),
    ({"title": None}, "top level: the key 'title' is missing"),
    ({"title": ""}, '/title: "" is not a text of at least one character'),
    ({"version": 1.0}, "/version: 1.0 is not a quoted version such as '1.0.0'"),
    ({"dialect": "My Own"}, '/dialect: "My Own" is not a name of lower-case letters, digits and hyphens'),
    ({"written_for": {"checked": "last week"}}, '/written_for/checked: "last week" is not a date such as'),
    ({"auth": {"value": "Bearer key"}}, '/auth/value: "Bearer key" is not a text with {key} where'),
    ({"capabilities": {"models": "maybe"}}, '/capabilities/models: "maybe" is not one of offered, not_offered, detected'),
    ({"capabilities": {"Models": "offered"}}, "is not a capability name such as rate_limits.tokens"),
    ({"operations": {"chatt": {"method": "POST", "path": "/"}}}, "/operations: unknown key 'chatt'; known here: chat, chat_stream"),
    ({"operations": {"chat": {"method": "SEND"}}}, '/operations/chat/method: "SEND" is not one of GET, POST'),
    ({"operations": {"chat": {"path": "chat"}}}, '/operations/chat/path: "chat" is not a path below the base URL that begins with /'),
    ({"operations": {"chat": {"body": "x"}}}, '/operations/chat/body: "x" is not the template of a JSON object'),
    ({"operations": {"chat": {"body": {"a": ["{modle}"]}}}}, "/operations/chat/body/a/0: {modle} is no parameter; known here: prompt"),
    ({"request_headers": {"x": "{role}"}}, "/request_headers/x: {role} is no parameter"),
    ({"messages": {"item": {"x": "{text}"}}}, "/messages/item/x: {text} is no parameter; known here: role, content"),
    ({"answer": {"texts": "$.a"}}, "/answer: unknown key 'texts'; known here: text, finish_reason"),
    ({"answer": {"text": "choices"}}, '/answer/text: "choices" is not a JSONPath (RFC 9535) such as'),
    ({"answer": {"text": 7}}, "/answer/text: 7 is not a JSONPath"),
    ({"answer": {"text": []}}, "/answer/text: [] is not a list of at least one source"),
    ({"answer": {"text": ["$.a", {"selct": "$.b"}]}}, "/answer/text/1: unknown key 'selct'; known here: select, header"),
    ({"answer": {"text": {"select": "$.a", "header": "x"}}}, "is not a source: give exactly one of select, header, const"),
    ({"answer": {"text": {"as": "int"}}}, "is not a source: give exactly one of select, header, const"),
    ({"answer": {"text": {"select": "$.a", "as": "int", "seconds": "ms"}}}, "is not a conversion: give only one of as, seconds"),
    ({"answer": {"text": {"header": "x", "join": ""}}}, "/answer/text: 'join' needs 'select' beside it"),
    ({"answer": {"text": {"select": "$.a", "default": "x"}}}, "/answer/text: 'default' needs 'map' beside it"),
    ({"answer": {"text": {"select": "$.a", "seconds": "minutes"}}}, '/answer/text/seconds: "minutes" is not one of number, ms, go_duration'),
    ({"answer": {"text": {"select": "$.a", "take": "last"}}}, "/answer/text: unknown key 'take'"),
    ({"answer": {"text": {"unsupported": ""}}}, '/answer/text/unsupported: "" is not a text'),
    ({"answer": {"text": {"select": "$.a[?"}}}, "/answer/text: '$.a[?' is not a JSONPath (RFC 9535): "),
    ({"error": {"classify": [{"code": "X"}]}}, "is not a rule with a condition: give at least one of status, raw_code"),
    ({"error": {"classify": [{"code": "x", "status": [400]}]}}, '/error/classify/0/code: "x" is not a code of the contract, or same'),
    ({"error": {"classify": [{"code": "X", "statsu": [400]}]}}, "/error/classify/0: unknown key 'statsu'"),
    ({"error": {"classify": [{"code": "X", "match": "(a"}]}}, "/error/classify/0/match: '(a' is not a regular expression: missing )"),
    ({"error": {"classify": [{"code": "X", "when": "$.a["}]}}, "/error/classify/0/when: '$.a[' is not a JSONPath"),
    ({"stream": {"framing": "binary"}}, '/stream/framing: "binary" is not one of sse'),
    ({"stream": {"terminal": {"event": "end"}}}, "give exactly one of data, event, eof_after"),
    ({"stream": {"error": {"when": "$["}}}, "/stream/error/when: '$[' is not a JSONPath"),
    ({"provocations": {"long": {"promt": "x"}}}, "/provocations/long: unknown key 'promt'; known here: prompt"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_dialect_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_dialect(tmp_path, changes)
    with pytest.raises(DialectError) as caught:
        load_dialect(str(path))
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "line 1, column 5: "),
        (b"title: a\ntitle: b\n", "line 2, column 1: the key 'title' is there twice"),
        (b"a:\n  b: 1\n  b: 2\n", "line 3, column 3: the key 'b' is there twice"),
        (b"404: x\n", "line 1, column 1: the key 404 must be quoted"),
        (b"a: !!python/object:os.system x\n", "line 1, column 4: could not determine a constructor"),
        (b"a: \xff\n", "byte 3 is not UTF-8"),
        (b"a: \x07\n", "not YAML"),
        (b"", "top level: null is not of type object"),
        (b"- a\n", 'top level: ["a"] is not of type object'),
    ],
)
def test_a_file_that_is_no_dialect_is_refused_in_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text)
    with pytest.raises(DialectError) as caught:
        load_dialect(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DialectError, match=r"gone\.yaml: cannot be read: No such file"):
        load_dialect(str(tmp_path / "gone.yaml"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        DialectError,
        match=r"no dialect 'opanai': choose anthropic-messages, .*, or name a \.yaml file",
    ):
        load_dialect("opanai")


def test_dates_stay_text_and_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    path = write_dialect(tmp_path, {})
    document = json.loads(path.read_text())
    operations = document.pop("operations")
    document["written_for"]["checked"] = None
    path.write_text(
        json.dumps(document).replace('"checked": null', '"checked": 2026-11-24')[:-1]
        + ', "operations": {"chat": &c '
        + json.dumps(operations["chat"])
        + ', "models": {<<: *c, method: GET}}}'
    )
    dialect = load_dialect(str(path))
    assert dialect.written_for["checked"] == "2026-11-24"
    assert (dialect.operations["models"].method, dialect.operations["models"].path) == ("GET", "/chat")


# ---- extension


def extending(folder: Path, **changes: Any) -> str:
    path = folder / "mine.yaml"
    path.write_text(json.dumps(changes), "utf-8")
    return str(path)


def test_an_extending_dialect_says_only_what_differs(tmp_path: Path) -> None:
    base = load_dialect("openai-chat")
    filtered = {"content_filter_input": {"prompt": "something filtered"}}
    mine = load_dialect(extending(tmp_path, extends="openai-chat", provocations=filtered, capabilities={"models": "not_offered"}, operations={"models": None}))  # fmt: skip
    assert mine.name == "openai-chat"
    assert mine.provocations == {**base.provocations, **filtered}
    assert "models" not in mine.operations
    assert mine.offer("models").state == "not_offered"
    assert mine.answer == base.answer


def test_an_extending_dialect_is_validated_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DialectError, match=r"mine\.yaml: top level: the key 'stream' is missing"):
        load_dialect(extending(tmp_path, extends="openai-chat", stream=None))


@pytest.mark.parametrize("name", ["nobody", 7, ["contract"], None])
def test_only_a_built_in_dialect_can_be_extended(tmp_path: Path, name: Any) -> None:
    with pytest.raises(
        DialectError, match=r"/extends: there is no built-in dialect .*: choose anthropic-messages, "
    ):
        load_dialect(extending(tmp_path, extends=name))


@pytest.mark.parametrize(
    ("base", "patch", "expected"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_extension_is_json_merge_patch(base: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(base, patch) == expected


# ---- lint


def test_lint_names_a_silent_fact_a_lossy_map_and_an_empty_promise(tmp_path: Path) -> None:
    complete = {name: {"unsupported": "none"} for name in ANSWER_FACTS}
    complete["finish_reason"] = {"select": "$.r", "map": {"a": "stop"}}
    dialect = small(
        tmp_path,
        answer={**complete, "text": None},
        headers={name: {"unsupported": "none"} for name in HEADER_FACTS},
        error=dict.fromkeys(ERROR_FACTS, "$.x"),
        stream={"facts": dict.fromkeys(STREAM_FACTS, "$.x")},
        capabilities={"models": "offered", "streaming": "detected"},
    )
    assert lint(dialect) == [
        "/answer/text: has no rule; write one, or 'unsupported: reason'",
        "/answer/finish_reason: drops a value that its map does not name; add 'default: other'",
        "/capabilities/models: is offered, but there is no operation 'models'",
    ]


@pytest.mark.parametrize("capability", NEEDS)
def test_the_contract_has_an_operation_for_what_it_offers(capability: str) -> None:
    assert NEEDS[capability] in load_dialect("contract").operations
