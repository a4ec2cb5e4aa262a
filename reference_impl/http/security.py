"""Security as a Connexion middleware: wherever the document demands a bearer token, our policies admit.

Connexion's own reads the request's headers anew and tries one scheme after the other; see `specification`.
"""

from __future__ import annotations

from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.exchange import Exchange
from reference_impl.http.dispatch import CONTEXT
from reference_impl.http.linking import following
from reference_impl.policies import Policies


async def admit(policies: Policies, exchange: Exchange) -> None:
    """Authenticate the caller and count the request, in this order: a 401 costs nobody anything."""
    exchange.principal = await policies.auth.authenticate(exchange)
    await policies.limits.admit_request(exchange)


class _Admitted:
    """One operation behind the admission of its caller; `scopes` are all demanded."""

    def __init__(self, next_app: ASGIApp, scopes: tuple[str, ...], policies: Policies) -> None:
        self._next = next_app
        self._scopes = scopes
        self._policies = policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or fill in who is calling."""
        exchange: Exchange = scope["extensions"][CONTEXT]["exchange"]
        await admit(self._policies, exchange)
        for demanded in self._scopes:
            self._policies.scopes.require(exchange, demanded)
        await self._next(scope, receive, send)


def security(policies: Policies) -> type[Any]:
    """The middleware class for one server, as Connexion wants it: a class it makes itself."""

    class Api(RoutedAPI[ASGIApp]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.add_paths()

        def make_operation(self, operation: AbstractOperation) -> ASGIApp:
            if not operation.security:
                return following(self, operation)
            (required,) = operation.security
            return _Admitted(following(self, operation), tuple(required["bearer"]), policies)

    class Security(RoutedMiddleware[Api]):
        api_cls = Api

    return Security
