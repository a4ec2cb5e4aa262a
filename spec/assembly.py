"""How the document is put together from its parts.

``openapi.yaml`` holds what concerns the whole; ``paths/``, ``schemas/``, ``headers/`` and ``parameters/``
hold one pattern per file, and a ``$ref`` names the place that its target has in the whole. What would be
repeated by hand is filled in from one table each: error responses and their examples from ``errors.yaml``
and ``error_details.yaml``, the headers that every answer carries, the requirement ids of each tag from the
catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from spec.catalogue import areas
from spec.errors import ERRORS, ErrorEntry
from spec.yaml_files import read_folder, read_yaml

METHODS = ("get", "put", "post", "delete", "patch")
COMMON = ("X-Request-Id", "API-Version", "Cache-Control", "Server-Timing", "X-Client-Request-Id")
CROSS_ORIGIN = ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers")
LIMITS = (
    "RateLimit-Policy",
    "RateLimit",
    *(
        f"x-ratelimit-{what}-{unit}"
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    ),
)
_NAMES = {"Poll-After": "Retry-After", "ScopeChallenge": "WWW-Authenticate"}
"""Components that describe a header of another name: what is required in one place may be optional in another."""
_ORIGIN = "https://api.example.com/api/v1"
_REQUEST_ID = "req_6f1c0e3a9d2b4c58"


def assemble() -> dict[str, Any]:
    """The whole OpenAPI 3.2 document as plain data without shared parts; every reference is local.

    Raises:
        ValueError: two files define the same name, or an operation names an unknown error.
    """
    document: dict[str, Any] = read_yaml("openapi.yaml")
    components = document["components"]
    document["paths"] = _merged("paths")
    document["webhooks"] = _merged("webhooks")
    components["schemas"] = {"ErrorCode": _code_schema(), **_merged("schemas")}
    components["headers"] = _merged("headers")
    components["parameters"] = _merged("parameters")
    components["examples"] = {e.code: _example(e) for e in ERRORS.values()}
    components["examples"] |= {f"{e.code}.problem": _problem_example(e) for e in ERRORS.values()}
    components["responses"] = {}
    for operation in _operations(document):
        _demand_scopes(operation, document["security"])
        _fill_responses(operation, components["responses"])
    _say_what_is_undeclared(document)
    by_area = {a.name: [r.id for r in a.requirements] for a in areas()}
    for tag in document["tags"]:
        tag["x-requirements"] = [i for name in tag["x-areas"] for i in by_area.get(name, ())]
    return document


def _operations(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return [item[method] for item in document["paths"].values() for method in METHODS if method in item]


def _demand_scopes(operation: dict[str, Any], alternatives: list[dict[str, Any]]) -> None:
    """Turn ``x-scopes`` into security requirements: every alternative, with these scopes or roles."""
    scopes = operation.pop("x-scopes", [])
    operation.setdefault(
        "security",
        [
            {scheme: [] if scheme == "mutualTLS" else list(scopes) for scheme in alternative}
            for alternative in alternatives
        ],
    )


def _code_schema() -> dict[str, Any]:
    return {
        "type": "string",
        "description": "A later minor version may add codes; treat one you do not know by its status.",
        "pattern": "^[A-Z][A-Z0-9_]*$",
        "enum": list(ERRORS),
    }


def _fill_responses(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """Give a success its headers, and turn ``x-errors`` into references to ``shared`` responses."""
    limited = operation.get("security") != []
    for response in operation["responses"].values():
        _add_headers(response, response.pop("x-headers", ()), limited)
    # An operation of an optional capability is not there where the capability is not offered.
    absent = ["NOT_FOUND"] if "x-capability" in operation else []
    entries = _entries([*operation["x-errors"], *absent])
    operation["x-errors"] = [e.code for e in entries]
    for status in sorted({e.status for e in entries}):
        built = _error_response([e for e in entries if e.status == status], limited)
        name = _name_of(built, status, operation["operationId"], shared)
        shared[name] = built
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}


def _entries(names: Iterable[str]) -> list[ErrorEntry]:
    """The error codes behind names of groups and codes, in the order of the table."""
    groups = _table("responses/errors.yaml")["groups"]
    wanted = {code for name in names for code in groups.get(name, (name,))}
    unknown = wanted - ERRORS.keys()
    if unknown:
        raise ValueError(f"x-errors: {sorted(unknown)} are neither groups nor codes")
    return [entry for entry in ERRORS.values() if entry.code in wanted]


def _error_response(entries: list[ErrorEntry], limited: bool) -> dict[str, Any]:
    given = _table("responses/errors.yaml")["statuses"][str(entries[0].status)]
    codes = [entry.code for entry in entries]
    response: dict[str, Any] = {
        "description": " ".join(f"`{e.code}`: {e.meaning}" for e in entries),
        "content": {
            "application/json": _content("ErrorAnswer", {code: code for code in codes}),
            "application/problem+json": _content("Problem", {code: f"{code}.problem" for code in codes}),
        },
    }
    # Where waiting helps nobody, clients must not be told how long to wait.
    hopeless = entries[0].status == 409 and not any(e.retryable for e in entries)
    own = [name for name in given.get("headers", ()) if not (hopeless and name == "Retry-After")]
    _add_headers(response, own, limited and given.get("limits", True))
    return response


def _name_of(response: Mapping[str, Any], status: int, operation_id: str, shared: Mapping[str, Any]) -> str:
    """A component name for a response: that of an equal one, else the status's, else with the operation's."""
    equal = next((name for name, known in shared.items() if known == response), None)
    name = str(_table("responses/errors.yaml")["statuses"][str(status)]["name"])
    return equal or (name if name not in shared else f"{name}.{operation_id}")


def _say_what_is_undeclared(document: dict[str, Any]) -> None:
    """Declare what no operation can: the answers to an unknown path and to a method that a path lacks."""
    responses = document["components"]["responses"]
    responses["UnknownPath"] = _error_response([ERRORS["NOT_FOUND"]], limited=True)
    responses["MethodNotAllowed"] = _error_response([ERRORS["METHOD_NOT_ALLOWED"]], limited=True)
    responses["RetiredOperation"] = _error_response([ERRORS["GONE"]], limited=True)
    document["x-undeclared"] = {
        "retired": {"$ref": "#/components/responses/RetiredOperation"},
        "path": {"$ref": "#/components/responses/UnknownPath"},
        "method": {"$ref": "#/components/responses/MethodNotAllowed"},
    }


def _add_headers(response: dict[str, Any], own: Iterable[str], limited: bool) -> None:
    names = [*COMMON, *own, *(LIMITS if limited else ()), *CROSS_ORIGIN]
    response["headers"] = {_NAMES.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(schema: str, examples: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {name: {"$ref": f"#/components/examples/{target}"} for name, target in examples.items()},
    }


def _example(entry: ErrorEntry) -> dict[str, Any]:
    return {"summary": entry.meaning, "value": {"error": _error(entry)}}


def _problem_example(entry: ErrorEntry) -> dict[str, Any]:
    error = _error(entry)
    problem = {
        "type": error["docs_url"],
        "title": entry.code.replace("_", " ").capitalize(),
        "status": entry.status,
        "detail": error["message"],
        "code": entry.code,
        "details": error["details"],
        "error_type": entry.type,
        "param": error["param"],
        "retryable": entry.retryable,
        "request_id": error["request_id"],
    }
    if "policy" in error["details"]:
        problem["violated-policies"] = [error["details"]["policy"]]
    return {"summary": entry.meaning, "value": problem}


def _error(entry: ErrorEntry) -> dict[str, Any]:
    given = _table("error_details.yaml").get(entry.code, {})
    return {
        "code": entry.code,
        "message": entry.meaning,
        "details": given.get("details", {}),
        "type": entry.type,
        "param": given.get("param"),
        "retryable": entry.retryable,
        "request_id": _REQUEST_ID,
        "docs_url": f"{_ORIGIN}/errors/{entry.code}",
    }


@cache
def _table(name: str) -> Any:
    return read_yaml(name)


def _merged(folder: str) -> dict[str, Any]:
    """The maps of all files of a folder as one; a name must occur once. YAML aliases become copies."""
    merged: dict[str, Any] = {}
    for part in read_folder(folder).values():
        twice = merged.keys() & part.keys()
        if twice:
            raise ValueError(f"spec/{folder}: {sorted(twice)} defined twice")
        merged |= part
    # An alias is the same object in several places, and what is filled into one must not be missing in the next.
    copied: dict[str, Any] = json.loads(json.dumps(merged))
    return copied
