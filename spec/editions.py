"""Projections of the OpenAPI 3.2 document to 3.1 and 3.0, and the command that publishes all three editions.

``python -m spec.editions DIR`` writes JSON and YAML. What a target edition cannot say is dropped, and listed by
:func:`losses_30`; nothing is changed by hand.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spec.document import load_document

_NOT_IN_30 = (
    "prefixItems",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
    "contentMediaType",
    "contentSchema",
    "propertyNames",
    "$defs",
    "examples",
)
_SCHEMA_KEYS = ("items", "additionalProperties", "not")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")


@dataclass(frozen=True)
class Loss:
    """Something the 3.0 edition does not say; ``pointer`` is its place in the 3.2 document."""

    pointer: str
    what: str


def to_31(document: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.1.2: ``itemSchema`` becomes ``schema`` of one item, marked ``x-itemSchema``; ``$self`` is dropped."""
    projected = copy.deepcopy(dict(document))
    projected["openapi"] = "3.1.2"
    projected.pop("$self", None)
    for tag in projected.get("tags", ()):
        tag.pop("summary", None)
    for _, media in _media_types(projected, ""):
        if "itemSchema" in media:
            media["schema"], media["x-itemSchema"] = media.pop("itemSchema"), True
    return projected


def to_30(document: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0.4, for tools that read no newer one. :func:`losses_30` says what it does not say."""
    projected, _ = _project_30(document)
    return projected


def losses_30(document: Mapping[str, Any]) -> list[Loss]:
    """What the 3.0 edition cannot say, in document order."""
    _, losses = _project_30(document)
    return losses


def _project_30(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    projected = copy.deepcopy(dict(document))
    losses: list[Loss] = []
    projected["openapi"] = "3.0.4"
    projected.pop("$self", None)
    projected["info"].pop("summary", None)
    projected["info"].get("license", {}).pop("identifier", None)
    for tag in projected.get("tags", ()):
        tag.pop("summary", None)
    if "webhooks" in projected:
        projected["x-webhooks"] = projected.pop("webhooks")
        losses.append(Loss("/webhooks", "3.0 has no webhooks"))
    for name, scheme in list(projected["components"].get("securitySchemes", {}).items()):
        if scheme.get("type") == "mutualTLS":
            projected.setdefault("x-mutualTLS", {})[name] = projected["components"]["securitySchemes"].pop(name)
            losses.append(Loss(f"/components/securitySchemes/{name}", "3.0 has no mutualTLS"))
    for pointer, media in _media_types(projected, ""):
        if "itemSchema" in media:
            media.pop("itemSchema")
            media["schema"] = {"type": "string"}
            losses.append(Loss(f"{pointer}/itemSchema", "a stream is one string in 3.0"))
    _each_schema(projected, "", lambda pointer, schema: losses.extend(_schema_30(pointer, schema)))
    return projected, losses


def _schema_30(pointer: str, schema: dict[str, Any]) -> list[Loss]:
    """Rewrite one schema object in place; its members have been rewritten before."""
    lost = [Loss(f"{pointer}/{key}", f"3.0 has no {key}") for key in _NOT_IN_30 if schema.pop(key, None) is not None]
    if isinstance(schema.get("type"), list):
        types = [t for t in schema["type"] if t != "null"]
        schema["nullable"] = len(types) < len(schema["type"])
        schema.pop("type")
        if len(types) == 1:
            schema["type"] = types[0]
        else:
            schema["anyOf"] = [{"type": t} for t in types]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in schema and not isinstance(schema[exclusive], bool):
            schema[bound], schema[exclusive] = schema[exclusive], True
    if "$ref" in schema and len(schema) > 1:
        schema.setdefault("allOf", []).append({"$ref": schema.pop("$ref")})
    return lost


def _each_schema(node: Any, pointer: str, visit: Callable[[str, dict[str, Any]], None]) -> None:
    """Call ``visit`` on every schema object of a document, members first."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            _each_schema(item, f"{pointer}/{index}", visit)
        return
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        here = f"{pointer}/{_token(key)}"
        if key in ("example", "examples", "default", "value"):
            continue
        if key == "schema":
            _walk_schema(value, here, visit)
        elif pointer == "/components" and key == "schemas":
            for name, schema in value.items():
                _walk_schema(schema, f"{here}/{_token(name)}", visit)
        else:
            _each_schema(value, here, visit)


def _walk_schema(schema: Any, pointer: str, visit: Callable[[str, dict[str, Any]], None]) -> None:
    if not isinstance(schema, dict):
        return
    for name, member in schema.get("properties", {}).items():
        _walk_schema(member, f"{pointer}/properties/{_token(name)}", visit)
    for key in _SCHEMA_KEYS:
        _walk_schema(schema.get(key), f"{pointer}/{key}", visit)
    for key in _SCHEMA_LISTS:
        for index, member in enumerate(schema.get(key, ())):
            _walk_schema(member, f"{pointer}/{key}/{index}", visit)
    visit(pointer, schema)


def _media_types(node: Any, pointer: str) -> list[tuple[str, dict[str, Any]]]:
    """Every media type object, each object once."""
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(node, list):
        for index, item in enumerate(node):
            found += _media_types(item, f"{pointer}/{index}")
    elif isinstance(node, dict):
        for key, value in node.items():
            here = f"{pointer}/{_token(key)}"
            if key == "content" and isinstance(value, dict):
                found += [(f"{here}/{_token(n)}", m) for n, m in value.items() if isinstance(m, dict)]
            if key not in ("example", "examples", "schema", "schemas"):
                found += _media_types(value, here)
    return found


def _token(name: str) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")


def editions() -> dict[str, dict[str, Any]]:
    """The published editions by version."""
    document = load_document()
    return {"3.2.0": document, "3.1.2": to_31(document), "3.0.4": to_30(document)}


def main(arguments: list[str]) -> int:
    """Write every edition as JSON and YAML into the directory given."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m spec.editions DIR\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for version, document in editions().items():
        plain = json.loads(json.dumps(document))
        (folder / f"openapi-{version}.json").write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (folder / f"openapi-{version}.yaml").write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
