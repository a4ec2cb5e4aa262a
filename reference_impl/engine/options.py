"""The command line's options about an upstream."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from reference_impl.engine.discover import EVERY, Price, Told, discover
from reference_impl.engine.upstream import Asking, Upstream, UpstreamEngine
from reference_impl.engine.upstream_tools import UpstreamPlanner

Stop = Callable[[str], NoReturn]
Value = TypeVar("Value")

_MOST_TOKENS = 1_000_000_000
_PRICE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?),([0-9]{1,7}(?:\.[0-9]{1,9})?)")


def add_upstream_options(parser: argparse.ArgumentParser) -> None:
    """Another server as the engine."""
    group = parser.add_argument_group(
        "upstream",
        "another server as the engine: vLLM, llama.cpp, a vendor, anything that speaks OpenAI chat",
    )
    group.add_argument("--upstream", metavar="URL", help="its base URL, which usually ends in /v1")
    group.add_argument("--upstream-key-env", metavar="NAME", help="environment variable with the key for it")
    group.add_argument(
        "--upstream-model",
        action="append",
        default=[],
        metavar="NAME[=THEIRS]",
        help="publish this model, which the upstream calls THEIRS; may be repeated (default: all it lists)",
    )
    group.add_argument(
        "--upstream-context-window",
        action="append",
        default=[],
        metavar="[MODEL=]TOKENS",
        help="context window, where the upstream does not tell it; may be repeated",
    )
    group.add_argument(
        "--upstream-price",
        action="append",
        default=[],
        metavar="[MODEL=]INPUT,OUTPUT",
        help="US dollars per million tokens; may be repeated (default: no price is known)",
    )
    group.add_argument(
        "--upstream-tools", action="store_true", help="its models can use tools: offer agents through them"
    )
    group.add_argument(
        "--upstream-output-limit",
        choices=("max_tokens", "max_completion_tokens"),
        default="max_tokens",
        help="the field in which it takes the limit of the output",
    )
    group.add_argument(
        "--upstream-silence-s", type=float, default=60.0, metavar="S", help="longest wait for its next byte"
    )


def upstream_of(
    options: argparse.Namespace, environment: Mapping[str, str], stop: Stop
) -> UpstreamEngine | None:
    """The engine, or None without `--upstream`; `stop` gets one line about options that cannot be.

    Asks the upstream for its models.

    Raises:
        UpstreamUnusableError: it cannot be used.
    """
    if options.upstream is None:
        _refuse_without_upstream(options, stop)
        return None
    url = _url(options.upstream, stop)
    told = Told(
        names=_names(options.upstream_model, stop),
        windows=_by_model(options.upstream_context_window, "--upstream-context-window", _tokens, stop),
        prices=_by_model(options.upstream_price, "--upstream-price", _price, stop),
    )
    if not 0 < options.upstream_silence_s <= 3600:
        stop("--upstream-silence-s is a number of seconds up to 3600")
    key = _key(options.upstream_key_env, environment, stop)
    names, catalogue = discover(url, key, told)
    asking = Asking(Upstream(url, names, key, options.upstream_silence_s, options.upstream_output_limit))
    return UpstreamEngine(asking, catalogue, UpstreamPlanner(asking) if options.upstream_tools else None)


def _refuse_without_upstream(options: argparse.Namespace, stop: Stop) -> None:
    named = ("key_env", "model", "context_window", "price", "tools")
    given = next((name for name in named if getattr(options, f"upstream_{name}")), None)
    if given is not None:
        stop(f"--upstream-{given.replace('_', '-')} needs --upstream URL")


def _url(text: str, stop: Stop) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment:
        stop("--upstream is a URL such as http://127.0.0.1:8080/v1")
    if parts.username or parts.password:
        stop("--upstream holds a credential; put the key into a variable and name it with --upstream-key-env")
    return text.rstrip("/")


def _key(name: str | None, environment: Mapping[str, str], stop: Stop) -> str | None:
    if name is None:
        return None
    key = environment.get(name, "").strip()
    if not key:
        stop(f"the environment variable {name}, which --upstream-key-env names, is not set")
    if not key.isascii() or not key.isprintable():
        stop(f"the environment variable {name} holds no key: a key is printable ASCII on one line")
    return key


def _names(given: Sequence[str], stop: Stop) -> dict[str, str]:
    names: dict[str, str] = {}
    for text in given:
        name, _, theirs = text.partition("=")
        if not 1 <= len(name) <= 128 or not name.isascii() or not name.isprintable() or "/" in name:
            stop(f"--upstream-model {text!r}: a name has up to 128 characters of ASCII and no slash")
        if name in names:
            stop(f"--upstream-model names {name!r} twice")
        names[name] = theirs or name
    return names


def _by_model(
    given: Sequence[str], option: str, read: Callable[[str], Value | None], stop: Stop
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for text in given:
        name, _, rest = text.rpartition("=")
        value = read(rest)
        if value is None:
            stop(f"{option} {text!r} is not of its form; see --help")
        values[name or EVERY] = value
    return values


def _tokens(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:12]) <= _MOST_TOKENS else None


def _price(text: str) -> Price | None:
    found = _PRICE.fullmatch(text)
    return Price(Decimal(found[1]), Decimal(found[2])) if found else None
