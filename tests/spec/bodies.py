"""Every body that the document describes, with its schema and its examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from spec.document import operations, resolve


@dataclass(frozen=True)
class Body:
    """One media type of a request or response. ``where`` names it in a failure."""

    where: str
    media_type: str
    media: Mapping[str, Any]

    def examples(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return {name: resolve(document, e) for name, e in self.media.get("examples", {}).items()}


def bodies(document: Mapping[str, Any]) -> Iterator[Body]:
    """Requests and responses of all operations, then the answers to what is not declared."""
    for _, _, operation in operations(document):
        request = operation.get("requestBody", {"content": {}})
        yield from _contents(f"{operation['operationId']} request", request)
        for status, response in operation["responses"].items():
            yield from _contents(f"{operation['operationId']} {status}", resolve(document, response))
    for what, response in document["x-undeclared"].items():
        yield from _contents(f"undeclared {what}", resolve(document, response))


def errors(document: Mapping[str, Any], schema: Mapping[str, Any], instance: Any) -> list[str]:
    """Why an instance does not match a schema of the document (JSON Schema 2020-12, formats included)."""
    root = {**schema, "components": document["components"]}
    validator = Draft202012Validator(root, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(instance)]


def stream_events(text: str) -> list[dict[str, str]]:
    """A stream as parsed events. Examples are in the contract's own form: LF, one data line, no comments."""
    assert text.endswith("\n\n"), "a stream ends with a blank line"
    blocks = [block.split("\n") for block in text[:-2].split("\n\n")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


def event_json(event: Mapping[str, str]) -> Any:
    """The JSON of an event's data."""
    return json.loads(event["data"])


def _contents(where: str, body: Mapping[str, Any]) -> Iterator[Body]:
    for media_type, media in body.get("content", {}).items():
        yield Body(f"{where} {media_type}", media_type, media)
