"""The OpenAPI 3.2 document, put together from its parts.

``openapi.yaml`` holds what concerns the whole; ``paths/``, ``schemas/``, ``headers/`` and ``parameters/`` hold one
pattern per file. What would be repeated by hand is filled in from one table each: error responses and their examples
from ``errors.yaml``, the headers that every answer carries, the requirement ids of each tag from the catalogue.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from spec.catalogue import areas
from spec.errors import ERRORS, ErrorEntry

METHODS = ("get", "put", "post", "delete", "patch")
COMMON = ("X-Request-Id", "API-Version", "Cache-Control", "Server-Timing", "X-Client-Request-Id")
LIMITS = ("RateLimit-Policy", "RateLimit")
_ORIGIN = "https://api.example.com/api/v1"


def load_document() -> dict[str, Any]:
    """The whole document; every reference is local. The caller owns the copy."""
    return copy.deepcopy(_document())


def contract_version() -> str:
    """``info.version``."""
    return str(_document()["info"]["version"])


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation as (path, method, operation)."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def match_operation(document: Mapping[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation that serves ``path`` (below the base path, without query); literal paths come first."""
    found = [(t, m, o) for t, m, o in operations(document) if m == method.lower()]
    for template, _, operation in sorted(found, key=lambda f: f[0].count("{")):
        if re.fullmatch(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template)), path):
            return operation
    return None


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """Follow local references from ``node``."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for token in node["$ref"].removeprefix("#/").split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = _read("openapi.yaml")
    components = document["components"]
    document["paths"] = _merged("paths")
    components["schemas"] = {"ErrorCode": {"type": "string", "enum": list(ERRORS)}, **_merged("schemas")}
    components["headers"] = _merged("headers")
    components["parameters"] = _merged("parameters")
    components["responses"] = _error_responses()
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                _add_headers(operation, str(status), response)
    by_area = {a.name: [r.id for r in a.requirements] for a in areas()}
    for tag in document["tags"]:
        tag["x-requirements"] = [i for name in tag["x-areas"] for i in by_area.get(name, ())]
    return document


def _add_headers(operation: Mapping[str, Any], status: str, response: dict[str, Any]) -> None:
    names = [*COMMON, *response.pop("x-headers", ())]
    if operation.get("security") != []:
        names += LIMITS
    if "text/event-stream" in response.get("content", {}) and len(response["content"]) == 1:
        names.append("X-Accel-Buffering")
    response["headers"] = {n: {"$ref": f"#/components/headers/{n}"} for n in names}


def _error_responses() -> dict[str, Any]:
    details = _read("error_details.yaml")
    built: dict[str, Any] = {}
    for name, given in _merged("responses").items():
        codes = [e for e in ERRORS.values() if e.status == given["x-status"]]
        headers = [*COMMON, *given.get("x-headers", ()), *LIMITS]
        built[name] = {
            "description": " ".join(f"{e.code}: {e.meaning}" for e in codes),
            "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in headers},
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ErrorAnswer"},
                    "examples": {e.code: _example({"error": _error(e, details)}) for e in codes},
                },
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {e.code: _example(_problem(e, details)) for e in codes},
                },
            },
        }
    return built


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"summary": value.get("title") or value["error"]["code"], "value": value}


def _error(entry: ErrorEntry, details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": entry.code,
        "message": entry.meaning,
        "details": copy.deepcopy(details.get(entry.code, {})),
        "type": entry.type,
        "param": None,
        "retryable": entry.retryable,
        "request_id": "req_6f1c0e3a9d2b4c58",
        "docs_url": f"{_ORIGIN}/errors/{entry.code}",
    }


def _problem(entry: ErrorEntry, details: Mapping[str, Any]) -> dict[str, Any]:
    error = _error(entry, details)
    return {
        "type": error["docs_url"],
        "title": entry.code.replace("_", " ").capitalize(),
        "status": entry.status,
        "detail": error["message"],
        "code": entry.code,
        "details": error["details"],
        "param": None,
        "retryable": entry.retryable,
        "request_id": error["request_id"],
    }


def _read(name: str) -> Any:
    return yaml.safe_load(files("spec").joinpath(name).read_text("utf-8"))


def _merged(folder: str) -> dict[str, Any]:
    """The maps of all files of a folder as one; a name must occur once. YAML aliases become copies."""
    merged: dict[str, Any] = {}
    for entry in sorted(files("spec").joinpath(folder).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".yaml"):
            part = yaml.safe_load(entry.read_text("utf-8"))
            twice = merged.keys() & part.keys()
            if twice:
                raise ValueError(f"spec/{folder}: {sorted(twice)} defined twice")
            merged |= part
    return copy.deepcopy(merged)
