"""JWT access tokens (RFC 9068): whose they are, or that they are not to be trusted. Never why."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

from reference_impl.exchange import Exchange, Principal
from reference_impl.oauth.keys import ALGORITHMS, KeySource
from reference_impl.policies.challenges import issuer_of, resource_of
from reference_impl.settings import PRODUCTION

LONGEST = 8_192
"""Characters; the parser never sees a longer token."""

_TYPES = ("at+jwt", "application/at+jwt")


class TokenVerifier(Protocol):
    """Tells whose an access token is."""

    async def principal(self, exchange: Exchange, token: str) -> Principal | None:
        """The principal, or None for whatever is no valid access token for this API and this connection."""
        ...


@dataclass(frozen=True)
class Issuer:
    """Who may issue tokens, for which audience, and how their signatures are checked."""

    issuer: str
    audience: str
    keys: KeySource
    local: bool = False


@dataclass(frozen=True)
class AccessTokens:
    """Tokens of this server's own issuer and of others that are trusted.

    `principals` are the holders of API keys by name: the own issuer's subjects. Subjects of other issuers are
    principals of their own, whose names start with the issuer, so that nobody outside can become one of them.
    """

    own_keys: KeySource
    principals: Mapping[str, Principal]
    trusted: Sequence[Issuer] = ()
    leeway_s: int = 5
    clock: Callable[[], float] = time.time

    async def principal(self, exchange: Exchange, token: str) -> Principal | None:
        """Header, signature, claims and certificate binding, in this order."""
        if len(token) > LONGEST or token.count(".") != 2:
            return None
        try:
            header, claimed = _unverified(token)
            issuer = self.issuer(exchange, claimed)
            if issuer is None or not self.header_allowed(header):
                return None
            key = await issuer.keys.find(str(header.get("kid")))
            claims = self.verified(token, header, key)
            self.check_claims(claims, issuer)
        except (JoseError, ValueError, TypeError):
            return None
        if not self.bound_here(exchange, claims):
            return None
        return self.subject(claims, issuer)

    def issuer(self, exchange: Exchange, claims: Mapping[str, Any]) -> Issuer | None:
        """The issuer that a token names; its keys, and only these, may have signed it."""
        own = Issuer(issuer_of(exchange), resource_of(exchange), self.own_keys, local=True)
        return next((known for known in (own, *self.trusted) if known.issuer == claims.get("iss")), None)

    def header_allowed(self, header: Mapping[str, Any]) -> bool:
        """RFC 8725: a fixed set of algorithms, an explicit type, a named key, no extensions that must be known."""
        kind = header.get("typ")
        return (
            header.get("alg") in ALGORITHMS
            and isinstance(kind, str)
            and kind.lower() in _TYPES
            and isinstance(header.get("kid"), str)
            and not header.keys() & {"crit", "b64"}
        )

    def verified(self, token: str, header: Mapping[str, Any], key: Key | None) -> dict[str, Any]:
        """The claims of a token whose signature is right; the key decides about the algorithm, not the token."""
        algorithm = None if key is None else ALGORITHMS.get(str(header["alg"]))
        if key is None or algorithm is None or not algorithm.fits(key):
            raise ValueError("no key that this token can have been signed with")
        return jwt.decode(token, key, algorithms=[str(header["alg"])]).claims

    def check_claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        """RFC 9068 section 4: `iss`, `aud`, `exp`, and `nbf` and `iat` where they are.

        Raises a joserfc error or ValueError.
        """
        registry = jwt.JWTClaimsRegistry(
            now=int(self.clock()),
            leeway=self.leeway_s,
            iss={"essential": True, "value": issuer.issuer},
            aud={"essential": True, "value": issuer.audience},
            exp={"essential": True},
            sub={"essential": True},
            client_id={"essential": True},
        )
        registry.validate(dict(claims))

    def bound_here(self, exchange: Exchange, claims: Mapping[str, Any]) -> bool:
        """RFC 8705 section 3: a token that is bound to a certificate works with that certificate only."""
        confirmation = claims.get("cnf")
        if confirmation is None:
            return True
        wanted = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
        # A binding of a kind that is not known here (RFC 9449, for instance) cannot be confirmed.
        if not isinstance(wanted, str) or len(confirmation) != 1 or exchange.client_certificate is None:
            return False
        return hmac.compare_digest(wanted.encode(), exchange.client_certificate.encode())

    def subject(self, claims: Mapping[str, Any], issuer: Issuer) -> Principal | None:
        """The principal with the rights of the token, not those of its holder."""
        granted = claims.get("scope")
        scopes = frozenset(granted.split()) if isinstance(granted, str) else frozenset[str]()
        expires_at = int(claims["exp"])
        if not issuer.local:
            name = f"{issuer.issuer}|{claims['sub']}"
            return Principal(name, PRODUCTION, scopes, "access_token", expires_at)
        holder = self.principals.get(claims["sub"])
        if holder is None:
            return None
        return Principal(holder.name, holder.tier, scopes, "access_token", expires_at)


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that nobody has checked yet: good for choosing the key only."""
    parsed = jws.extract_compact(token.encode("ascii"))
    claims = json.loads(parsed.payload)
    if not isinstance(claims, dict):
        raise ValueError("the claims are no object")
    return dict(parsed.protected), claims
