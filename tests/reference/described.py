"""Holds every answer against the published description: status, headers, media type, schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from spec.document import load_document

_BASE = "/api/v1"


def check_described(response: httpx.Response) -> None:
    """Assert that the description declares this answer of a described operation."""
    template = _template(response.request.url.path)
    operation = None if template is None else _paths()[template].get(response.request.method.lower())
    if operation is None:
        return
    declared = operation["responses"].get(str(response.status_code))
    assert declared is not None, f"{operation['operationId']} does not declare {response.status_code}"
    answer = _resolved(declared)
    for name, header in answer.get("headers", {}).items():
        _check_header(response, name, _resolved(header))
    if "content" not in answer:
        assert response.read() == b"", f"{operation['operationId']} declares no body"
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in answer["content"], f"{media_type} is not declared"
    if media_type.endswith("json"):
        response.read()
        _validator(json.dumps(answer["content"][media_type]["schema"])).validate(response.json())


def check_events(events: list[dict[str, Any]]) -> None:
    """Assert that the description's schema for stream events accepts each event."""
    validator = _validator(json.dumps({"$ref": "#/components/schemas/StreamEvent"}))
    for event in events:
        validator.validate(event)


def _check_header(response: httpx.Response, name: str, header: Mapping[str, Any]) -> None:
    value = response.headers.get(name)
    assert value is not None or not header.get("required"), f"{name} is missing"
    if value is not None:
        _validator(json.dumps(header["schema"])).validate(value)


@cache
def _document() -> Mapping[str, Any]:
    return load_document()


def _paths() -> Mapping[str, Any]:
    paths: Mapping[str, Any] = _document()["paths"]
    return paths


def _template(path: str) -> str | None:
    if not path.startswith(_BASE):
        return None
    # Literal templates are tried before those with a parameter.
    for template in sorted(_paths(), key=lambda name: "{" in name):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path.removeprefix(_BASE)):
            return template
    return None


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        target: Any = _document()
        for token in node["$ref"].removeprefix("#/").split("/"):
            target = target[token]
        node = target
    return node


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    root = {"components": _document()["components"], "allOf": [json.loads(schema)]}
    return jsonschema_rs.Draft202012Validator(root, validate_formats=True)
