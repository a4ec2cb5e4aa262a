"""What may change in one schema without breaking a client, apart from its members (those: spec.compatibility)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["request", "response"]
Node = Mapping[str, Any]
CONDITIONS = "x-conditions"
"""Where :func:`flat` keeps the `then` schemas, by their condition."""

_LEAST = ("minimum", "minLength", "minItems", "exclusiveMinimum", "minProperties")
_MOST = ("maximum", "maxLength", "maxItems", "exclusiveMaximum", "maxProperties")


@dataclass(frozen=True)
class Change:
    """One breaking change: where (operation, then a path into it) and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def value_changes(where: str, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
    """What the value itself may be: type, enum, bounds, form."""
    before, after = _types(old), _types(new)
    if before and after:
        missing = before - after if direction == "request" else after - before
        # Every integer is a number.
        allowed = after if direction == "request" else before
        missing -= {"integer"} if "number" in allowed else set()
        if missing:
            verb = "no longer allowed" if direction == "request" else "possible now"
            yield Change(where, f"{', '.join(sorted(missing))} is {verb}")
    known, offered = _enum(old), _enum(new)
    if offered is not None:
        gone = [] if known is None else [value for value in known if value not in offered]
        if gone:
            yield Change(where, f"the value {', '.join(map(str, gone))} was removed")
        if known is None and direction == "request":
            yield Change(where, "only certain values are allowed now")
    if direction == "request":
        yield from _bounds(where, old, new)


def _bounds(where: str, old: Node, new: Node) -> Iterator[Change]:
    for name in _LEAST:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield Change(where, f"{name} was raised to {new[name]}")
    for name in _MOST:
        if name in new and new[name] < old.get(name, float("inf")):
            yield Change(where, f"{name} was lowered to {new[name]}")
    for name in ("pattern", "format"):
        if name in new and new[name] != old.get(name):
            yield Change(where, f"{name} is {new[name]} now")


def flat(document: Node, schema: Node) -> dict[str, Any]:
    """The schema with the members of its `allOf` laid into it, and its `then` schemas by their condition."""
    merged = {key: value for key, value in schema.items() if key not in ("allOf", "if", "then", "else")}
    merged[CONDITIONS] = (
        {json.dumps(schema["if"], sort_keys=True): schema["then"]} if "then" in schema else {}
    )
    for part in schema.get("allOf", ()):
        inner = flat(document, resolve(document, part))
        for key, value in inner.items():
            if key in ("properties", CONDITIONS):
                merged[key] = {**value, **merged.get(key, {})}
            elif key == "required":
                merged[key] = sorted({*value, *merged.get(key, ())})
            else:
                merged.setdefault(key, value)
    return merged


def resolve(document: Node, node: Any) -> Node:
    """What a node refers to; members beside the reference are laid over it.

    Raises:
        KeyError: the reference leads nowhere, or back to itself.
    """
    seen: set[str] = set()
    while isinstance(node, Mapping) and "$ref" in node:
        if node["$ref"] in seen:
            raise KeyError(f"{node['$ref']} refers to itself")
        seen.add(node["$ref"])
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        target: Any = document
        for token in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~")]
        node = {**target, **siblings}
    return node if isinstance(node, Mapping) else {}


def _types(schema: Node) -> set[str]:
    given = schema.get("type", ())
    types = {given} if isinstance(given, str) else set(given)
    return types | {"null"} if schema.get("nullable") else types


def _enum(schema: Node) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def alternative_name(schema: Any, index: int) -> str:
    """By which an alternative is known in both documents."""
    given = schema if isinstance(schema, Mapping) else {}
    return str(given.get("$ref", "")).rpartition("/")[2] or str(given.get("title", index))
