"""Authentication: bearer API keys (RFC 6750), kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from reference_impl.exchange import Principal, RequestHeaders
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Credential

_CHALLENGE = 'Bearer realm="aiconform"'


class Authenticator(Protocol):
    """Tells who is calling."""

    def authenticate(self, headers: RequestHeaders) -> Principal:
        """The caller, or a `ContractError` UNAUTHENTICATED with a challenge."""
        ...


class BearerKeys:
    """`Authorization: Bearer <key>`. Credentials anywhere else, such as in the URL, are never looked at."""

    def __init__(self, credentials: Sequence[Credential]) -> None:
        self._known = [
            (credential.sha256, Principal(credential.principal, credential.tier, credential.scopes))
            for credential in credentials
        ]

    def authenticate(self, headers: RequestHeaders) -> Principal:
        """The principal of the key. An unknown key and a malformed one get the same answer."""
        values = headers.all("authorization")
        if not values:
            raise _refusal("Send your API key as 'Authorization: Bearer <key>'.", _CHALLENGE)
        scheme, _, key = values[0].partition(" ")
        if scheme.lower() != "bearer":
            raise _refusal("Only the Bearer scheme is supported: 'Authorization: Bearer <key>'.", _CHALLENGE)
        digest = hashlib.sha256(key.strip().encode("latin-1")).hexdigest()
        found = None
        for known, principal in self._known:
            # Every key is compared, so that the time taken says nothing about which one came close.
            if hmac.compare_digest(known, digest):
                found = principal
        if found is None or len(values) > 1:
            raise _refusal("The API key is not valid.", f'{_CHALLENGE}, error="invalid_token"')
        return found


def _refusal(message: str, challenge: str) -> ContractError:
    return ContractError(
        "UNAUTHENTICATED", message, param="Authorization", headers={"WWW-Authenticate": challenge}
    )
