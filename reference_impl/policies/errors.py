"""Errors: one exception, one table, one envelope (RFC 9457 on request)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reference_impl.exchange import Exchange
from reference_impl.outages import RETRY_S
from reference_impl.policies.negotiation import prefers_problem
from spec.errors import ERRORS

JSON = "application/json"
PROBLEM = "application/problem+json"

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class ContractError(Exception):
    """An answer other than success. `code` is a key of the error table, which gives status and type.

    `param` is a JSON Pointer into the body, or the name of a header or query parameter.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.param = param
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status of the code (Connexion also reads it, to rank failed security schemes)."""
        return ERRORS[self.code].status


@dataclass(frozen=True)
class Rendered:
    """An error on its way out."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


def unavailable() -> ContractError:
    """SERVICE_UNAVAILABLE: an outage, about which clients need to know no more."""
    return ContractError(
        "SERVICE_UNAVAILABLE",
        "The server cannot reach what it keeps its state in; send the request again, with the same idempotency key.",
        details={"retry_after_seconds": RETRY_S},
        headers={"Retry-After": str(RETRY_S)},
    )


class ErrorRenderer(Protocol):
    """Turns errors into answers."""

    def envelope(self, error: ContractError, exchange: Exchange) -> dict[str, Any]:
        """The error object, the same in an HTTP answer and in a stream's error event."""
        ...

    def render(self, error: ContractError, exchange: Exchange) -> Rendered:
        """The whole answer, in the form the client asked for."""
        ...


class Envelope:
    """`{"error": {...}}`, or a problem document when the client prefers `application/problem+json`."""

    def envelope(self, error: ContractError, exchange: Exchange) -> dict[str, Any]:
        """The error object."""
        entry = ERRORS[error.code]
        return {
            "code": error.code,
            "message": error.message,
            "details": error.details,
            "type": entry.type,
            "param": error.param,
            "retryable": entry.retryable,
            "request_id": exchange.request_id,
            "docs_url": exchange.url(f"/errors/{error.code}"),
        }

    def render(self, error: ContractError, exchange: Exchange) -> Rendered:
        """The whole answer."""
        body = self.envelope(error, exchange)
        if prefers_problem(exchange.headers.all("accept")):
            return self._rendered(error, PROBLEM, problem(body, error.status))
        return self._rendered(error, JSON, {"error": body})

    @staticmethod
    def _rendered(error: ContractError, media_type: str, content: dict[str, Any]) -> Rendered:
        encoded = _ENCODER.encode(content).encode()
        return Rendered(error.status, media_type, encoded, tuple(error.headers.items()))


def problem(envelope: Mapping[str, Any], status: int) -> dict[str, Any]:
    """The RFC 9457 form of an error object: one-to-one, `type` being the URI of the code's documentation."""
    # The member that draft-ietf-httpapi-ratelimit-headers defines for its problem types.
    policy = envelope["details"].get("policy")
    violated = {} if policy is None else {"violated-policies": [policy]}
    return {
        "type": envelope["docs_url"],
        "title": envelope["code"].replace("_", " ").capitalize(),
        "status": status,
        "detail": envelope["message"],
        "code": envelope["code"],
        "details": envelope["details"],
        "error_type": envelope["type"],
        "param": envelope["param"],
        "retryable": envelope["retryable"],
        "request_id": envelope["request_id"],
        **violated,
    }
