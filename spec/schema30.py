"""From JSON Schema 2020-12, as OpenAPI 3.1 and 3.2 use it, to the Schema Object of OpenAPI 3.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NOT_IN_30 = (
    "$comment",
    "$defs",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_BOUNDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
_SCHEMAS = ("items", "additionalProperties", "not")
_LISTS = ("allOf", "anyOf", "oneOf")
_VALUES = ("example", "examples", "default", "value", "enum", "const")


def rewrite_schemas(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Rewrite every schema of an OpenAPI document in place; returns (JSON Pointer, what was lost)."""
    losses: list[tuple[str, str]] = []
    for place, key, pointer in list(_schema_places(document, "")):
        place[key] = _rewritten(place[key], pointer, losses)
    return losses


def token(name: str) -> str:
    """A name as one token of a JSON Pointer (RFC 6901 section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def _schema_places(node: Any, pointer: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Where a document has schemas: in parameters, headers and media types, and among the components."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _schema_places(item, f"{pointer}/{index}")
    elif isinstance(node, dict):
        for key, value in node.items():
            here = f"{pointer}/{token(key)}"
            if key == "schema":
                yield node, key, here
            elif here == "/components/schemas":
                yield from ((value, name, f"{here}/{token(name)}") for name in value)
            elif key not in _VALUES:
                yield from _schema_places(value, here)


def _rewritten(schema: Any, pointer: str, losses: list[tuple[str, str]]) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        here = f"{pointer}/{key}"
        if key in NOT_IN_30:
            losses.append((here, f"3.0 has no {key}"))
        elif key == "properties":
            result[key] = {n: _rewritten(s, f"{here}/{token(n)}", losses) for n, s in value.items()}
        elif key in _LISTS:
            members = [_rewritten(s, f"{here}/{index}", losses) for index, s in enumerate(value)]
            # A conjunct that became empty says nothing; an empty alternative allows everything and stays.
            result[key] = [m for m in members if m or key != "allOf"]
        elif key in _SCHEMAS and not (key == "additionalProperties" and isinstance(value, bool)):
            result[key] = _rewritten(value, here, losses)
        else:
            result[key] = value
    return _in_30_words({k: v for k, v in result.items() if k != "allOf" or v})


def _in_30_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Keywords that 3.0 has under another name or in another form."""
    if isinstance(schema.get("type"), list):
        _split_types(schema)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "examples" in schema:
        schema["example"] = schema.pop("examples")[0]
    for bound, exclusive in _BOUNDS:
        limit = schema.get(exclusive)
        if limit is not None and not isinstance(limit, bool):
            _exclude(schema, bound, exclusive, limit)
    if "$ref" in schema and len(schema) > 1:
        schema["allOf"] = [*schema.get("allOf", ()), {"$ref": schema.pop("$ref")}]
    return schema


def _split_types(schema: dict[str, Any]) -> None:
    """``type: [string, null]`` is ``nullable``; more than one other type needs alternatives."""
    given = schema.pop("type")
    types = [name for name in given if name != "null"]
    if len(types) == 1:
        schema["type"] = types[0]
    else:
        alternatives = [
            {"type": name, "nullable": True} if "null" in given else {"type": name} for name in types
        ]
        schema["allOf"] = [*schema.get("allOf", ()), {"anyOf": alternatives}]
        return
    if "null" in given:
        schema["nullable"] = True


def _exclude(schema: dict[str, Any], bound: str, exclusive: str, limit: float) -> None:
    """3.0 has one bound and a flag; the tighter of an inclusive and an exclusive bound is kept."""
    tighter = max if bound == "minimum" else min
    other = schema.get(bound)
    schema[bound] = limit if other is None else tighter(limit, other)
    schema[exclusive] = schema[bound] == limit
