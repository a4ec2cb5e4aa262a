"""Walk an OpenAPI description as it was served: operations, their bodies, their examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_ROOT = "urn:aiconform:served-description"


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


@dataclass(frozen=True)
class Body:
    """The content of a request or response in one media type. ``examples``: JSON Pointer, and value (None
    where the example is only given serialized or by URL)."""

    of: str
    media_type: str
    schema_pointer: str | None
    examples: tuple[tuple[str, Any], ...]


class Description:
    """A parsed description. Raises ``ValueError`` on use where a local ``$ref`` leads nowhere."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        resource = DRAFT202012.create_resource(dict(document))
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, resource)

    def operations(self) -> Iterator[Operation]:
        paths = self.document.get("paths")
        for path, item in paths.items() if isinstance(paths, dict) else ():
            for method in METHODS:
                if isinstance(item, dict) and isinstance(item.get(method), dict):
                    yield Operation(method, path, f"/paths/{escape(path)}/{method}", item[method])

    def bodies(self, operation: Operation) -> Iterator[Body]:
        """The request body, then each response that has content, in every media type."""
        if "requestBody" in operation.spec:
            pointer, body = self._resolve(f"{operation.pointer}/requestBody", operation.spec["requestBody"])
            yield from self._contents("request", pointer, body)
        responses = operation.spec.get("responses")
        for status, response in responses.items() if isinstance(responses, dict) else ():
            pointer, resolved = self._resolve(f"{operation.pointer}/responses/{status}", response)
            yield from self._contents(f"response {status}", pointer, resolved)

    def errors(self, schema_pointer: str, value: Any) -> list[str]:
        """Why ``value`` does not match the schema at that place of the document; empty if it does."""
        validator = Draft202012Validator({"$ref": f"{_ROOT}#{schema_pointer}"}, registry=self._registry)
        return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]

    def _contents(self, of: str, pointer: str, body: Mapping[str, Any]) -> Iterator[Body]:
        content = body.get("content")
        for media_type, given in content.items() if isinstance(content, dict) else ():
            here, media = self._resolve(f"{pointer}/content/{escape(media_type)}", given)
            examples: list[tuple[str, Any]] = []
            if "example" in media:
                examples.append((f"{here}/example", media["example"]))
            for name, example in (media.get("examples") or {}).items():
                place, resolved = self._resolve(f"{here}/examples/{escape(name)}", example)
                examples.append((place, resolved.get("dataValue", resolved.get("value"))))
            yield Body(of, media_type, f"{here}/schema" if "schema" in media else None, tuple(examples))

    def _resolve(self, pointer: str, value: Any) -> tuple[str, Mapping[str, Any]]:
        """Follow local references, at most a few in a row."""
        for _ in range(8):
            if not isinstance(value, dict):
                return pointer, {}
            reference = value.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return pointer, value
            pointer, value = reference[1:], self._at(reference[1:])
        raise ValueError(f"{pointer}: too many references in a row")

    def _at(self, pointer: str) -> Any:
        value: Any = self.document
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                raise ValueError(f"$ref '#{pointer}' leads nowhere")
            value = value[name]
        return value


def escape(name: str) -> str:
    """One token of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
