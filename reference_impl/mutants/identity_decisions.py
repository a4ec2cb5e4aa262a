"""Broken decisions about identity, for the mutants of `identity.py`: each class takes one of them wrongly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from joserfc import jws
from joserfc.jwk import Key, OctKey

from reference_impl.exchange import Exchange, Principal
from reference_impl.identity import OAuthClient
from reference_impl.policies.auth import BearerCredentials
from reference_impl.policies.grants import StrictGrants
from reference_impl.policies.scopes import HeldScopes
from reference_impl.policies.tokens import AccessTokens, Issuer
from reference_impl.store.codes import Codes, Grant


class Unverified(AccessTokens):
    def verified(self, token: str, header: Mapping[str, Any], key: Key | None) -> dict[str, Any]:
        return _claims(token)


class NoneTaken(AccessTokens):
    """Believes a token that says it needs no signature."""

    def header_allowed(self, header: Mapping[str, Any]) -> bool:
        return header.get("alg") == "none" or super().header_allowed(header)

    def verified(self, token: str, header: Mapping[str, Any], key: Key | None) -> dict[str, Any]:
        return _claims(token) if header["alg"] == "none" else super().verified(token, header, key)


class Confused(AccessTokens):
    """Takes the algorithm from the token and whatever bytes it has as the key."""

    def header_allowed(self, header: Mapping[str, Any]) -> bool:
        return header.get("alg") == "HS256" or super().header_allowed(header)

    def verified(self, token: str, header: Mapping[str, Any], key: Key | None) -> dict[str, Any]:
        if header["alg"] != "HS256" or key is None or isinstance(key, OctKey):
            return super().verified(token, header, key)
        # joserfc refuses such a key for HMAC; who writes this by hand has no such luck.
        content, _, signature = token.rpartition(".")
        made = hmac.new(key.as_pem(private=False), content.encode(), hashlib.sha256).digest()
        if base64.urlsafe_b64encode(made).rstrip(b"=").decode() != signature:
            raise ValueError("the signature is wrong")
        return _claims(token)


class Eternal(AccessTokens):
    def check_claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        super().check_claims({**claims, "exp": 2**33}, issuer)


class AnyAudience(AccessTokens):
    def check_claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        super().check_claims({**claims, "aud": issuer.audience}, issuer)


class RightsOfTheHolder(AccessTokens):
    def subject(self, claims: Mapping[str, Any], issuer: Issuer) -> Principal | None:
        found = super().subject(claims, issuer)
        return found and replace(found, scopes=self.principals[found.name].scopes)


class NoTokens(AccessTokens):
    async def principal(self, exchange: Exchange, token: str) -> Principal | None:
        return None


class CaseSensitive(BearerCredentials):
    async def authenticate(self, exchange: Exchange) -> Principal:
        given = exchange.headers.get("authorization") or ""
        if given.startswith("bearer "):
            exchange.headers = type(exchange.headers)([(b"authorization", b"Bearer")])
        return await super().authenticate(exchange)


class OneTenant(BearerCredentials):
    """Everybody is the same principal, and sees what everybody has."""

    async def authenticate(self, exchange: Exchange) -> Principal:
        return replace(await super().authenticate(exchange), name="demo")


class Unscoped(HeldScopes):
    def require(self, exchange: Exchange, scope: str, *alternatives: str) -> None:
        return


class FamilyIsEnough(HeldScopes):
    """Asks whether the caller may use some model, and not whether it is this one."""

    def require(self, exchange: Exchange, scope: str, *alternatives: str) -> None:
        family, _, rest = scope.partition(":")
        action = rest.rpartition(":")[2]
        super().require(exchange, f"{family}:*:{action}" if ":" in rest else scope)


class Reusable(StrictGrants):
    def __init__(self) -> None:
        self._taken: dict[str, Grant | None] = {}

    async def take(self, codes: Codes, code: str) -> Grant | None:
        if code not in self._taken:
            self._taken[code] = await super().take(codes, code)
        return self._taken[code]


class AnyVerifier(StrictGrants):
    def verifier_fits(self, challenge: str, verifier: str | None) -> bool:
        return True


class PkceOptional(StrictGrants):
    def challenge_allowed(self, challenge: str | None, method: str | None) -> bool:
        return challenge is None or super().challenge_allowed(challenge, method)


class PkcePlain(StrictGrants):
    def challenge_allowed(self, challenge: str | None, method: str | None) -> bool:
        return method == "plain" or super().challenge_allowed(challenge, method)


class RedirectByPrefix(StrictGrants):
    def redirect_allowed(self, client: OAuthClient, redirect_uri: str) -> bool:
        return any(redirect_uri.startswith(known) for known in client.redirect_uris)


class AnySecret(StrictGrants):
    def client(
        self, clients: Sequence[OAuthClient], client_id: str, secret: str | None
    ) -> OAuthClient | None:
        return next((c for c in clients if c.client_id == client_id), None)


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return claims
