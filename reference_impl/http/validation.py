"""Request validation as a Connexion middleware: what one operation takes is worked out once, not per request.

Connexion's own builds a validator, a URI parser and a table of media types for every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations.abstract import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.exchange import Exchange
from reference_impl.http.body import read_body, refuse_oversize
from reference_impl.http.dispatch import CONTEXT
from reference_impl.http.linking import following
from reference_impl.http.schema import Operation, check_body, check_query
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError

_JSON = "application/json"


class _Validated:
    """One operation behind its validation: interface version, media types, query, body."""

    def __init__(self, next_app: ASGIApp, operation: Operation, policies: Policies, max_body: int) -> None:
        self._next = next_app
        self._operation = operation
        self._policies = policies
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or put query parameters and `payload` into the context for the handler."""
        context = scope["extensions"][CONTEXT]
        exchange: Exchange = context["exchange"]
        exchange.route = self._operation.path
        self._policies.versioning.check(exchange.headers)
        if self._operation.notice is not None:
            exchange.notices.append(self._operation.notice)
        self._refuse_unacceptable(exchange)
        if self._operation.query:
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            context.update(check_query(self._operation, query))
        if self._operation.body is not None:
            _refuse_media_type(exchange)
            refuse_oversize(exchange.headers, self._max_body)
            payload = self._policies.parsing.parse(await read_body(receive, self._max_body))
            check_body(self._operation, payload)
            context["payload"] = payload
        await self._next(scope, receive, send)

    def _refuse_unacceptable(self, exchange: Exchange) -> None:
        accept = exchange.headers.all("accept")
        produces = self._operation.produces
        # An operation without a success in HTTP, such as an upgrade, has nothing to negotiate.
        if not produces or any(
            self._policies.negotiation.accepts(accept, media_type) for media_type in produces
        ):
            return
        raise ContractError(
            "NOT_ACCEPTABLE",
            f"This operation answers as {' or '.join(produces)}; change the Accept header.",
            param="Accept",
            details={"available": list(produces)},
        )


def unsupported_media_type(message: str) -> ContractError:
    """UNSUPPORTED_MEDIA_TYPE, naming what is supported."""
    return ContractError(
        "UNSUPPORTED_MEDIA_TYPE", message, param="Content-Type", headers={"Accept-Post": _JSON}
    )


def _refuse_media_type(exchange: Exchange) -> None:
    # A body without a type is taken for JSON: refusing it would say nothing that parsing does not.
    given = exchange.headers.get("content-type") or _JSON
    if given != _JSON:
        media_type, _, parameters = given.lower().partition(";")
        if media_type.strip() != _JSON:
            raise unsupported_media_type("This operation takes application/json.")
        if "charset" in parameters and "utf-8" not in parameters.replace("utf8", "utf-8"):
            raise unsupported_media_type("JSON is UTF-8; send it without another charset.")
    if (exchange.headers.get("content-encoding") or "identity").lower() != "identity":
        raise unsupported_media_type("Compressed request bodies are not supported.")


def validation(operations: Mapping[str, Operation], policies: Policies, max_body: int) -> type[Any]:
    """The middleware class for one server's operations, as Connexion wants it: a class it makes itself."""

    class Api(RoutedAPI[_Validated]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.add_paths()

        def make_operation(self, operation: AbstractOperation) -> _Validated:
            compiled = operations[operation.operation_id]
            return _Validated(following(self, operation), compiled, policies, max_body)

    class Validation(RoutedMiddleware[Api]):
        api_cls = Api

    return Validation
