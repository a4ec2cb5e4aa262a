"""What an operator configures about identities: scopes, OAuth clients, issuers that are trusted.

The clients that ship with the reference are for demonstration and tests: their secrets are public.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SCOPES = {
    "models:read": "List and describe the models.",
    "models:*:invoke": "Call any model; models:ID:invoke is for one, by its id or an alias.",
    "data:*:read": "Read any collection; data:NAME:read is for one.",
    "actions:*:execute": "Let an agent use any tool; actions:TOOL:execute is for one.",
    "jobs:read": "Read jobs and their results.",
    "jobs:write": "Start and cancel jobs.",
    "webhooks:manage": "Register, read, change and delete webhooks.",
    "usage:read": "Read the usage and its cost.",
}
"""The scopes of the contract. `*` stands for every instance of a family."""

FULL_SCOPES = frozenset(SCOPES)


@dataclass(frozen=True)
class OAuthClient:
    """A registered client. Its own tokens act for `principal`, which must be that of an API key.

    `secret_sha256` None means a public client (authorization code with PKCE only).
    `redirect_uris` are compared character by character (RFC 9700 section 2.1).
    """

    client_id: str
    secret_sha256: str | None
    principal: str
    scopes: frozenset[str]
    grants: frozenset[str]
    redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrustedIssuer:
    """Another issuer whose RFC 9068 access tokens are taken.

    `jwks` is an http(s) URL or the path of a file (RFC 7517). Its subjects are principals of the production tier.
    """

    issuer: str
    audience: str
    jwks: str


def oauth_client(
    client_id: str, secret: str | None, principal: str, grants: str, *redirects: str
) -> OAuthClient:
    """A client with every scope; `grants` are separated by spaces. High-entropy secrets need no slow hash."""
    digest = None if secret is None else hashlib.sha256(secret.encode()).hexdigest()
    return OAuthClient(client_id, digest, principal, FULL_SCOPES, frozenset(grants.split()), redirects)


DEMO_REDIRECT = "http://127.0.0.1:8765/callback"
ANOTHER_API = "https://another-api.example/"
DEMO_CLIENTS = (
    oauth_client(
        "demo-service", "demo-service-secret", "demo", "client_credentials authorization_code", DEMO_REDIRECT
    ),
    oauth_client("demo-app", None, "demo", "authorization_code", DEMO_REDIRECT),
)


@dataclass(frozen=True)
class AuthSettings:
    """How callers prove who they are. Durations are seconds.

    `public_url` is the origin under which clients reach this server; None takes it from each request's Host.
    `signing_keys` is a JWKS file with private ES256 or RS256 keys: the first signs, all are published, so that a
    key can be rotated; None makes a key that ends with the process. Replicas need the same file.
    `other_resources` are audiences beside this API that the authorization server issues tokens for (RFC 8707).
    """

    public_url: str | None = None
    signing_keys: str | None = None
    clients: tuple[OAuthClient, ...] = DEMO_CLIENTS
    trusted_issuers: tuple[TrustedIssuer, ...] = ()
    other_resources: tuple[str, ...] = (ANOTHER_API,)
    token_seconds: int = 600
    code_seconds: int = 60
    leeway_s: int = 5
    mutual_tls: bool = False
