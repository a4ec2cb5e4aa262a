"""What the authorization server insists on: client secrets, exact redirect URIs, PKCE, codes that work once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Protocol

from reference_impl.identity import OAuthClient
from reference_impl.store.codes import Codes, Grant

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class GrantRules(Protocol):
    """The decisions of an authorization server that its security rests on."""

    def client(
        self, clients: Sequence[OAuthClient], client_id: str, secret: str | None
    ) -> OAuthClient | None:
        """The authenticated client, or None whatever was wrong."""
        ...

    def redirect_allowed(self, client: OAuthClient, redirect_uri: str) -> bool:
        """Whether codes may be sent there."""
        ...

    def challenge_allowed(self, challenge: str | None, method: str | None) -> bool:
        """Whether an authorization request is protected by PKCE."""
        ...

    def verifier_fits(self, challenge: str, verifier: str | None) -> bool:
        """Whether the one who redeems a code is the one who asked for it."""
        ...

    async def take(self, codes: Codes, code: str) -> Grant | None:
        """What a code stands for; the same code never gives it again."""
        ...


class StrictGrants:
    """RFC 6749 as RFC 9700 (best current practice) narrows it."""

    def client(
        self, clients: Sequence[OAuthClient], client_id: str, secret: str | None
    ) -> OAuthClient | None:
        """Every client is compared, known or not: an unknown one takes as long as a wrong secret."""
        digest = hashlib.sha256((secret or "").encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for known in clients:
            right = (
                secret is None
                if known.secret_sha256 is None
                else secret is not None and hmac.compare_digest(known.secret_sha256, digest)
            )
            if known.client_id == client_id and right:
                found = known
        return found

    def redirect_allowed(self, client: OAuthClient, redirect_uri: str) -> bool:
        """Simple string comparison (RFC 9700 section 2.1)."""
        return redirect_uri in client.redirect_uris

    def challenge_allowed(self, challenge: str | None, method: str | None) -> bool:
        """S256 only: `plain`, also by default, shows the verifier to whoever sees the request."""
        return method == "S256" and challenge is not None and _CHALLENGE.fullmatch(challenge) is not None

    def verifier_fits(self, challenge: str, verifier: str | None) -> bool:
        """RFC 7636 section 4.6."""
        if verifier is None or not _VERIFIER.fullmatch(verifier):
            return False
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return hmac.compare_digest(made, challenge)

    async def take(self, codes: Codes, code: str) -> Grant | None:
        """In one statement, so that two redemptions at once cannot both succeed."""
        return await codes.take(code)
