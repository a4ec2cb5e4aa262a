"""Holds every answer against the published description: status, headers, media type, schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from spec.document import declared_headers, declared_response, load_document, match_operation, response_schema

_BASE = "/api/v1"


def check_described(response: httpx.Response) -> None:
    """Assert that the description declares this answer of a described operation."""
    path = response.request.url.path
    if response.request.method == "HEAD" or not path.startswith(_BASE):
        return
    operation = match_operation(_document(), response.request.method, path.removeprefix(_BASE))
    if operation is None:
        return
    name, status = operation["operationId"], response.status_code
    answer = declared_response(_document(), name, status)
    assert answer is not None, f"{name} does not declare {status}"
    for header, (required, validator) in _headers(name, status).items():
        value = response.headers.get(header)
        assert value is not None or not required, f"{header} is missing"
        if value is not None:
            validator.validate(value)
    if "content" not in answer:
        assert response.read() == b"", f"{name} declares no body"
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in answer["content"], f"{media_type} is not declared"
    if media_type.endswith("json"):
        response.read()
        _body(name, status, media_type).validate(response.json())


def check_events(events: list[dict[str, Any]]) -> None:
    """Assert that the description's schema for stream events accepts each event."""
    for event in events:
        _event().validate(event)


@cache
def _document() -> Mapping[str, Any]:
    return load_document()


@cache
def _headers(name: str, status: int) -> Mapping[str, tuple[bool, jsonschema_rs.Draft202012Validator]]:
    declared = declared_headers(_document(), name, status)
    return {header: (d.required, _validator(d.schema)) for header, d in declared.items()}


@cache
def _body(name: str, status: int, media_type: str) -> jsonschema_rs.Draft202012Validator:
    schema = response_schema(_document(), name, status, media_type)
    assert schema is not None, f"{name} has no schema for {status} as {media_type}"
    return _validator(schema)


@cache
def _event() -> jsonschema_rs.Draft202012Validator:
    schemas = _document()["components"]["schemas"]
    return _validator({"$ref": "#/components/schemas/StreamEvent", "components": {"schemas": schemas}})


def _validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
