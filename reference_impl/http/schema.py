"""Request validation against the 3.2 document: compiled once per process, keyed by operationId."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import Any

import jsonschema_rs

from reference_impl.exchange import Notice
from reference_impl.http.per_document import per_document
from reference_impl.policies.errors import ContractError

_METHODS = frozenset(("get", "put", "post", "delete", "patch"))
_MOST_ERRORS = 20


@dataclass(frozen=True)
class QueryParameter:
    """One declared query parameter."""

    name: str
    required: bool
    schema: jsonschema_rs.Draft202012Validator
    whole: bool = False

    def accepts(self, text: str) -> bool:
        """Whether the text is a value; a whole number is compared as one."""
        whole = self.whole and re.fullmatch(r"-?[0-9]{1,15}", text)
        return self.schema.is_valid(int(text) if whole else text)


@dataclass(frozen=True)
class Operation:
    """What the document says about the requests of one operation, and the media types of its success."""

    body: jsonschema_rs.Draft202012Validator | None
    query: tuple[QueryParameter, ...]
    produces: tuple[str, ...]
    path: str
    notice: Notice | None = None


@per_document
def compile_operations(document: Mapping[str, Any]) -> Mapping[str, Operation]:
    """Every operation of the document. Servers of one document share them; they hold no state."""
    compiled: dict[str, Operation] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
                compiled[operation["operationId"]] = _compile(document, path, operation, parameters)
    return MappingProxyType(compiled)


def path_methods(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The methods of each path template, upper case, with HEAD and OPTIONS where they work."""
    result = {}
    for template, path in document["paths"].items():
        methods = [method.upper() for method in path if method in _METHODS]
        if "GET" in methods:
            methods.append("HEAD")
        result[template] = tuple(sorted([*methods, "OPTIONS"]))
    return result


def check_body(operation: Operation, payload: Any) -> None:
    """Raise INVALID_REQUEST with a JSON Pointer for each of the first faults, the very first also as `param`."""
    if operation.body is not None:
        _check(operation.body, payload)


def check_query(operation: Operation, query: Mapping[str, list[str]]) -> dict[str, str | None]:
    """The declared query parameters; INVALID_REQUEST when one is missing, repeated or malformed."""
    values_by_name: dict[str, str | None] = {}
    for parameter in operation.query:
        values = query.get(parameter.name, [])
        if not values and parameter.required:
            raise _bad_query(parameter.name, "is required")
        if len(values) > 1:
            raise _bad_query(parameter.name, "is given more than once")
        if values and not parameter.accepts(values[0]):
            raise _bad_query(parameter.name, "does not have the documented form")
        values_by_name[parameter.name] = values[0] if values else None
    return values_by_name


def invalid_request(errors: list[dict[str, str]]) -> ContractError:
    """INVALID_REQUEST for a list of `{pointer, message}`."""
    first = errors[0]
    more = f" ({len(errors) - 1} more in details.errors)" if len(errors) > 1 else ""
    return ContractError(
        "INVALID_REQUEST",
        f"{first['pointer'] or 'The body'}: {first['message']}{more}.",
        param=first["pointer"],
        details={"errors": errors},
    )


def _compile(
    document: Mapping[str, Any], path: str, operation: Mapping[str, Any], parameters: list[Mapping[str, Any]]
) -> Operation:
    body = _resolve(document, operation.get("requestBody", {}))
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    query = [_resolve(document, parameter) for parameter in parameters]
    produces: list[str] = []
    for status, response in operation["responses"].items():
        if str(status).startswith("2"):
            produces += _resolve(document, response).get("content", {})
    return Operation(
        body=None if schema is None else _validator(document, schema),
        query=tuple(
            QueryParameter(
                item["name"],
                item.get("required", False),
                _validator(document, item["schema"]),
                item["schema"].get("type") == "integer",
            )
            for item in query
            if item["in"] == "query"
        ),
        produces=tuple(dict.fromkeys(produces)),
        path=path,
        notice=_notice(operation.get("x-deprecation")),
    )


def _notice(given: Mapping[str, str] | None) -> Notice | None:
    """The document's own dates of a deprecated operation, so that it and the headers cannot disagree."""
    if given is None:
        return None
    return Notice(
        deprecated_at=datetime.fromisoformat(given["deprecated_at"]),
        sunset_at=datetime.fromisoformat(given["sunset_at"]),
        successor=given["successor"],
        explained="/openapi.json",
    )


def _validator(document: Mapping[str, Any], schema: Any) -> jsonschema_rs.Draft202012Validator:
    # The wrapper keeps `#/components/...` references valid.
    # The mask keeps the caller's values out of messages.
    root = {"components": document.get("components", {}), "allOf": [schema]}
    return jsonschema_rs.Draft202012Validator(root, mask="the value", validate_formats=True)


@per_document
def _of_component(document: Mapping[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    return _validator(document, {"$ref": f"#/components/schemas/{name}"})


def _resolve(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        target: Any = document
        for token in node["$ref"].removeprefix("#/").split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _check(schema: jsonschema_rs.Draft202012Validator, value: Any) -> None:
    if not schema.is_valid(value):
        faults = (fault for error in schema.iter_errors(value) for fault in _faults(error))
        raise invalid_request(list(islice(faults, _MOST_ERRORS)))


def _faults(error: jsonschema_rs.ValidationError) -> list[dict[str, str]]:
    """One schema error as faults; a missing or unknown member is named by the pointer to it."""
    kind, path = error.kind, list(error.instance_path)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return [_fault([*path, kind.property], "is required")]
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        return [_fault([*path, name], "is not a known field") for name in kind.unexpected]
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.UnevaluatedProperties):
        return [_fault([*path, name], "is not a known field") for name in kind.unexpected]
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Not):
        return [_fault(path, "combines fields that exclude each other")]
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        return [_fault(path, "is not allowed here")]
    return [_fault(path, error.message)]


def _fault(path: list[str | int], message: str) -> dict[str, str]:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return {"pointer": pointer, "message": message}


def _bad_query(name: str, what: str) -> ContractError:
    # The pointer is that of the whole body: a query parameter has none of its own.
    errors = [{"pointer": "", "message": f"the query parameter {name} {what}"}]
    return ContractError(
        "INVALID_REQUEST", f"The query parameter {name} {what}.", param=name, details={"errors": errors}
    )


class MessageCheck:
    """Validates messages that name their kind in `type`; `kinds` maps a type to the name of its schema."""

    def __init__(self, document: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
        self._validators = {kind: _of_component(document, name) for kind, name in kinds.items()}

    def __call__(self, message: Any) -> None:
        """Raise INVALID_REQUEST with a JSON Pointer for each of the first faults."""
        if not isinstance(message, dict):
            raise invalid_request([_fault([], "is not an object")])
        kind = message.get("type")
        validator = self._validators.get(kind) if isinstance(kind, str) else None
        if validator is None:
            raise invalid_request([_fault(["type"], f"is not one of {', '.join(self._validators)}")])
        _check(validator, message)
