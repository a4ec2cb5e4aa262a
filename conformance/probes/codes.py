"""The authorization code flow, walked without a browser: a consent that the dialect knows how to give."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

from conformance.probes.jwt_forging import parts
from conformance.probes.oauth_calls import FORM, TOKENS, ask, own, server_metadata, token_of
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session


@probe(calls=8, tokens=0, client=True, shares=TOKENS)
async def authorization_code(session: Session) -> None:
    """Codes redeemed as they should be, twice, and with another verifier; requests without PKCE and to elsewhere."""
    client = session.need_oauth()
    consent = session.need_oauth_trick("consent")
    if client.redirect_uri is None:
        raise ProbeSkipped("needs the client's redirect URI: --oauth-redirect-uri")
    issued = parts(token_of(session, await ask(session, "issued", own(client), shared=True)))
    issuer = "" if issued is None else str(issued[1].get("iss", ""))
    place = (await server_metadata(session, issuer)).get("authorization_endpoint")
    if not isinstance(place, str) or urlsplit(place).netloc != urlsplit(client.token_url).netloc:
        # The consent holds a key: it goes to the server that the tester named and to no other.
        raise ProbeSkipped(
            "the server's metadata name no authorization endpoint on the host of the token endpoint"
        )
    key = session.target.keys.get("main", "")
    given = {name: value.replace("{key}", key) for name, value in consent.items()}

    async def authorize(role: str, verifier: str | None, **changes: str) -> Reading:
        form = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri or "",
            "state": "aiconform",
            **_challenge(verifier),
            **changes,
        }
        body = urlencode({**form, **given}).encode()
        return await session.fetch("POST", place, role, headers={"Content-Type": FORM}, body=body)

    async def redeem(role: str, answer: Reading, verifier: str) -> Reading:
        form = {
            "grant_type": "authorization_code",
            "code": _code(session, answer),
            "redirect_uri": client.redirect_uri or "",
            "code_verifier": verifier,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        }
        redeemed = await session.fetch(
            "POST", client.token_url, role, headers={"Content-Type": FORM}, body=urlencode(form).encode()
        )
        token = redeemed.body.get("access_token") if isinstance(redeemed.body, dict) else None
        if isinstance(token, str):
            session.keep_secret(token)
        return redeemed

    await authorize(
        "elsewhere", secrets.token_urlsafe(48), redirect_uri=f"{client.redirect_uri}.aiconform.invalid"
    )
    await authorize("without_pkce", None)
    await authorize("plain", None, code_challenge=secrets.token_urlsafe(48), code_challenge_method="plain")
    verifier = secrets.token_urlsafe(48)
    allowed = await authorize("allowed", verifier)
    await redeem("redeemed", allowed, verifier)
    await redeem("again", allowed, verifier)
    other = await authorize("allowed_again", verifier)
    await redeem("other_verifier", other, secrets.token_urlsafe(48))


def _challenge(verifier: str | None) -> Mapping[str, str]:
    """RFC 7636 section 4.2, method S256."""
    if verifier is None:
        return {}
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return {"code_challenge": digest.decode(), "code_challenge_method": "S256"}


def _code(session: Session, answer: Reading) -> str:
    found = parse_qs(urlsplit(answer.header("location") or "").query).get("code", [])
    if len(found) != 1:
        raise ProbeSkipped(
            f"the authorization endpoint answered {answer.status} without a code ({answer.role})"
        )
    session.keep_secret(found[0])
    return found[0]
