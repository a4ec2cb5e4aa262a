"""The document as Connexion reads it: projected to 3.0, validated and resolved once per process."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from connexion.spec import OpenAPISpecification

from reference_impl.http.per_document import per_document
from spec.editions import to_30


def specification(document: Mapping[str, Any], base_path: str) -> OpenAPISpecification:
    """What Connexion's middlewares take. Servers of one document share its parts, which nobody writes to."""
    return copy.copy(_specification(document, base_path))


@per_document
def _specification(document: Mapping[str, Any], base_path: str) -> OpenAPISpecification:
    # Connexion's validation of the document takes longer than all the rest of making a server.
    projected = _one_scheme(to_30(dict(document)), document)
    made: OpenAPISpecification = OpenAPISpecification(projected)  # type: ignore[no-untyped-call]
    made.base_path = base_path
    return made


def _one_scheme(projected: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the bearer scheme alone, with the scopes of the 3.2 document.

    The document names alternatives (key, token, bound token), which our policies tell apart by the credential;
    Connexion would try them one after the other and count a request once for each.
    """
    for path, item in projected["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and operation.get("security"):
                required = document["paths"][path][method]["security"]
                operation["security"] = [{"bearer": next(iter(required[0].values()))}]
    return projected
