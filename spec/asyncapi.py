"""The AsyncAPI document of the WebSocket, with the schemas of the OpenAPI document: there is one source of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spec.document import load_document
from spec.yaml_files import read_yaml

VERSION = "3.0.0"
_SCHEMAS = "#/components/schemas/"


def load_asyncapi() -> dict[str, Any]:
    """The whole document as plain data: the schemas that its messages need are in it, and no others.

    Raises:
        KeyError: a message refers to a schema that does not exist.
    """
    document: dict[str, Any] = json.loads(
        json.dumps(read_yaml("asyncapi.yaml"))
    )  # aliases become copies, keys become strings
    known = load_document()["components"]["schemas"]
    document["components"]["schemas"] = {name: known[name] for name in sorted(_needed(document, known))}
    return document


def _needed(document: dict[str, Any], known: dict[str, Any]) -> set[str]:
    needed: set[str] = set()
    waiting = list(_referred(document))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += _referred(known[name])
    return needed


def _referred(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(_SCHEMAS):
            yield target.removeprefix(_SCHEMAS)
        for value in node.values():
            yield from _referred(value)
    elif isinstance(node, list):
        for value in node:
            yield from _referred(value)
