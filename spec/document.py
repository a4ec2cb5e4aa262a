"""The OpenAPI 3.2 document of the contract, and how to look things up in an OpenAPI document.

Lookups trust the document: it is ours, or as sound as ours, with local references. What may be wrong in a
stranger's document, and where, is a finding of the suite, which walks it on its own (``conformance.checks.described``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from spec.assembly import METHODS, assemble


@dataclass(frozen=True)
class DeclaredHeader:
    """A response header: whether every such response has it, and the JSON Schema of its value as a string."""

    required: bool
    schema: Mapping[str, Any]


def load_document() -> dict[str, Any]:
    """The whole document; every reference is local. The caller owns the copy."""
    document: dict[str, Any] = json.loads(_document())
    return document


@cache
def contract_version() -> str:
    """``info.version``."""
    return str(load_document()["info"]["version"])


@cache
def _document() -> str:
    # As text: a copy costs one parse, and nobody can share a part by accident (YAML aliases do).
    return json.dumps(assemble())


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation as (path, method, operation)."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def match_operation(document: Mapping[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation that serves ``path`` (below the base path, without query), or None.

    Literal paths come before templates. HEAD is answered by the GET of the same path (RFC 9110 9.3.2).
    """
    wanted = "get" if method.lower() == "head" else method.lower()
    found = [(t, m, o) for t, m, o in operations(document) if m == wanted]
    for template, _, operation in sorted(found, key=lambda f: f[0].count("{")):
        if re.fullmatch(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template)), path):
            return operation
    return None


def operation_by_id(document: Mapping[str, Any], operation_id: str) -> dict[str, Any]:
    """The operation with this id.

    Raises:
        KeyError: there is none.
    """
    for _, _, operation in operations(document):
        if operation.get("operationId") == operation_id:
            return operation
    raise KeyError(operation_id)


def declared_response(
    document: Mapping[str, Any], operation_id: str, status: int
) -> Mapping[str, Any] | None:
    """The response object for a status: the exact one, else of its class (``4XX``), else ``default``."""
    responses = operation_by_id(document, operation_id)["responses"]
    for key in (str(status), f"{status // 100}XX", "default"):
        if key in responses:
            response: Mapping[str, Any] = resolve(document, responses[key])
            return response
    return None


def declared_headers(
    document: Mapping[str, Any], operation_id: str, status: int
) -> dict[str, DeclaredHeader]:
    """The response headers of a status by lower-case name."""
    response = declared_response(document, operation_id, status) or {}
    found = {name.lower(): resolve(document, header) for name, header in response.get("headers", {}).items()}
    return {
        name: DeclaredHeader(
            bool(header.get("required")), _self_contained(document, header.get("schema", {}))
        )
        for name, header in found.items()
    }


def response_schema(
    document: Mapping[str, Any], operation_id: str, status: int, media_type: str
) -> dict[str, Any] | None:
    """The schema of a response body, usable on its own; None where none is declared.

    ``media_type`` may have parameters. For ``text/event-stream`` this is the schema of one parsed event.
    """
    name = media_type.partition(";")[0].strip().lower()
    content = (declared_response(document, operation_id, status) or {}).get("content", {})
    for key in (name, f"{name.partition('/')[0]}/*", "*/*"):
        if key in content:
            media = resolve(document, content[key])
            schema = media.get("itemSchema", media.get("schema"))
            return None if schema is None else _self_contained(document, schema)
    return None


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """Follow local references from ``node``."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for token in node["$ref"].removeprefix("#/").split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _self_contained(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with the component schemas beside it, so that ``#/components/schemas/…`` still resolves."""
    return {**schema, "components": {"schemas": document.get("components", {}).get("schemas", {})}}
