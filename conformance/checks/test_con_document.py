"""CON: every answer of a run compared with the contract document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from conformance.checks.described import Description, Node, Operation, path_below
from conformance.checks.refusals import complete, is_json
from conformance.reading import Reading
from conformance.registry import check
from conformance.verdict import NotTested, expect
from spec.document import load_document

UNIQUE = frozenset({"retry-after", "location", "content-type", "x-request-id", "api-version"})
"""Headers whose value is no list: a second one is an error of its own (RFC 9110 5.3)."""


@check("CON-01")
def test_every_status_is_declared(exchanges: tuple[Reading, ...], target: Mapping[str, Any]) -> str:
    """Each status seen is declared for its operation."""
    found = list(_described(exchanges, target))
    for reading, operation, response in found:
        expect(
            response is not None,
            expected=f"a status that {operation.name} declares: {', '.join(operation.spec['responses'])}",
            seen=reading.status,
            at=reading,
        )
    return _detail(found)


@check("CON-02")
def test_every_body_matches_its_schema(exchanges: tuple[Reading, ...], target: Mapping[str, Any]) -> str:
    """Each JSON body is valid against the schema of its operation, status and media type."""
    judged = 0
    for reading, operation, response in _described(exchanges, target):
        schema = _schema(reading, response)
        if schema is None or not reading.exchange.raw:
            continue
        judged += 1
        errors = _contract().errors(schema, reading.exchange.json)
        pointer, why = errors[0] if errors else ("", "")
        expect(
            not errors,
            expected=f"the declared body of {operation.name} {reading.status}",
            seen=f"{why} ({len(errors)} errors)",
            at=reading,
            where=pointer or "/",
        )
    if not judged:
        raise NotTested("no answer had a body with a declared schema")
    return f"{judged} bodies match their schemas"


@check("CON-03")
def test_every_media_type_is_declared(exchanges: tuple[Reading, ...], target: Mapping[str, Any]) -> str:
    """Each body has a media type that is declared for its operation and status."""
    found = [(r, o, response) for r, o, response in _described(exchanges, target) if response is not None]
    for reading, operation, response in found:
        if not reading.exchange.raw:
            continue
        declared = [media_type for media_type, _ in _contract().contents(response)]
        expect(
            reading.exchange.media_type in declared,
            expected=f"one of {', '.join(declared) or 'none'} for {operation.name} {reading.status}",
            seen=reading.header("content-type") or "no Content-Type",
            at=reading,
            where="header Content-Type",
        )
    return _detail(found)


@check("CON-04")
def test_every_required_header_is_there_and_valid(
    exchanges: tuple[Reading, ...], target: Mapping[str, Any]
) -> str:
    """Headers that the document requires are present; those it describes have valid values."""
    found = [(r, o, response) for r, o, response in _described(exchanges, target) if response is not None]
    for reading, operation, response in found:
        for name, header in _contract().headers(response):
            _expect_header(reading, operation, name, header)
    return _detail(found)


def _expect_header(reading: Reading, operation: Operation, name: str, header: Node) -> None:
    values = reading.exchange.header_values(name)
    where = f"header {name}"
    expect(
        values or header.value.get("required") is not True,
        expected=f"{name} on {operation.name} {reading.status}",
        seen="no such header",
        at=reading,
        where=where,
    )
    if name.lower() in UNIQUE:
        expect(len(values) <= 1, expected=f"one {name}", seen=values, at=reading, where=where)
    if values and "schema" in header.value:
        value = ", ".join(values)
        errors = _contract().errors(f"{header.pointer}/schema", value)
        expect(
            not errors,
            expected=f"a valid {name}",
            seen=errors[0][1] if errors else "",
            at=reading,
            where=where,
        )


@cache
def _contract() -> Description:
    return Description(load_document())


def _described(
    exchanges: tuple[Reading, ...], target: Mapping[str, Any]
) -> Iterator[tuple[Reading, Operation, Node | None]]:
    """Complete answers of described operations, with what the document declares for their status."""
    seen = False
    for reading in complete(exchanges):
        sent = reading.exchange.sent
        path = path_below(target, sent.url)
        operation = None if path is None else _contract().operation(sent.method, path)
        if operation is not None and reading.status is not None:
            seen = True
            yield reading, operation, _contract().response(operation, reading.status)
    if not seen:
        raise NotTested("no operation of the contract was answered")


def _schema(reading: Reading, response: Node | None) -> str | None:
    """Where the schema of this answer's body is, if it is JSON and has one."""
    if response is None or not is_json(reading.exchange.media_type):
        return None
    for media_type, media in _contract().contents(response):
        if media_type == reading.exchange.media_type and "schema" in media.value:
            return f"{media.pointer}/schema"
    return None


def _detail(
    found: list[tuple[Reading, Operation, Node | None]] | list[tuple[Reading, Operation, Node]],
) -> str:
    return f"{len(found)} answers of {len({o.name for _, o, _ in found})} operations"
