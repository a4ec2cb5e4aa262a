"""Connexion, reduced to what the contract needs: routing, security, validation, dispatch by operationId."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connexion.apps.asynchronous import AsyncApp
from connexion.exceptions import ResolverError
from connexion.resolver import Resolver
from starlette.types import ASGIApp

from reference_impl.http.dispatch import Dispatch, Handler
from reference_impl.http.routing import StrictRouting
from reference_impl.http.schema import compile_operations
from reference_impl.http.security import security
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
        middlewares=[StrictRouting, security(policies), validated, Dispatch],
        resolver=Resolver(_lookup(handlers)),
    )
    # No redirects to "the same path with a slash": an unknown path is not found.
    dispatch: Any = app.middleware.app
    dispatch.router.redirect_slashes = False
    # Given as a dict, the document would be validated anew for every server; `specification` does it once.
    app.add_api(_PLACEHOLDER, base_path=base_path)
    app.middleware.apis[-1].specification = specification(document, base_path)
    application: ASGIApp = app.middleware
    return application


def _lookup(handlers: Mapping[str, Handler]) -> Callable[[str], Handler]:
    def find(operation_id: str) -> Handler:
        try:
            return handlers[operation_id]
        except KeyError:
            raise ResolverError(f"no handler for the operationId {operation_id}") from None

    return find
