"""The outermost layer: opens the exchange, answers for every error, adds the contract's headers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.exchange import Exchange, RequestHeaders, certificate_of, origin_of
from reference_impl.http.dispatch import CONTEXT
from reference_impl.http.security import admit
from reference_impl.outages import OutageError
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError, unavailable
from reference_impl.settings import BASE_PATH
from reference_impl.telemetry import NoTelemetry, Telemetry

_log = logging.getLogger("aiconform.reference")

_NO_STORE = (b"cache-control", b"no-store")


class Entry:
    """Pure ASGI: chunks pass through untouched, so streams stay streams."""

    def __init__(
        self,
        app: ASGIApp,
        policies: Policies,
        methods: Mapping[str, tuple[str, ...]],
        base_path: str = BASE_PATH,
        public_url: str | None = None,
        retired: Sequence[Mapping[str, str]] = (),
        telemetry: Telemetry | None = None,
    ) -> None:
        self._public_url = public_url
        self._app = app
        self._policies = policies
        self._retired = {BASE_PATH + gone["path"]: gone for gone in retired}
        self._telemetry = telemetry or NoTelemetry()
        self._allow = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", base_path + template)), ", ".join(allowed))
            for template, allowed in methods.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        exchange = self.open(scope)
        scope["extensions"] = {**scope.get("extensions", {}), CONTEXT: {"exchange": exchange}}
        started = False
        status, code = 500, None

        async def receiving() -> Message:
            exchange.body_requested = True
            return await receive()

        async def sending(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message["headers"] = self.headers(exchange, message["headers"])
            await send(message)

        try:
            if exchange.method == "OPTIONS":
                await self._options(exchange, sending)
            else:
                await self._app(scope, receiving, sending)
        except ClientDisconnect:
            return
        except (Exception, asyncio.CancelledError) as problem:
            if isinstance(problem, asyncio.CancelledError) and _is_ours():
                raise
            if started:
                # Too late for an error answer: breaking the connection is the only honest signal left.
                _log.exception("request %s broke after its answer had begun", exchange.request_id)
                raise
            error = await self._explain(problem, exchange)
            code = error.code
            await self._refuse(exchange, error, sending)
        finally:
            self._policies.limits.release(exchange)
            self._telemetry.answered(exchange, status, code)

    def open(self, scope: Scope) -> Exchange:
        """The exchange of a request that has just arrived."""
        headers = RequestHeaders(scope["headers"])
        tracing = self._policies.tracing
        return Exchange(
            method=scope["method"],
            path=scope["path"],
            headers=headers,
            origin=self._public_url or origin_of(scope, headers),
            prefix=scope.get("aiconform.prefix", ""),
            request_id=tracing.request_id(),
            trace=tracing.trace(headers),
            client_request_id=tracing.client_request_id(headers),
            client_certificate=certificate_of(scope),
        )

    def headers(self, exchange: Exchange, own: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """`own` and what every response carries."""
        policies = self._policies
        result = [
            *own,
            *policies.tracing.headers(exchange),
            *policies.versioning.headers(exchange),
            *policies.limits.headers(exchange),
            *policies.cors.headers(exchange.headers),
        ]
        if not any(name == b"cache-control" for name, _ in own):
            result.append(_NO_STORE)
        if not exchange.body_requested and exchange.headers.get("expect") is not None:
            # The client may now keep its body to itself, and nobody could tell where the next request begins.
            result.append((b"connection", b"close"))
        return result

    def allowed(self, path: str) -> str | None:
        """The methods of a path as an Allow header, or None for an unknown path."""
        return next((allow for pattern, allow in self._allow if pattern.fullmatch(path)), None)

    async def _options(self, exchange: Exchange, send: Send) -> None:
        allow = self.allowed(exchange.path)
        if allow is None:
            raise _not_found()
        more = self._policies.cors.preflight(exchange.headers, allow)
        headers = [(b"allow", allow.encode()), *more]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _explain(self, problem: BaseException, exchange: Exchange) -> ContractError:
        if isinstance(problem, ContractError):
            return problem
        if isinstance(problem, OutageError):
            _log.warning("request %s: %s", exchange.request_id, problem)
            return unavailable()
        known = self._framework_error(problem, exchange)
        if known is None:
            _log.error("request %s failed", exchange.request_id, exc_info=problem)
            return ContractError("INTERNAL", "The server failed; the request id helps its operator.")
        try:
            # Routing refuses before security has looked; a known caller still gets its limits accounted for.
            if exchange.principal is None and exchange.headers.get("authorization") is not None:
                await admit(self._policies, exchange)
        except ContractError as refusal:
            return refusal if refusal.status == 429 else known
        except OutageError as problem:
            return await self._explain(problem, exchange)
        return known

    def _framework_error(self, problem: BaseException, exchange: Exchange) -> ContractError | None:
        """A refusal by Starlette or Connexion in the contract's words, or None if it is no refusal."""
        if isinstance(problem, HTTPException) and problem.status_code == 404:
            gone = self._retired.get(exchange.path)
            return _not_found() if gone is None else _gone(gone, exchange)
        if isinstance(problem, HTTPException) and problem.status_code == 405:
            allow = self.allowed(exchange.path) or ""
            return ContractError(
                "METHOD_NOT_ALLOWED",
                f"This resource allows {allow}.",
                details={"allowed": allow.split(", ")},
                headers={"Allow": allow},
            )
        return None

    async def _refuse(self, exchange: Exchange, error: ContractError, send: Send) -> None:
        rendered = self._policies.errors.render(error, exchange)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in rendered.headers]
        headers += [
            (b"content-type", rendered.media_type.encode()),
            (b"content-length", b"%d" % len(rendered.body)),
        ]
        await send({"type": "http.response.start", "status": rendered.status, "headers": headers})
        await send({"type": "http.response.body", "body": rendered.body})


def _gone(operation: Mapping[str, str], exchange: Exchange) -> ContractError:
    successor = exchange.link(operation["successor"])
    return ContractError(
        "GONE",
        f"This operation was retired; use {successor}.",
        details={"retired_at": operation["retired_at"], "successor": successor},
        headers={"Link": f'<{successor}>; rel="successor-version"'},
    )


def _is_ours() -> bool:
    """Whether this very request is being cancelled; otherwise a cancelled part of it failed, as any part may."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _not_found() -> ContractError:
    return ContractError("NOT_FOUND", "There is no such resource.")
