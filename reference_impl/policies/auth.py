"""Authentication: a bearer credential (RFC 6750) that is an API key or an access token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reference_impl.exchange import Exchange, Principal
from reference_impl.oauth.keys import KeyRing
from reference_impl.policies.challenges import challenge
from reference_impl.policies.errors import ContractError
from reference_impl.policies.tokens import TokenVerifier
from reference_impl.settings import Credential


class Authenticator(Protocol):
    """Tells who is calling."""

    async def authenticate(self, exchange: Exchange) -> Principal:
        """The caller, or a `ContractError` UNAUTHENTICATED with a challenge."""
        ...


class ApiKeys:
    """API keys, kept as hashes, compared in constant time."""

    def __init__(self, credentials: Sequence[Credential]) -> None:
        self._known = [
            (known.sha256, Principal(known.principal, known.tier, known.scopes)) for known in credentials
        ]

    def principals(self) -> dict[str, Principal]:
        """The holders of keys by name."""
        return {principal.name: principal for _, principal in self._known}

    def find(self, key: str) -> Principal | None:
        """The principal of a key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for known, principal in self._known:
            # Every key is compared, so that the time taken says nothing about which one came close.
            if hmac.compare_digest(known, digest):
                found = principal
        return found


@dataclass(frozen=True)
class BearerCredentials:
    """`Authorization: Bearer …`. Credentials anywhere else, such as in the URL, are never looked at.

    Whatever is wrong with a credential, the answer is the same: nobody learns which guess came close.
    """

    keys: ApiKeys
    tokens: TokenVerifier
    own_keys: KeyRing

    async def authenticate(self, exchange: Exchange) -> Principal:
        """The principal of the key or token."""
        values = exchange.headers.all("authorization")
        if not values:
            raise _refusal("Send your credential as 'Authorization: Bearer …'.", challenge(exchange))
        scheme, _, given = values[0].partition(" ")
        if scheme.lower() != "bearer":
            raise _refusal("Only the Bearer scheme is supported.", challenge(exchange))
        given = given.strip()
        found = None
        if len(values) == 1:
            found = self.keys.find(given) or await self.tokens.principal(exchange, given)
        if found is None:
            raise _refusal("The credential is not valid.", challenge(exchange, error="invalid_token"))
        return found


def _refusal(message: str, header: str) -> ContractError:
    return ContractError(
        "UNAUTHENTICATED", message, param="Authorization", headers={"WWW-Authenticate": header}
    )
