"""Walk an OpenAPI description: operations, their responses, bodies, headers and examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from conformance.replicas import Replicas

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_ROOT = "urn:aiconform:description"
_MAX_REFERENCES = 8


@dataclass(frozen=True)
class Operation:
    """One operation; ``pointer`` is the JSON Pointer of its object in the document."""

    method: str
    path: str
    pointer: str
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec.get("operationId") or f"{self.method.upper()} {self.path}")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches a URL path below the base path."""
        parts = (part for part in re.split(r"(\{[^}]*\})", self.path) if part)
        return re.compile("".join("[^/]+" if p.startswith("{") else re.escape(p) for p in parts))


@dataclass(frozen=True)
class Node:
    """A part of the document behind its references; ``pointer`` is where it really is."""

    pointer: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Body:
    """The content of a request or response in one media type. ``examples``: JSON Pointer, and value (None
    where the example is only given serialized or by URL)."""

    of: str
    media_type: str
    schema_pointer: str | None
    examples: tuple[tuple[str, Any], ...]


class Description:
    """A parsed description. ``ValueError`` is raised where a reference or a schema cannot be used."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        resource = DRAFT202012.create_resource(dict(document))
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """In document order."""
        return tuple(
            Operation(method, path, f"/paths/{escape(path)}/{method}", item[method])
            for path, item in _members(self.document.get("paths"))
            for method in METHODS
            if isinstance(item, dict) and isinstance(item.get(method), dict)
        )

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that serves a URL path below the base path; literal paths come before templates."""
        found = [o for o in self.operations if o.method == method.lower() and o.pattern.fullmatch(path)]
        return min(found, key=lambda o: o.path.count("{"), default=None)

    def response(self, operation: Operation, status: int) -> Node | None:
        """What is declared for a status: itself, its range (``4XX``) or ``default``."""
        declared = operation.spec.get("responses")
        for key in (str(status), f"{status // 100}XX", "default"):
            if isinstance(declared, dict) and key in declared:
                return self.resolve(f"{operation.pointer}/responses/{key}", declared[key])
        return None

    def headers(self, response: Node) -> Iterator[tuple[str, Node]]:
        """Name and Header Object of each declared response header."""
        for name, header in _members(response.value.get("headers")):
            yield name, self.resolve(f"{response.pointer}/headers/{escape(name)}", header)

    def contents(self, body: Node) -> Iterator[tuple[str, Node]]:
        """Media type and Media Type Object of a request body or response."""
        for media_type, given in _members(body.value.get("content")):
            yield media_type, self.resolve(f"{body.pointer}/content/{escape(media_type)}", given)

    def bodies(self, operation: Operation) -> Iterator[Body]:
        """The request body, then each response that has content, in every media type."""
        if "requestBody" in operation.spec:
            pointer = f"{operation.pointer}/requestBody"
            yield from self._bodies("request", self.resolve(pointer, operation.spec["requestBody"]))
        for status, response in _members(operation.spec.get("responses")):
            resolved = self.resolve(f"{operation.pointer}/responses/{status}", response)
            yield from self._bodies(f"response {status}", resolved)

    def errors(self, schema_pointer: str, value: Any) -> list[tuple[str, str]]:
        """JSON Pointer into ``value``, and why it does not match the schema at that place of the document."""
        if schema_pointer not in self._validators:
            schema = {"$ref": f"{_ROOT}#{schema_pointer}"}
            self._validators[schema_pointer] = Draft202012Validator(schema, registry=self._registry)
        try:
            found = list(self._validators[schema_pointer].iter_errors(value))
        except (Unresolvable, UnknownType, re.error, RecursionError) as error:
            raise ValueError(f"the schema at {schema_pointer} cannot be used: {error}") from None
        return [("".join(f"/{escape(str(p))}" for p in e.absolute_path), e.message) for e in found]

    def resolve(self, pointer: str, value: Any) -> Node:
        """Follow local references."""
        for _ in range(_MAX_REFERENCES):
            if not isinstance(value, dict):
                return Node(pointer, {})
            reference = value.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return Node(pointer, value)
            pointer, value = reference[1:], self._at(reference[1:])
        raise ValueError(f"{pointer}: too many references in a row")

    def _bodies(self, of: str, body: Node) -> Iterator[Body]:
        for media_type, media in self.contents(body):
            examples: list[tuple[str, Any]] = []
            if "example" in media.value:
                examples.append((f"{media.pointer}/example", media.value["example"]))
            for name, example in _members(media.value.get("examples")):
                found = self.resolve(f"{media.pointer}/examples/{escape(name)}", example)
                examples.append((found.pointer, found.value.get("dataValue", found.value.get("value"))))
            schema = f"{media.pointer}/schema" if "schema" in media.value else None
            yield Body(of, media_type, schema, tuple(examples))

    def _at(self, pointer: str) -> Any:
        value: Any = self.document
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                raise ValueError(f"$ref '#{pointer}' leads nowhere")
            value = value[name]
        return value


def path_below(target: Mapping[str, Any], url: str) -> str | None:
    """The path of ``url`` below the target's base URL, without query; None if it lies elsewhere."""
    base, path = urlsplit(Replicas.of(target).base(url)).path.rstrip("/"), urlsplit(url).path
    return path.removeprefix(base) if path.startswith(f"{base}/") and "/../" not in path else None


def _members(value: object) -> Iterable[tuple[str, Any]]:
    """Name and value of each member of an object; none of anything else."""
    return [(str(k), v) for k, v in value.items()] if isinstance(value, dict) else []


def escape(name: str) -> str:
    """One token of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
