"""The last layer: calls the handler that Connexion resolved for the operation, and sends its answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[..., Awaitable[Response]]

CONTEXT = "connexion_context"


class _Call:
    """One operation. What its handler wants by name is looked up once, not per request as Connexion does."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._wanted = tuple(inspect.signature(handler).parameters)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handlers get `exchange`, `payload`, and path and query parameters."""
        available = scope["extensions"][CONTEXT]
        if in_path := scope.get("path_params"):
            available = {**available, **in_path}
        response = await self._handler(**{name: available[name] for name in self._wanted})
        await response(scope, receive, send)


class _DispatchApi(RoutedAPI[_Call]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> _Call:
        return _Call(operation.function)


class Dispatch(RoutedMiddleware[_DispatchApi]):
    """Takes the place of Connexion's context middleware and of its decorators around handlers.

    Requests without an operation go on to the innermost router, which refuses them.
    """

    api_cls = _DispatchApi

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
