"""Connexion's routing, without redirects, and with one look-up where a path has no parameters."""

from __future__ import annotations

from typing import Any

from connexion.middleware.routing import RoutingMiddleware, RoutingOperation
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.http.linking import made_by


class StrictRouting(RoutingMiddleware):
    """Routes exact paths only: no redirects that would answer in another form than the contract's.

    Connexion tries the patterns of all operations in turn; most paths are literal and need no pattern.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self.router.redirect_slashes = False
        self._literal: dict[tuple[str, str], ASGIApp] = {}

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        """Add the routes of one document."""
        super().add_api(*args, **kwargs)
        mount: Any = self.router.routes[-1]
        assert isinstance(mount, Mount)
        mounted: Any = mount.app
        mounted.redirect_slashes = False
        middleware: Any = self.app
        for route in mounted.routes:
            if isinstance(route, Route):
                routed: Any = route.endpoint
                assert isinstance(routed, RoutingOperation)
                routed.next_app = made_by(middleware, mount.path, routed.operation_id)
                if not route.param_convertors:
                    self._literal |= {
                        (method, mount.path + route.path): routed.next_app for method in route.methods or ()
                    }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on with what is to be done for the operation."""
        known = self._literal.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if known is None:
            await super().__call__(scope, receive, send)
        else:
            await known(scope, receive, send)
