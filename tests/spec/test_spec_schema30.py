"""From JSON Schema 2020-12 to OpenAPI 3.0: the same verdicts in other words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator

from spec.schema30 import rewrite_schemas

VALUES = [
    None,
    True,
    False,
    0,
    1,
    2,
    3,
    -1,
    1.5,
    "",
    "a",
    "b",
    [],
    [1],
    ["a"],
    {},
    {"p": 1},
    {"p": "a"},
    {"q": None},
]


def rewritten(schema: Any) -> tuple[Any, list[tuple[str, str]]]:
    document = {"components": {"schemas": {"S": copy.deepcopy(schema), "T": {"type": "string"}}}}
    losses = rewrite_schemas(document)
    return document["components"]["schemas"]["S"], losses


def verdicts(dialect: Any, schema: Any) -> list[bool]:
    root = {"allOf": [schema], "components": {"schemas": {"T": {"type": "string"}}}}
    return [dialect(root).is_valid(value) for value in VALUES]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string"]}, {"type": "string"}),
        ({"type": ["string", "integer"]}, {"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}]}),
        ({"type": "string", "const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"type": "number", "exclusiveMinimum": 1}, {"type": "number", "minimum": 1, "exclusiveMinimum": True}),
        (
            {"type": "number", "minimum": 2, "exclusiveMinimum": 1},
            {"type": "number", "minimum": 2, "exclusiveMinimum": False},
        ),
        (
            {"type": "number", "maximum": 2, "exclusiveMaximum": 2},
            {"type": "number", "maximum": 2, "exclusiveMaximum": True},
        ),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        (
            {"$ref": "#/components/schemas/T", "description": "d"},
            {"description": "d", "allOf": [{"$ref": "#/components/schemas/T"}]},
        ),
        ({"type": "object", "properties": {"p": True, "q": False}}, {"type": "object", "properties": {"p": {}, "q": {"not": {}}}}),
        ({"type": "object", "additionalProperties": False}, {"type": "object", "additionalProperties": False}),
        (
            {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            {"type": "object", "additionalProperties": {"type": "string", "nullable": True}},
        ),
    ],
)  # fmt: skip
def test_words_of_2020_12_have_words_in_30(schema: Any, expected: Any) -> None:
    result, losses = rewritten(schema)
    assert (result, losses) == (expected, [])
    assert verdicts(OAS30Validator, result) == verdicts(Draft202012Validator, schema)


@pytest.mark.parametrize(
    ("schema", "expected", "lost"),
    [
        ({"type": "array", "prefixItems": [{}]}, {"type": "array"}, ["prefixItems"]),
        ({"type": "object", "propertyNames": {"pattern": "p"}}, {"type": "object"}, ["propertyNames"]),
        ({"allOf": [{"if": {}, "then": {}}, {"type": "string"}]}, {"allOf": [{"type": "string"}]}, ["allOf/0/if", "allOf/0/then"]),
        ({"type": "string", "allOf": [{"if": {}, "else": {}}]}, {"type": "string"}, ["allOf/0/if", "allOf/0/else"]),
        ({"anyOf": [{"contains": {}}, {"type": "string"}]}, {"anyOf": [{}, {"type": "string"}]}, ["anyOf/0/contains"]),
    ],
)  # fmt: skip
def test_what_30_cannot_say_is_listed(schema: Any, expected: Any, lost: list[str]) -> None:
    result, losses = rewritten(schema)
    assert result == expected
    assert [pointer for pointer, _ in losses] == [f"/components/schemas/S/{path}" for path in lost]


def test_members_that_are_named_like_keywords_are_members() -> None:
    schema = {"type": "object", "properties": {"if": {"const": 1}, "examples": {"type": ["string", "null"]}}}
    result, losses = rewritten(schema)
    assert result["properties"] == {"if": {"enum": [1]}, "examples": {"type": "string", "nullable": True}}
    assert losses == []


def test_examples_are_values_and_not_schemas() -> None:
    media = {"schema": {"type": "object"}, "examples": {"e": {"value": {"schema": {"const": 1}}}}}
    document = {"paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": media}}}}}}}
    before = copy.deepcopy(document)
    assert rewrite_schemas(document) == []
    assert document == before


BOUND = st.integers(-1, 3)
NAMES = ("string", "integer", "boolean", "array", "object")
TYPES = st.one_of(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(lambda names: [*names, "null"]),
)
TYPED = st.fixed_dictionaries(
    {"type": TYPES},
    optional={
        "minimum": BOUND,
        "exclusiveMinimum": BOUND,
        "maximum": BOUND,
        "exclusiveMaximum": BOUND,
        "minLength": st.integers(0, 1),
        "required": st.just(["p"]),
    },
)
CONSTANTS = st.sampled_from([{"type": "integer", "const": 1}, {"type": "string", "enum": ["a", "b"]}])
SCHEMAS = st.recursive(
    TYPED | CONSTANTS | st.just({"$ref": "#/components/schemas/T", "minLength": 1}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("object"), "properties": st.fixed_dictionaries({"p": inner})}),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        *(
            st.lists(inner, min_size=1, max_size=2).map(lambda s, k=key: {k: s})
            for key in ("allOf", "anyOf", "oneOf")
        ),
        inner.map(lambda schema: {"not": schema}),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS)
def test_a_rewritten_schema_gives_the_same_verdicts(schema: Any) -> None:
    result, losses = rewritten(schema)
    assert losses == []
    assert verdicts(OAS30Validator, result) == verdicts(Draft202012Validator, schema)
