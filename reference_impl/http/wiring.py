"""Connexion, reduced to what the contract needs: routing, security, validation, dispatch by operationId."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from connexion.apps.asynchronous import AsyncApp
from connexion.datastructures import MediaTypeDict
from connexion.exceptions import ResolverError
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from starlette.types import ASGIApp, Receive, Scope

from reference_impl.exchange import Exchange
from reference_impl.http.body import read_body, refuse_oversize
from reference_impl.http.dispatch import CONTEXT, Dispatch, Handler
from reference_impl.http.schema import Operation, check_body, check_query, compile_operations
from reference_impl.http.specification import specification
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError
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
    validation = _Validation(compile_operations(document), policies, settings)
    app = AsyncApp(
        __name__,
        middlewares=[_StrictRouting, SecurityMiddleware, RequestValidationMiddleware, Dispatch],
        resolver=Resolver(_lookup(handlers)),
        security_map={"bearer": _bearer(policies)},
        validator_map={
            "parameter": lambda *_args, **_kwargs: validation,
            "body": MediaTypeDict({"application/json": lambda **_kwargs: validation}),
        },
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
    exchange.principal = policies.auth.authenticate(exchange.headers)
    await policies.limits.admit_request(exchange)


class _StrictRouting(RoutingMiddleware):
    """Routes exact paths only: no redirects that would answer in another form than the contract's."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self.router.redirect_slashes = False

    def add_api(self, *args: Any, **kwargs: Any) -> None:
        super().add_api(*args, **kwargs)
        mount: Any = self.router.routes[-1]
        mount.app.redirect_slashes = False


class _Validation:
    """Connexion's parameter and body validator in one, shared by all requests of a server."""

    def __init__(self, operations: Mapping[str, Operation], policies: Policies, settings: Settings) -> None:
        self._operations = operations
        self._policies = policies
        self._limit = settings.max_body_bytes

    def validate(self, scope: Scope) -> None:
        """Headers and query: interface version, acceptable media types, declared parameters."""
        exchange, operation = exchange_of(scope), self._operation(scope)
        self._policies.versioning.check(exchange.headers)
        accept = exchange.headers.all("accept")
        if not any(self._policies.negotiation.accepts(accept, media) for media in operation.produces):
            raise ContractError(
                "NOT_ACCEPTABLE",
                f"This operation answers as {' or '.join(operation.produces)}; change the Accept header.",
                param="Accept",
                details={"available": list(operation.produces)},
            )
        if operation.query:
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            scope["extensions"][CONTEXT].update(check_query(operation, query))

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Read, parse and validate the body once; the handler gets the value as `payload`."""
        exchange = exchange_of(scope)
        _refuse_encodings(exchange)
        refuse_oversize(exchange.headers, self._limit)
        payload = self._policies.parsing.parse(await read_body(receive, self._limit))
        check_body(self._operation(scope), payload)
        scope["extensions"][CONTEXT]["payload"] = payload
        return receive, scope

    def _operation(self, scope: Scope) -> Operation:
        return self._operations[scope["extensions"][ROUTING_CONTEXT]["operation_id"]]


def unsupported_media_type(message: str) -> ContractError:
    """UNSUPPORTED_MEDIA_TYPE, naming what is supported."""
    return ContractError(
        "UNSUPPORTED_MEDIA_TYPE", message, param="Content-Type", headers={"Accept-Post": "application/json"}
    )


def _refuse_encodings(exchange: Exchange) -> None:
    content_type = (exchange.headers.get("content-type") or "").lower()
    if "charset" in content_type and "utf-8" not in content_type.replace("utf8", "utf-8"):
        raise unsupported_media_type("JSON is UTF-8; send it without another charset.")
    if (exchange.headers.get("content-encoding") or "identity").lower() != "identity":
        raise unsupported_media_type("Compressed request bodies are not supported.")


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
        def get_fn(self, _scheme: object, _scopes: object) -> Callable[[Any], Awaitable[dict[str, str]]]:
            async def verify(request: Any) -> dict[str, str]:
                exchange = exchange_of(request.scope)
                await admit(policies, exchange)
                return {"sub": exchange.caller.name}

            return verify

    return Bearer
