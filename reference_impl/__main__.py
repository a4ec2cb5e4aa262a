"""`python -m reference_impl`: the reference server on the command line."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Callable, Sequence

from reference_impl.app import ReferenceApp, create_app
from reference_impl.engine.discover import UpstreamUnusableError
from reference_impl.engine.options import add_upstream_options, upstream_of
from reference_impl.http.site import site_folder
from reference_impl.oauth.keys import SigningKeysError
from reference_impl.oauth.options import add_auth_options, auth_of, keys_of, tls_of
from reference_impl.outages import OutageError
from reference_impl.serve import CannotListenError, configure_logging, run
from reference_impl.settings import DEMO_CREDENTIALS, Settings
from reference_impl.telemetry import telemetry_from
from reference_impl.tls import TlsFilesError


def main(arguments: Sequence[str] | None = None, *, create: Callable[..., ReferenceApp] = create_app) -> int:
    """Run the server that ``create`` makes; the exit code is 0 after a clean stop, 2 when it cannot start."""
    parser = _parser()
    options = parser.parse_args(arguments)
    tls = tls_of(options, stop=parser.error)
    settings = Settings(
        auth=auth_of(options, stop=parser.error),
        credentials=keys_of(options, os.environ, stop=parser.error) or DEMO_CREDENTIALS,
        database=options.db or os.environ.get("DATABASE_URL") or "aiconform.sqlite",
        redis=options.redis or os.environ.get("REDIS_URL") or None,
        lease_s=options.lease_s,
        first_token_ms=options.first_token_ms,
        token_ms=options.token_ms,
        keep_alive_s=options.keep_alive_s,
        rate_limits=options.rate_limits == "on",
        cors_origin=None if options.cors_origin == "none" else options.cors_origin,
        idempotency_ttl_s=options.idempotency_ttl,
        webhook_networks=tuple(options.webhook_network),
    )
    configure_logging()
    try:
        if tls is not None:
            tls.check()
        engine = upstream_of(options, os.environ, stop=parser.error)
        app = create(settings, engine=engine, telemetry=telemetry_from(os.environ), site=site_folder())
        run(app, options.host, options.port, tls)
    except (
        CannotListenError,
        OutageError,
        SigningKeysError,
        TlsFilesError,
        UpstreamUnusableError,
    ) as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl",
        description="A server that keeps the Aiconform contract.",
        epilog="For demonstration and tests: keys sk-demo, sk-demo-other, sk-demo-limited, sk-demo-budget, "
        "sk-demo-narrow; OAuth client demo-service with the secret demo-service-secret.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on; 0 takes a free one")
    # No defaults here: the help would show the passwords that these variables may hold.
    parser.add_argument(
        "--db",
        metavar="FILE|URL",
        help="durable state: an SQLite file, :memory:, or postgresql://… for several servers together "
        "(else DATABASE_URL, else aiconform.sqlite)",
    )
    parser.add_argument(
        "--redis",
        metavar="URL",
        help="count limits in Redis, for several servers together (else REDIS_URL, else in memory)",
    )
    parser.add_argument(
        "--lease-s",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="silence after which other servers take over the work of this one",
    )
    parser.add_argument(
        "--first-token-ms", type=_milliseconds, default=0, help="delay before the first token"
    )
    parser.add_argument("--token-ms", type=_milliseconds, default=0, help="delay before each further token")
    parser.add_argument(
        "--keep-alive-s", type=_seconds, default=10.0, help="silence before a keep-alive comment"
    )
    parser.add_argument(
        "--rate-limits", choices=("on", "off"), default="on", help="enforce the tiers' limits"
    )
    parser.add_argument(
        "--cors-origin", default="*", help="origin that browsers may call from; 'none' for no CORS"
    )
    parser.add_argument(
        "--idempotency-ttl", type=_seconds, default=86_400.0, help="seconds an idempotency key is remembered"
    )
    parser.add_argument(
        "--webhook-network",
        type=_network,
        action="append",
        default=[],
        metavar="CIDR",
        help="addresses that webhooks may reach although they are not public; may be repeated",
    )
    add_upstream_options(parser)
    add_auth_options(parser)
    return parser


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no network; give one such as 10.1.0.0/16") from None


def _port(text: str) -> int:
    return int(_number(text, 0, 65_535, "a port is a whole number from 0 to 65535", whole=True))


def _milliseconds(text: str) -> int:
    return int(_number(text, 0, 3_600_000, "give whole milliseconds from 0 to 3600000", whole=True))


def _seconds(text: str) -> float:
    return _number(text, 0.001, 1e9, "give seconds above 0")


def _number(text: str, least: float, most: float, advice: str, *, whole: bool = False) -> float:
    try:
        value = float(int(text) if whole else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; {advice}") from None
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is out of range; {advice}")
    return value


if __name__ == "__main__":
    sys.exit(main())
