"""An operation's way through the middlewares, linked when the document is added: each knows what follows it.

Connexion has every middleware look the operation up again for every request.
"""

from __future__ import annotations

from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.types import ASGIApp


def following(api: RoutedAPI[Any], operation: AbstractOperation) -> ASGIApp:
    """What the middleware behind that of `api` has made of the operation."""
    middleware: Any = api.next_app
    return made_by(middleware, api.base_path, operation.operation_id)


def made_by(middleware: RoutedMiddleware[Any], base_path: str, operation_id: str | None) -> ASGIApp:
    """What a middleware has made of an operation. Connexion adds a document to the innermost of them first."""
    made: ASGIApp = middleware.apis[base_path][-1].operations[operation_id]
    return made
