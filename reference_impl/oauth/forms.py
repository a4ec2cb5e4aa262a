"""Reading what clients send to the token endpoint: one form, one way of authentication."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from reference_impl.exchange import Exchange
from reference_impl.oauth.answers import OAuthError

Form = Mapping[str, str]


def read_form(exchange: Exchange, body: bytes) -> Form:
    """The parameters, each given once (RFC 6749 section 3.2)."""
    media_type = (exchange.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    if len(dict(pairs)) < len(pairs):
        raise OAuthError("invalid_request", "A parameter is given more than once.")
    return dict(pairs)


def basic_credentials(exchange: Exchange) -> tuple[str, str] | None:
    """Client id and secret of HTTP Basic authentication, each form-encoded before (RFC 6749 section 2.3.1)."""
    scheme, _, coded = (exchange.headers.get("authorization") or "").partition(" ")
    if not scheme:
        return None
    try:
        name, colon, secret = base64.b64decode(coded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        name, colon, secret = "", "", ""
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "Client authentication failed.", 401)
    return unquote_plus(name), unquote_plus(secret)
