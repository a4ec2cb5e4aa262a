"""The document as Connexion reads it: projected to 3.0, validated and resolved once per process."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from connexion.operations.openapi import OpenAPIOperation
from connexion.spec import OpenAPISpecification

from spec.editions import to_30


class _Operation(OpenAPIOperation):
    """Connexion searches and rebuilds the body's definition several times per request; it never changes."""

    def body_definition(self, content_type: str | None = None) -> dict[str, Any]:
        known = self.__dict__.setdefault("_definitions", {})
        if content_type not in known:
            # Other media types are refused before they come here, so nobody can make this grow.
            known[content_type] = super().body_definition(content_type)
        definition: dict[str, Any] = known[content_type]
        return definition


def specification(document: Mapping[str, Any], base_path: str) -> OpenAPISpecification:
    """What Connexion's middlewares take. Servers of one document share its parts, which nobody writes to."""
    return copy.copy(_specification(json.dumps(document), base_path))


@lru_cache(maxsize=4)
def _specification(document: str, base_path: str) -> OpenAPISpecification:
    # Connexion's validation of the document takes longer than all the rest of making a server.
    made: OpenAPISpecification = OpenAPISpecification(to_30(json.loads(document)))  # type: ignore[no-untyped-call]
    made.base_path = base_path
    made.operation_cls = _Operation
    return made
