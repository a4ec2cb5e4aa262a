"""Connexion, reduced to what the contract needs: routing, security, validation, dispatch by operationId."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connexion.apps.asynchronous import AsyncApp
from connexion.exceptions import ResolverError
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from starlette.types import ASGIApp, Scope

from reference_impl.exchange import Exchange
from reference_impl.http.dispatch import CONTEXT, Dispatch, Handler
from reference_impl.http.routing import StrictRouting
from reference_impl.http.schema import compile_operations
from reference_impl.http.specification import specification
from reference_impl.http.validation import validation
from reference_impl.policies import Policies
from reference_impl.settings import BASE_PATH, Settings

_PLACEHOLDER = {"openapi": "3.0.4", "info": {"title": "see specification()", "version": "0"}, "paths": {}}


def connexion_app(
    document: Mapping[str, Any],
    policies: Policies,
    settings: Settings,
    handlers: Mapping[str, Handler],
    base_path: str = BASE_PATH,
) -> ASGIApp:
    """The application without its outermost layer; every refusal leaves it as an exception.

    Left out of Connexion's stack: its error middlewares (the entry answers for every error), Swagger UI,
    response validation and lifespan. `Dispatch` calls the handlers.
    """
    validated = validation(compile_operations(document), policies, settings.max_body_bytes)
    app = AsyncApp(
        __name__,
        middlewares=[StrictRouting, SecurityMiddleware, validated, Dispatch],
        resolver=Resolver(_lookup(handlers)),
        security_map={"bearer": _bearer(policies)},  # see specification()
    )
    # No redirects to "the same path with a slash": an unknown path is not found.
    dispatch: Any = app.middleware.app
    dispatch.router.redirect_slashes = False
    # Given as a dict, the document would be validated anew for every server; `specification` does it once.
    app.add_api(_PLACEHOLDER, base_path=base_path)
    app.middleware.apis[-1].specification = specification(document, base_path)
    application: ASGIApp = app
    return application


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that the entry put into the scope."""
    exchange: Exchange = scope["extensions"][CONTEXT]["exchange"]
    return exchange


async def admit(policies: Policies, exchange: Exchange) -> None:
    """Authenticate the caller and count the request, in this order: a 401 costs nobody anything."""
    exchange.principal = await policies.auth.authenticate(exchange)
    await policies.limits.admit_request(exchange)


def _lookup(handlers: Mapping[str, Handler]) -> Callable[[str], Handler]:
    def find(operation_id: str) -> Handler:
        try:
            return handlers[operation_id]
        except KeyError:
            raise ResolverError(f"no handler for the operationId {operation_id}") from None

    return find


def _bearer(policies: Policies) -> type:
    """A Connexion security handler: wherever the document demands a bearer token, our policies admit."""

    class Bearer:
        def get_fn(self, _scheme: object, scopes: list[str]) -> Callable[[Any], Awaitable[dict[str, str]]]:
            async def verify(request: Any) -> dict[str, str]:
                exchange = exchange_of(request.scope)
                await admit(policies, exchange)
                for scope in scopes:
                    policies.scopes.require(exchange, scope)
                return {"sub": exchange.caller.name}

            return verify

    return Bearer
