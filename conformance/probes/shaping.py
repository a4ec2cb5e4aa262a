"""Take the request that a dialect would send apart, so that a probe can send it slightly wrong."""

from __future__ import annotations

from typing import Any

from conformance.dialects.request import build_request
from conformance.session import Session

ODD_CASE = str.maketrans("aeiouAEIOU", "AEIOUaeiou")


def path_of(session: Session, operation: str, **params: Any) -> str:
    """Where the dialect sends ``operation``, relative to the target's base URL (for :meth:`Session.raw`)."""
    url = build_request(session.dialect, operation, _with_model(session, params), session.target, "none").url
    return url.removeprefix(session.target.base_url.rstrip("/"))


def body_of(session: Session, operation: str, **params: Any) -> bytes:
    """The body the dialect would send."""
    return build_request(
        session.dialect, operation, _with_model(session, params), session.target, "none"
    ).body


def odd_case(session: Session, operation: str, **params: Any) -> dict[str, str]:
    """The headers the dialect would send, for overriding them with names in an unusual case."""
    sent = build_request(session.dialect, operation, _with_model(session, params), session.target, "main")
    return {name.translate(ODD_CASE): value for name, value in sent.headers}


def _with_model(session: Session, params: dict[str, Any]) -> dict[str, Any]:
    return {"model": session.target.model, **params}
