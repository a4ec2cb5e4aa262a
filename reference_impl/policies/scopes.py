"""Scopes: what a caller may do, checked where it is done. `*` stands for any one part, or for everything."""

from __future__ import annotations

from reference_impl.exchange import Exchange
from reference_impl.policies.errors import ContractError


def grants(scopes: frozenset[str], wanted: str) -> bool:
    """Whether one of the scopes covers `wanted`, part by part (`actions:*:execute` covers every tool)."""
    return any(_covers(scope, wanted) for scope in scopes)


def require_scope(exchange: Exchange, scope: str) -> None:
    """Raise INSUFFICIENT_SCOPE (RFC 6750 section 3.1) unless the caller holds the scope."""
    if grants(exchange.caller.scopes, scope):
        return
    raise ContractError(
        "INSUFFICIENT_SCOPE",
        f"This needs the scope {scope}.",
        details={"required_scopes": [scope]},
        headers={
            "WWW-Authenticate": f'Bearer realm="aiconform", error="insufficient_scope", scope="{scope}"'
        },
    )


def _covers(scope: str, wanted: str) -> bool:
    if scope == "*":
        return True
    held, asked = scope.split(":"), wanted.split(":")
    return len(held) == len(asked) and all(h in ("*", a) for h, a in zip(held, asked, strict=True))
