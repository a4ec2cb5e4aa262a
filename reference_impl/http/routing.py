"""Connexion's routing, without redirects, and with one look-up where a path has no parameters."""

from __future__ import annotations

from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class StrictRouting(RoutingMiddleware):
    """Routes exact paths only: no redirects that would answer in another form than the contract's.

    Connexion tries the patterns of all operations in turn; most paths are literal and need no pattern.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self.router.redirect_slashes = False
        self._literal: dict[tuple[str, str], dict[str, Any]] = {}

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        """Add the routes of one document."""
        super().add_api(*args, **kwargs)
        mount: Any = self.router.routes[-1]
        assert isinstance(mount, Mount)
        mounted: Any = mount.app
        mounted.redirect_slashes = False
        for route in mounted.routes:
            if isinstance(route, Route) and not route.param_convertors:
                endpoint: Any = route.endpoint
                context = {"api_base_path": mount.path, "operation_id": endpoint.operation_id}
                self._literal |= {
                    (method, mount.path + route.path): context for method in route.methods or ()
                }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the operation into the scope and go on."""
        known = self._literal.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if known is None:
            await super().__call__(scope, receive, send)
            return
        scope["extensions"][ROUTING_CONTEXT] = dict(known)
        scope.setdefault("path_params", {})
        await self.app(scope, receive, send)
