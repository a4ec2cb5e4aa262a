"""Making access tokens (RFC 9068): signed JWTs with an audience, scopes and, over mutual TLS, a binding."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt

from reference_impl.oauth.keys import KeyRing
from reference_impl.policies.scopes import covers


@dataclass(frozen=True)
class Order:
    """One token to be made. `certificate` is the `x5t#S256` it will be bound to (RFC 8705), or None."""

    issuer: str
    audience: str
    subject: str
    client_id: str
    scope: str
    seconds: int
    certificate: str | None


def access_token(keys: KeyRing, order: Order) -> str:
    """The signed token."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": order.issuer,
        "aud": order.audience,
        "sub": order.subject,
        "client_id": order.client_id,
        "scope": order.scope,
        "iat": now,
        "exp": now + order.seconds,
        "jti": secrets.token_urlsafe(16),
    }
    if order.certificate is not None:
        claims["cnf"] = {"x5t#S256": order.certificate}
    algorithm = keys.algorithm.name
    header = {"alg": algorithm, "typ": "at+jwt", "kid": keys.signing.kid}
    return jwt.encode(header, claims, keys.signing, algorithms=[algorithm])


def grantable(held: Iterable[str], asked: Iterable[str]) -> list[str]:
    """Those of the scopes asked for that the holder has. A family is granted only to who has the family."""
    owned = frozenset(held)
    return [s for s in asked if s in owned or ("*" not in s and any(covers(h, s) for h in owned))]
