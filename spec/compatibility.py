"""What would break a client that was written for an older edition of a description.

    python -m spec.compatibility OLD NEW

lists the breaking changes between two OpenAPI 3.x documents (JSON or YAML) and exits with 1 if there are any. What is
added breaks nobody: clients of the contract ignore what they do not know. The rules are those of VER-14 and Google's
AIP-180: nothing that a request may say is refused later, nothing that an answer has said is missing later.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from spec.assembly import METHODS
from spec.schema_changes import (
    CONDITIONS,
    Change,
    Direction,
    Node,
    alternative_name,
    flat,
    resolve,
    value_changes,
)

_ALTERNATIVES = ("oneOf", "anyOf")


@cache
def released() -> Mapping[str, Node]:
    """The documents of the released versions of the contract, by version, oldest first."""
    folder = files("spec").joinpath("released")
    found = {e.name.removesuffix(".json"): e for e in folder.iterdir() if e.name.endswith(".json")}
    versions = sorted(found, key=lambda version: [int(part) for part in version.split(".")])
    return {version: json.loads(found[version].read_text("utf-8")) for version in versions}


def breaking_changes(old: Node, new: Node) -> list[Change]:
    """Every way in which `new` breaks a client of `old`. References in both must be local.

    Raises:
        KeyError: a reference leads nowhere, or a schema is made of itself.
    """
    try:
        return list(dict.fromkeys(_Comparison(old, new).changes()))
    except RecursionError:
        raise KeyError("a schema is made of itself") from None


class _Comparison:
    """Walks two documents side by side; pairs of schemas are compared once per direction, so cycles end."""

    def __init__(self, old: Node, new: Node) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, Direction]] = set()

    def changes(self) -> Iterator[Change]:
        for path, item in self._old.get("paths", {}).items():
            for method in (m for m in METHODS if m in item):
                where = f"{method.upper()} {path}"
                successor = self._new.get("paths", {}).get(path, {}).get(method)
                if successor is None:
                    yield Change(where, "the operation was removed")
                    continue
                yield from self._operation(where, item[method], successor)

    def _operation(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        if _is_public(self._old, old) and not _is_public(self._new, new):
            yield Change(where, "a credential became necessary")
        yield from self._parameters(where, old, new)
        yield from self._request(f"{where} request", old, new)
        for status, response in old.get("responses", {}).items():
            if not str(status).startswith("2"):
                continue
            successor = new.get("responses", {}).get(status)
            if successor is None:
                yield Change(f"{where} {status}", "the response was removed")
            else:
                yield from self._response(f"{where} {status}", response, successor)
        for status in new.get("responses", {}).keys() & old.get("responses", {}).keys():
            if not str(status).startswith("2"):
                yield from self._response(
                    f"{where} {status}", old["responses"][status], new["responses"][status]
                )

    def _parameters(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        before, after = (
            {(p["in"], p["name"].lower() if p["in"] == "header" else p["name"]): p for p in resolved}
            for resolved in (
                [resolve(self._old, p) for p in old.get("parameters", ())],
                [resolve(self._new, p) for p in new.get("parameters", ())],
            )
        )
        for (place, name), parameter in before.items():
            at = f"{where} {place} {name}"
            successor = after.get((place, name))
            if successor is None:
                yield Change(at, "the parameter was removed")
                continue
            if successor.get("required") and not parameter.get("required"):
                yield Change(at, "the parameter became required")
            yield from self._schema(at, parameter.get("schema", {}), successor.get("schema", {}), "request")
        for (place, name), parameter in after.items():
            if parameter.get("required") and (place, name) not in before:
                yield Change(f"{where} {place} {name}", "a required parameter was added")

    def _request(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        before = resolve(self._old, old.get("requestBody", {}))
        after = resolve(self._new, new.get("requestBody", {}))
        if after.get("required") and not before.get("required"):
            yield Change(where, "a body became required")
        yield from self._content(where, before, after, "request")

    def _response(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        before, after = resolve(self._old, old), resolve(self._new, new)
        after_headers = {name.lower(): h for name, h in after.get("headers", {}).items()}
        for name, header in before.get("headers", {}).items():
            successor = after_headers.get(name.lower())
            if successor is None:
                yield Change(f"{where} header {name}", "the header was removed")
            elif resolve(self._old, header).get("required") and not resolve(self._new, successor).get(
                "required"
            ):
                yield Change(f"{where} header {name}", "the header is no longer always there")
        yield from self._content(where, before, after, "response")

    def _content(self, where: str, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        for media_type, media in old.get("content", {}).items():
            successor = new.get("content", {}).get(media_type)
            if successor is None:
                yield Change(where, f"the media type {media_type} was removed")
                continue
            for key in ("schema", "itemSchema"):
                if key in media:
                    yield from self._schema(where, media[key], successor.get(key, {}), direction)

    def _schema(self, where: str, old: Any, new: Any, direction: Direction) -> Iterator[Change]:
        before, after = resolve(self._old, old), resolve(self._new, new)
        key = (json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True), direction)
        if key in self._seen or before == after == {}:
            return
        self._seen.add(key)
        before, after = flat(self._old, before), flat(self._new, after)
        yield from value_changes(where, before, after, direction)
        yield from self._members(where, before, after, direction)
        for condition, schema in before[CONDITIONS].items():
            if condition in after[CONDITIONS]:
                yield from self._schema(where, schema, after[CONDITIONS][condition], direction)
        for name in ("items", "additionalProperties", "contentSchema"):
            if isinstance(before.get(name), Mapping) and isinstance(after.get(name), Mapping):
                yield from self._schema(where, before[name], after[name], direction)
        for name in _ALTERNATIVES:
            yield from self._alternatives(where, before.get(name, ()), after.get(name, ()), direction)

    def _members(self, where: str, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        closed = new.get("additionalProperties") is False
        for name, schema in before.items():
            if name in after:
                yield from self._schema(f"{where} /{name}", schema, after[name], direction)
            elif direction == "response" or closed:
                yield Change(f"{where} /{name}", "the field was removed")
        required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
        if direction == "request":
            for name in sorted(required_after - required_before):
                yield Change(f"{where} /{name}", "the field became required")
            if closed and old.get("additionalProperties") is not False:
                yield Change(where, "other fields are no longer allowed")
        else:
            for name in sorted(required_before - required_after):
                yield Change(f"{where} /{name}", "the field is no longer always there")

    def _alternatives(
        self, where: str, old: Sequence[Any], new: Sequence[Any], direction: Direction
    ) -> Iterator[Change]:
        after = {alternative_name(schema, index): schema for index, schema in enumerate(new)}
        for index, schema in enumerate(old):
            name = alternative_name(schema, index)
            if name in after:
                yield from self._schema(f"{where} {name}", schema, after[name], direction)
            elif direction == "request":
                yield Change(where, f"the alternative {name} was removed")


def _is_public(document: Node, operation: Node) -> bool:
    demands = operation.get("security", document.get("security", ()))
    return not demands or {} in demands


def main(arguments: Sequence[str]) -> int:
    """Print the breaking changes: 0 none, 1 some, 2 a document cannot be read."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m spec.compatibility OLD NEW\n")
        return 2
    try:
        old, new = (_load(name) for name in arguments)
        changes = breaking_changes(old, new)
    except (OSError, UnicodeDecodeError) as problem:
        sys.stderr.write(f"cannot read a document: {problem}\n")
        return 2
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        text = " ".join(str(problem).split())
        sys.stderr.write(f"not an OpenAPI document with local references only: {text}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in _told(changes))
    return 1 if changes else 0


def _told(changes: Iterable[Change]) -> list[str]:
    lines = [str(change) for change in changes]
    return [*lines, f"{len(lines)} breaking changes" if lines else "compatible"]


def _load(name: str) -> Node:
    # JSON is read as what it nearly always is: YAML.
    document = yaml.safe_load(Path(name).read_text("utf-8"))
    if not isinstance(document, dict) or "paths" not in document:
        raise TypeError(f"{name} has no paths")
    return document


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
