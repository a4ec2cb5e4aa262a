"""Access tokens: issued, used, forged, expired, meant for somebody else."""

from __future__ import annotations

import asyncio
import re
import secrets

from conformance.probes.jwt_forging import altered, confused, parts, unsigned
from conformance.probes.oauth_calls import TOKENS, ask, own, published_key, token_of, use
from conformance.probes.shared import SHORT_CHAT
from conformance.reading import member_of
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

MOST_LEEWAY = 60.0
"""Seconds by which clocks may differ, where the target does not state less."""

SHORT = 10.0
"""Seconds; a token that lives longer is not waited for."""

TRIES = 2
"""Tokens of which one must be fresh: on a busy machine one may have ended before its first use."""

_MARGIN = 1.2
_PLACE = re.compile(r'resource_metadata="(https?://[^"]+)"')


@probe(calls=12, tokens=160, client=True, shares=TOKENS)
async def access_token(session: Session) -> None:
    """A token by client credentials, and by clients that are none; then the token used as it is, and forged."""
    client = session.need_oauth()
    wrong = secrets.token_urlsafe(24)
    issued, *_ = await asyncio.gather(
        ask(session, "issued", own(client), shared=True),
        ask(session, "wrong_secret", (client.client_id, wrong)),
        ask(session, "unknown_client", (f"aiconform-{secrets.token_hex(8)}", wrong)),
    )
    token = token_of(session, issued)
    await use(session, "accepted", token)
    if parts(token) is None:
        raise ProbeSkipped("the access token is no JWT, so that none can be forged from it")
    forged = {f"altered:{name}": made for name, made in altered(token).items()}
    forged |= {f"unsigned:{name}": made for name, made in unsigned(token).items()}
    key = await published_key(session, token)
    if key is not None:
        forged |= {f"confused:{name}": made for name, made in confused(token, key).items()}
    await asyncio.gather(*(use(session, role, made) for role, made in forged.items()))
    if key is None:
        raise ProbeSkipped("the issuer publishes no key (RFC 8414 jwks_uri) that could be taken for a secret")


@probe(calls=9, tokens=160, client=True, shares=("capabilities",))
async def token_expiry(session: Session) -> None:
    """A token that lives a second or so: used at once, and used again when clocks cannot excuse it any more."""
    client = session.need_oauth()
    for _ in range(TRIES):
        issued = await ask(session, "issued", own(client), session.need_oauth_trick("short_token"))
        token = token_of(session, issued)
        life = issued.body.get("expires_in")
        if not isinstance(life, int | float) or isinstance(life, bool) or not 0 < life <= SHORT:
            raise ProbeSkipped(
                f"the token lives {life!r} seconds; only one of at most {SHORT:g} is waited for"
            )
        if (await use(session, "fresh", token)).ok:
            break
    stated = await _stated_leeway(session)
    session.notes["leeway"] = leeway = MOST_LEEWAY if stated is None else stated
    waited, step = 0.0, life + _MARGIN
    while True:
        # Where nothing is stated, a server without leeway is through after the first step.
        await asyncio.sleep(step)
        waited += step
        late = waited >= life + leeway
        reading = await use(session, "expired" if late else "late", token)
        if late or not reading.ok:
            return
        step = (
            life + leeway + _MARGIN - waited
            if stated is not None
            else min(20.0, life + leeway + _MARGIN - waited)
        )


@probe(calls=2, tokens=40, client=True)
async def foreign_token(session: Session) -> None:
    """A token of the right issuer for another audience."""
    client = session.need_oauth()
    issued = await ask(session, "issued", own(client), session.need_oauth_trick("foreign_token"))
    await use(session, "foreign", token_of(session, issued))


@probe(calls=3, operations=("models", "me", "classify"), tokens=40, client=True)
async def narrow_token(session: Session) -> None:
    """A token with fewer rights than its client has, used for more; contract only."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract says which right an operation needs")
    client = session.need_oauth()
    issued = await ask(session, "issued", own(client), session.need_oauth_trick("narrow_token"))
    token = token_of(session, issued)
    credential = {"Authorization": f"Bearer {token}"}
    await session.call("models", "within", principal="none", headers=credential)
    await session.call(
        "classify", "beyond", principal="none", headers=credential, text="Where is my parcel?", model=None
    )


@probe(calls=3, tokens=40, client=True)
async def bound_token(session: Session) -> None:
    """A token that was issued over mutual TLS, used with the certificate and without."""
    if session.target.certificate is None:
        raise ProbeSkipped("needs a certificate: --client-cert and --client-cert-key")
    token = token_of(session, await ask(session, "issued", own(session.need_oauth())))
    found = parts(token)
    confirmation = found[1].get("cnf") if found is not None else None
    session.notes["bound"] = isinstance(confirmation, dict) and "x5t#S256" in confirmation
    await use(session, "same", token)
    await use(session.without_certificate(), "bare", token)


@probe(calls=1, tokens=20, shares=("chat:no_key",))
async def resource_metadata(session: Session) -> None:
    """The metadata of the protected resource, where a challenge says that it is (RFC 9728)."""
    if session.dialect.offer("auth.oauth2").state == "detected":
        session.need_oauth()
    refused = await session.shared("chat", "challenge", principal="none", **SHORT_CHAT)
    place = _PLACE.search(refused.header("www-authenticate") or "")
    if place is None:
        raise ProbeSkipped("the challenge names no resource_metadata")
    session.notes["place"] = place[1]
    await session.fetch("GET", place[1], "metadata")


async def _stated_leeway(session: Session) -> float | None:
    if "capabilities" not in session.dialect.operations:
        return None
    found = member_of((await session.capabilities()).body, "capabilities", "auth", "jwt", "leeway_seconds")
    stated = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= MOST_LEEWAY
    return float(found) if stated else None
