"""The Bearer challenge (RFC 6750 section 3) and where it says to look for an authorization server (RFC 9728)."""

from __future__ import annotations

from reference_impl.exchange import Exchange
from reference_impl.settings import BASE_PATH

REALM = "aiconform"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SERVER_METADATA = "/.well-known/oauth-authorization-server"


def resource_of(exchange: Exchange) -> str:
    """The identifier of this API as a protected resource (RFC 9728): its base URL."""
    return f"{exchange.origin}{exchange.prefix}{BASE_PATH}"


def issuer_of(exchange: Exchange) -> str:
    """The issuer identifier of this server (RFC 8414 section 2)."""
    return f"{exchange.origin}{exchange.prefix}"


def challenge(exchange: Exchange, **parameters: str) -> str:
    """`Bearer realm="…"` with these parameters and the URL of the resource's metadata.

    A client has to reject metadata of another resource than the one it asked (RFC 9728 section 3.3), so that what is
    beside this API, such as a facade, names none.
    """
    named = {"realm": REALM, **parameters}
    if exchange.path.startswith(BASE_PATH):
        named["resource_metadata"] = f"{exchange.origin}{RESOURCE_METADATA}{exchange.prefix}{BASE_PATH}"
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in named.items())
