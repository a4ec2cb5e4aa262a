"""What the probes about access tokens share: asking for one, using one, finding the server's keys."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from conformance.probes.jwt_forging import parts
from conformance.reading import Reading
from conformance.session import ProbeSkipped, Session
from conformance.target import OAuth

FORM = "application/x-www-form-urlencoded"
TOKENS = ("authorization_server:token", "authorization_server:metadata")
"""What the probes of tokens share: one that was issued, and the metadata of the server."""

SERVER_METADATA = "/.well-known/oauth-authorization-server"


async def ask(
    session: Session,
    role: str,
    client: tuple[str, str],
    form: Mapping[str, str] | None = None,
    *,
    shared: bool = False,
) -> Reading:
    """A token request by client credentials; client id and secret go into the header (RFC 6749 section 2.3.1)."""
    coded = base64.b64encode(":".join(quote_plus(text) for text in client).encode()).decode()
    return await session.fetch(
        "POST",
        session.need_oauth().token_url,
        role,
        headers={"Authorization": f"Basic {coded}", "Content-Type": FORM, "Accept": "application/json"},
        body=urlencode({"grant_type": "client_credentials", **(form or {})}).encode(),
        shared=shared,
    )


def own(oauth: OAuth) -> tuple[str, str]:
    return oauth.client_id, oauth.client_secret


def token_of(session: Session, issued: Reading) -> str:
    """The access token of an answer, from now on a secret; without one the probe ends."""
    body = issued.body if issued.ok and isinstance(issued.body, dict) else {}
    token = body.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ProbeSkipped(
            f"the token endpoint answered {issued.status} without an access token ({issued.role})"
        )
    session.keep_secret(token)
    return token


async def use(session: Session, role: str, token: str) -> Reading:
    """A call that costs as little as the dialect allows, with this token as credential."""
    session.keep_secret(token)
    target = replace(session.target, keys={"main": token})
    headers = dict(session.dialect.auth_headers(target, "main"))
    for operation in ("me", "models"):
        if operation in session.dialect.operations:
            return await session.call(operation, role, principal="none", headers=headers)
    return await session.call(
        "chat", role, principal="none", headers=headers, prompt="Say yes.", max_output_tokens=16
    )


async def published_key(session: Session, token: str) -> Mapping[str, Any] | None:
    """The public key with which a token says it was signed, if the issuer publishes it (RFC 8414)."""
    found = parts(token)
    header, claims = found if found is not None else ({}, {})
    metadata = await server_metadata(session, str(claims.get("iss", "")))
    place = metadata.get("jwks_uri")
    if not isinstance(place, str) or urlsplit(place).scheme not in ("http", "https"):
        return None
    document = (await session.fetch("GET", place, "jwks")).body
    keys = document.get("keys") if isinstance(document, dict) else None
    listed = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    return next((key for key in listed if key.get("kid") == header.get("kid")), listed[0] if listed else None)


async def server_metadata(session: Session, issuer: str) -> Mapping[str, Any]:
    """The metadata of the authorization server, looked for on the origin of the token endpoint only."""
    endpoint, named = urlsplit(session.need_oauth().token_url), urlsplit(issuer)
    path = named.path.rstrip("/") if named.netloc == endpoint.netloc else ""
    origin = f"{endpoint.scheme}://{endpoint.netloc}"
    for place in (f"{SERVER_METADATA}{path}", f"{path}/.well-known/openid-configuration"):
        reading = await session.fetch("GET", origin + place, "server_metadata", shared=True)
        if reading.ok and isinstance(reading.body, dict):
            return reading.body
    return {}
