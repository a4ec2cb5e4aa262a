"""Requests that Schemathesis generates from the OpenAPI document of a vendor, as the tester gave it.

Only operations that the dialect calls are asked: a document may also describe how everything is deleted. Path, headers
and credential are the dialect's; what is generated is the body. The model is that of the run and the output is short,
as far as the body has a place for them: else a generated value would be a matter of luck or of money.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.described_places import AmbiguousError, Place, parameters_in, places_of
from conformance.dialects.model import Dialect
from conformance.probes.generating import GENERATING, cases_of, findings
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session
from conformance.vendor_document import resolved

OPERATIONS = ("chat", "chat_stream", "classify", "models", "model")
"""Those of a dialect that are asked: all that a vendor's format has in one call without a trace left behind."""

VALID, INVALID = 2, 3
CALLS = 12
"""The most that is sent, whatever the document describes."""

MOST_OUTPUT = 16
"""Tokens that a valid request asks for at most."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_NOT_OURS = ("security", "servers", "callbacks", "parameters")


class UndescribedError(ValueError):
    """No request can be generated from the document; the message says why."""


@dataclass(frozen=True)
class Described:
    """One generated request. ``case`` is Schemathesis' own object; ``body`` None: the request has none."""

    case: Any
    valid: bool
    operation: str
    body: bytes | None


@probe(calls=CALLS, operations=(), tokens=6000, computes=True, document=True)
async def described(session: Session) -> None:
    """What the document allows and what it forbids; roles ``valid`` and ``invalid``. Note ``findings``: those of
    Schemathesis."""
    document = session.target.document or {}
    try:
        requests = await asyncio.to_thread(
            requests_of, document, session.dialect, session.target.model, session.target.base_url
        )
    except UndescribedError as problem:
        raise ProbeSkipped(str(problem)) from None
    found: list[dict[str, Any]] = []
    session.notes["findings"] = found  # from the start: what was found before the budget ended is found
    for request in requests:
        reading = await session.odd(request.operation, "valid" if request.valid else "invalid", request.body)
        found += await asyncio.to_thread(_findings, request, reading)


def _findings(request: Described, reading: Any) -> list[dict[str, Any]]:
    try:
        return list(findings(request.case, request.operation, reading))
    except Exception as problem:  # noqa: BLE001 - a schema that cannot be applied is the document's fault
        message = f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:300]
        return [{"exchange": reading.exchange.id, "kind": "Unreadable", "message": message}]


def requests_of(
    document: Mapping[str, Any], dialect: Dialect, model: str | None, base_url: str
) -> list[Described]:
    """At most :data:`CALLS` requests, the same in every run.

    Raises:
        UndescribedError: the document has none of the dialect's operations, or cannot be understood.
    """
    called = {name: dialect.operations[name] for name in OPERATIONS if name in dialect.operations}
    try:
        places = places_of(document, called, base_url)
    except AmbiguousError as problem:
        raise UndescribedError(str(problem)) from None
    if not places:
        wanted = ", ".join(f"{o.method} {o.path}" for o in called.values())
        raise UndescribedError(f"the document describes no operation that the dialect calls: {wanted}")
    pruned = _only(document, places.values())
    with GENERATING:
        try:
            return list(_requests(pruned, places, model))[:CALLS]
        except Exception as problem:  # noqa: BLE001 - whatever a wrong document does to another tool
            reason = " ".join(str(problem).split())[:200]
            raise UndescribedError(
                f"no request can be generated from the document: {type(problem).__name__}: {reason}"
            ) from None


def _requests(
    document: Mapping[str, Any], places: Mapping[str, Place], model: str | None
) -> Iterator[Described]:
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(dict(document))
    named = set(_names_of_properties(document))
    for name, place in places.items():
        operation = schema[place.path][place.method]
        has_body = bool(operation.body)
        for mode, most in ((GenerationMode.POSITIVE, VALID), (GenerationMode.NEGATIVE, INVALID)):
            valid = mode is GenerationMode.POSITIVE
            if not has_body:
                if valid:
                    case = operation.Case(path_parameters=_names(place.path, model))
                    yield Described(case, True, name, None)
                continue
            # The first that is generated is the plainest, so the last ones are taken.
            for case in cases_of(operation.as_strategy(generation_mode=mode), most + 1)[-most:]:
                body = _settled(_plain(case.body, named), model) if valid else case.body
                case.body = body
                if encoded := _encoded(body):
                    yield Described(case, valid, name, encoded)


def _names(path: str, model: str | None) -> dict[str, str]:
    return dict.fromkeys(parameters_in(path), model or "")


def _names_of_properties(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        properties = value.get("properties")
        yield from properties if isinstance(properties, dict) else ()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names_of_properties(item)


def _plain(value: Any, named: set[str]) -> Any:
    """A body without the members that no schema names: few documents say that there must be none, and most servers
    refuse them."""
    if isinstance(value, dict):
        return {key: _plain(item, named) for key, item in value.items() if key in named}
    return [_plain(item, named) for item in value] if isinstance(value, list) else value


def _settled(body: Any, model: str | None) -> Any:
    """A valid body with the run's model, little output, and no stream."""
    if not isinstance(body, dict):
        return body
    changes: dict[str, Any] = {
        name: MOST_OUTPUT for name in _LIMITS if isinstance(body.get(name), int | float)
    }
    if model and isinstance(body.get("model"), str):
        changes["model"] = model
    if body.get("stream") is True:
        changes["stream"] = False
    return {**body, **changes}


def _encoded(body: Any) -> bytes:
    """As JSON, or nothing where generated values are not JSON."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError):
        return b""


def _only(document: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """The document with these operations, of which the JSON body varies and nothing else."""
    paths: dict[str, Any] = {}
    for place in places:
        operation = {k: v for k, v in place.operation.items() if k not in _NOT_OURS}
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in parameters_in(place.path)
        ]
        body = dict(resolved(document, operation.get("requestBody")))
        if isinstance(body.get("content"), dict):
            body["content"] = {k: v for k, v in body["content"].items() if "json" in k}
            operation["requestBody"] = body
        paths.setdefault(place.path, {})[place.method] = copy.deepcopy(operation)
    kept = {k: v for k, v in document.items() if k not in ("paths", "security", "webhooks", "servers")}
    return {**kept, "paths": paths}
