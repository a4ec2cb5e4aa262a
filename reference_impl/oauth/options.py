"""The command line's options about identities and TLS."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NoReturn
from urllib.parse import urlsplit

from reference_impl.identity import DEMO_CLIENTS, AuthSettings, TrustedIssuer
from reference_impl.settings import PRODUCTION, Credential, credential
from reference_impl.tls import Tls

MOST_LEEWAY_S = 60
LEAST_KEY = 16

Stop = Callable[[str], NoReturn]


def add_auth_options(parser: argparse.ArgumentParser) -> None:
    """Tokens of this server, tokens of others, certificates."""
    keys = parser.add_argument_group("API keys")
    keys.add_argument(
        "--api-key-env",
        action="append",
        default=[],
        metavar="NAME",
        help="take the key in this environment variable, whose holder is called NAME, instead of the demo keys and "
        "clients; may be repeated",
    )
    tokens = parser.add_argument_group("access tokens")
    tokens.add_argument(
        "--public-url", metavar="URL", help="origin that clients use (default: each request's Host)"
    )
    tokens.add_argument(
        "--signing-keys",
        metavar="FILE",
        help="JWKS with private keys (ES256, RS256); the first signs",
    )
    tokens.add_argument("--jwt-leeway-s", type=int, default=5, metavar="S", help="how far clocks may differ")
    tokens.add_argument("--jwt-issuer", metavar="URL", help="take access tokens of this issuer too")
    tokens.add_argument("--jwt-audience", metavar="AUD", help="the audience that its tokens name")
    tokens.add_argument("--jwt-jwks", metavar="FILE|URL", help="where its public keys are")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="FILE", help="serve HTTPS with this certificate (PEM)")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    tls.add_argument(
        "--client-ca", metavar="FILE", help="take client certificates of these authorities (PEM)"
    )
    tls.add_argument(
        "--client-cert", choices=("required", "optional"), default="required", help="with --client-ca"
    )


def keys_of(
    options: argparse.Namespace, environment: Mapping[str, str], stop: Stop
) -> tuple[Credential, ...] | None:
    """The API keys instead of the demo's, None without any; `stop` gets one line about one that cannot be."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(options.api_key_env):
        key = environment.get(name, "").strip()
        if len(key) < LEAST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            stop(f"--api-key-env {name}: the variable needs a key of {LEAST_KEY} characters of ASCII or more")
        if key in found.values():
            stop(f"--api-key-env {name}: the key is that of another variable")
        found[name.lower()] = key
    return tuple(credential(key, name, PRODUCTION) for name, key in found.items()) or None


def auth_of(options: argparse.Namespace, stop: Stop) -> AuthSettings:
    """The settings; `stop` gets one line about options that do not fit together."""
    given = (options.jwt_issuer, options.jwt_audience, options.jwt_jwks)
    if any(given) and not all(given):
        stop("give all of --jwt-issuer, --jwt-audience and --jwt-jwks, or none")
    if not 0 <= options.jwt_leeway_s <= MOST_LEEWAY_S:
        stop(f"--jwt-leeway-s is a number of seconds from 0 to {MOST_LEEWAY_S}")
    return AuthSettings(
        public_url=_origin(options.public_url, stop),
        signing_keys=options.signing_keys,
        trusted_issuers=(TrustedIssuer(*given),) if all(given) else (),
        leeway_s=options.jwt_leeway_s,
        mutual_tls=options.client_ca is not None,
        # The demo's clients act for its principals.
        clients=() if options.api_key_env else DEMO_CLIENTS,
    )


def tls_of(options: argparse.Namespace, stop: Stop) -> Tls | None:
    """The files, or None for plain HTTP."""
    if (options.tls_cert is None) != (options.tls_key is None):
        stop("give both --tls-cert and --tls-key")
    if options.tls_cert is None:
        if options.client_ca is not None:
            stop("--client-ca needs --tls-cert and --tls-key")
        return None
    return Tls(options.tls_cert, options.tls_key, options.client_ca, options.client_cert == "required")


def _origin(url: str | None, stop: Stop) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        stop("--public-url is an origin such as https://api.example.com, without a path")
    return url.rstrip("/")
