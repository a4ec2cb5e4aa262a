"""Compatibility: what breaks a client is found, what does not is let through, and the contract breaks nobody."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spec.compatibility import breaking_changes, main, released
from spec.document import contract_version, load_document

OLD: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1.0.0"},
    "security": [{"bearer": []}],
    "paths": {
        "/ask": {
            "post": {
                "parameters": [
                    {"in": "header", "name": "API-Version", "schema": {"type": "string", "enum": ["1", "2"]}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}},
                },
                "responses": {
                    "200": {
                        "headers": {"X-Request-Id": {"required": True, "schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
                    },
                    "202": {"description": "later"},
                    "404": {"content": {"application/json": {"schema": {"type": "object"}}}},
                },
            }
        },
        "/health": {"get": {"security": [], "responses": {"200": {"description": "fine"}}}},
    },
    "components": {
        "schemas": {
            "Question": {
                "type": "object",
                "required": ["text"],
                "properties": {
                    "text": {"type": "string", "minLength": 1, "maxLength": 50},
                    "style": {"type": "string", "enum": ["short", "long"]},
                    "score": {"type": "number"},
                    "hint": {"type": ["string", "null"]},
                },
            },
            "Answer": {
                "allOf": [{"$ref": "#/components/schemas/Base"}],
                "type": "object",
                "required": ["text"],
                "properties": {
                    "text": {"type": "string"},
                    "reason": {"type": "string", "enum": ["stop", "length"]},
                    "children": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
                    "kind": {"oneOf": [{"title": "a", "type": "string"}, {"title": "b", "type": "integer"}]},
                },
            },
            "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        }
    },
}
QUESTION, ANSWER, BASE = (OLD["components"]["schemas"][n] for n in ("Question", "Answer", "Base"))
Edit = Callable[[dict[str, Any]], Any]


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def ask(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/ask"]["post"]
    return found


def edited(edit: Edit) -> dict[str, Any]:
    document = copy.deepcopy(OLD)
    edit(document)
    return document


BREAKING: list[tuple[str, Edit]] = [
    ("GET /health: the operation was removed", lambda d: d["paths"].pop("/health")),
    ("GET /health: a credential became necessary", lambda d: d["paths"]["/health"]["get"].pop("security")),
    ("POST /ask 202: the response was removed", lambda d: ask(d)["responses"].pop("202")),
    ("POST /ask query limit: the parameter was removed", lambda d: ask(d)["parameters"].pop()),
    ("POST /ask query limit: the parameter became required", lambda d: ask(d)["parameters"][1].update(required=True)),
    ("POST /ask query limit: maximum was lowered to 50", lambda d: ask(d)["parameters"][1]["schema"].update(maximum=50)),
    ("POST /ask query page: a required parameter was added", lambda d: ask(d)["parameters"].append({"in": "query", "name": "page", "required": True})),
    ("POST /ask header api-version: the value 1 was removed", lambda d: ask(d)["parameters"][0]["schema"].update(enum=["2"])),
    ("POST /ask request: a body became required", lambda d: ask(d)["requestBody"].update(required=True)),
    ("POST /ask request: the media type application/json was removed", lambda d: ask(d)["requestBody"].update(content={})),
    ("POST /ask request /lang: the field became required", lambda d: schemas(d)["Question"].update(required=["text", "lang"])),
    ("POST /ask request: other fields are no longer allowed", lambda d: schemas(d)["Question"].update(additionalProperties=False)),
    ("POST /ask request /style: the value long was removed", lambda d: schemas(d)["Question"]["properties"]["style"].update(enum=["short"])),
    ("POST /ask request /text: maxLength was lowered to 10", lambda d: schemas(d)["Question"]["properties"]["text"].update(maxLength=10)),
    ("POST /ask request /text: minLength was raised to 2", lambda d: schemas(d)["Question"]["properties"]["text"].update(minLength=2)),
    ("POST /ask request /text: pattern is ^a now", lambda d: schemas(d)["Question"]["properties"]["text"].update(pattern="^a")),
    ("POST /ask request /score: number is no longer allowed", lambda d: schemas(d)["Question"]["properties"]["score"].update(type="integer")),
    ("POST /ask request /hint: null is no longer allowed", lambda d: schemas(d)["Question"]["properties"]["hint"].update(type="string")),
    ("POST /ask request /hint: only certain values are allowed now", lambda d: schemas(d)["Question"]["properties"]["hint"].update(enum=["a"])),
    ("POST /ask 200 header X-Request-Id: the header was removed", lambda d: ask(d)["responses"]["200"].pop("headers")),
    ("POST /ask 200 header X-Request-Id: the header is no longer always there", lambda d: ask(d)["responses"]["200"]["headers"]["X-Request-Id"].pop("required")),
    ("POST /ask 200 /reason: the field was removed", lambda d: schemas(d)["Answer"]["properties"].pop("reason")),
    ("POST /ask 200 /reason: the value length was removed", lambda d: schemas(d)["Answer"]["properties"]["reason"].update(enum=["stop"])),
    ("POST /ask 200 /text: the field is no longer always there", lambda d: schemas(d)["Answer"].pop("required")),
    ("POST /ask 200 /text: null is possible now", lambda d: schemas(d)["Answer"]["properties"]["text"].update(type=["string", "null"])),
    ("POST /ask 200 /id: the field is no longer always there", lambda d: schemas(d)["Base"].pop("required")),
    ("POST /ask 200 /kind a: integer is possible now", lambda d: schemas(d)["Answer"]["properties"]["kind"]["oneOf"][0].update(type=["string", "integer"])),
    ("POST /ask 404: the media type application/json was removed", lambda d: ask(d)["responses"]["404"].pop("content")),
]  # fmt: skip

HARMLESS: list[tuple[str, Edit]] = [
    ("nothing", lambda d: None),
    ("a new operation", lambda d: d["paths"].update({"/new": {"get": {"responses": {}}}})),
    ("a new optional parameter", lambda d: ask(d)["parameters"].append({"in": "query", "name": "page"})),
    ("an optional field of a request", lambda d: schemas(d)["Question"]["properties"].update(lang={"type": "string"})),
    ("a field of an answer", lambda d: schemas(d)["Answer"]["properties"].update(lang={"type": "string"})),
    ("a field that answers always have now", lambda d: schemas(d)["Answer"]["required"].append("reason")),
    ("a value of an answer's enum", lambda d: schemas(d)["Answer"]["properties"]["reason"]["enum"].append("filter")),
    ("a value of a request's enum", lambda d: schemas(d)["Question"]["properties"]["style"]["enum"].append("poem")),
    ("a wider bound", lambda d: schemas(d)["Question"]["properties"]["text"].update(maxLength=500)),
    ("a field of a request no longer required", lambda d: schemas(d)["Question"].pop("required")),
    ("a new error", lambda d: ask(d)["responses"].update({"409": {"description": "x"}})),
    ("an answer whose number is an integer", lambda d: schemas(d)["Answer"]["properties"]["kind"]["oneOf"][0].update(description="words")),
    ("another header", lambda d: ask(d)["responses"]["200"]["headers"].update({"Link": {"schema": {}}})),
    ("a key no longer needed", lambda d: ask(d).update(security=[])),
]  # fmt: skip


@pytest.mark.parametrize(("told", "edit"), BREAKING, ids=[told for told, _ in BREAKING])
def test_what_breaks_a_client_is_found_and_named(told: str, edit: Edit) -> None:
    assert [str(c) for c in breaking_changes(OLD, edited(edit))] == [told]


@pytest.mark.parametrize("edit", [edit for _, edit in HARMLESS], ids=[name for name, _ in HARMLESS])
def test_what_breaks_nobody_is_let_through(edit: Edit) -> None:
    assert breaking_changes(OLD, edited(edit)) == []


def test_a_field_may_leave_an_open_request_but_not_a_closed_one() -> None:
    gone = edited(lambda d: schemas(d)["Question"]["properties"].pop("hint"))
    assert breaking_changes(OLD, gone) == []
    closed = edited(lambda d: schemas(d)["Question"].update(additionalProperties=False))
    gone = copy.deepcopy(closed)
    schemas(gone)["Question"]["properties"].pop("hint")
    assert [str(c) for c in breaking_changes(closed, gone)] == [
        "POST /ask request /hint: the field was removed"
    ]


def test_the_contract_breaks_no_client_of_a_released_version() -> None:
    now = load_document()
    major = contract_version().partition(".")[0]
    compared = [v for v in released() if v.partition(".")[0] == major]
    assert compared
    assert {v: breaking_changes(released()[v], now) for v in compared} == {v: [] for v in compared}


def test_every_operation_and_schema_of_the_contract_is_really_walked() -> None:
    """A field taken from any answer, or made necessary in any request, does not go unnoticed."""
    now = load_document()
    for name in ("Metadata", "Model", "Session", "Estimate", "UsageEntry", "DoneEvent", "LimitDetails"):
        changed = load_document()
        changed["components"]["schemas"][name]["properties"].popitem()
        assert breaking_changes(now, changed), name
    for name in ("ChatRequest", "ClassifyRequest", "SessionRequest", "Message"):
        changed = load_document()
        changed["components"]["schemas"][name].setdefault("required", []).append("new")
        assert breaking_changes(now, changed), name


def test_the_command_tells_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, same = (tmp_path / n for n in ("old.json", "new.json", "same.json"))
    old.write_text(json.dumps(OLD))
    same.write_text(json.dumps(OLD))
    new.write_text(json.dumps(edited(lambda d: d["paths"].pop("/health"))))
    assert main([str(old), str(same)]) == 0
    assert capsys.readouterr().out == "compatible\n"
    command = [sys.executable, "-m", "spec.compatibility", str(old), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "GET /health: the operation was removed\n1 breaking changes\n"


@pytest.mark.parametrize("made_of", [lambda ref: ref, lambda ref: {"allOf": [ref]}])
def test_a_schema_that_is_made_of_itself_ends_the_comparison(made_of: Callable[[Any], Any]) -> None:
    base = made_of({"$ref": "#/components/schemas/Base"})
    with pytest.raises(KeyError, match="itself"):
        breaking_changes(OLD, edited(lambda d: schemas(d).update(Base=base)))


def test_what_cannot_be_compared_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, text, far, deep = (tmp_path / f"{n}.json" for n in ("good", "text", "far", "deep"))
    good.write_text(json.dumps(OLD))
    text.write_text("- a list")
    far.write_text(json.dumps(edited(lambda d: d["components"]["schemas"].pop("Answer"))))
    deep.write_text("[" * 5_000)
    for arguments in (
        [],
        [str(good)],
        [str(good), "absent.json"],
        [str(good), str(text)],
        [str(good), str(far)],
        [str(good), str(deep)],
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "Traceback" not in told
