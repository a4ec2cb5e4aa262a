"""The models of an upstream server as this server publishes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from reference_impl.engine.models import NO_PRICE, Catalogue, Model

_WINDOWS = ("max_model_len", "context_window", "context_length", "max_context_length", "n_ctx", "n_ctx_train")
_MOST_MODELS = 200
_MOST_BYTES = 8_388_608
_MODEL_NAME = re.compile(r"[\x21-\x7e]{1,128}")
EVERY = "*"
"""In what the operator tells of models: all that are not named."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True)
class Told:
    """What the operator says of the upstream's models; keys are published ids, or `EVERY`.

    `names` chooses and renames: the server's own name by published id. Windows are tokens.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)


class UpstreamUnusableError(Exception):
    """The upstream cannot be used; the message says why and what to do, on one line."""


def discover(url: str, key: str | None, told: Told) -> tuple[dict[str, str], Catalogue]:
    """The names to ask the upstream for by published id, and the models in the order of the list, or of `names`.

    Without `names`, every listed model is published under its own name, unless nobody tells its context window. A
    name with slashes is the alias of an id without.

    Raises:
        UpstreamUnusableError: unreachable, unauthorised, not OpenAI-compatible, or without a usable model.
    """
    listed = _listed(url, key)
    chosen = dict(told.names) or {published(name): name for name in listed}
    missing = [name for name in chosen.values() if listed and name not in listed]
    if missing:
        raise UpstreamUnusableError(f"{url} has no model {missing[0]!r}; it lists {_some(listed)}")
    if not chosen:
        raise UpstreamUnusableError(
            f"{url} lists no models; name one with --upstream-model and --upstream-context-window"
        )
    unknown = (told.windows.keys() | told.prices.keys()) - chosen.keys() - {EVERY}
    if unknown:
        raise UpstreamUnusableError(f"{sorted(unknown)[0]!r} is no published model; known: {_some(chosen)}")
    windows = {name: _window(name, listed.get(theirs, {}), told) for name, theirs in chosen.items()}
    usable = {name: window for name, window in windows.items() if window is not None}
    lacking = next((name for name in chosen if name not in usable), None)
    if lacking is not None and (told.names or not usable):
        raise UpstreamUnusableError(
            f"{url} does not tell the context window of {lacking!r}; "
            f"give --upstream-context-window {lacking}=TOKENS, or TOKENS for every model"
        )
    models = tuple(
        _model(name, name if told.names else chosen[name], window, listed.get(chosen[name], {}), told)
        for name, window in usable.items()
    )
    return {name: chosen[name] for name in usable}, Catalogue(models)


def published(name: str) -> str:
    """The id for a listed name: without the slashes of repositories and files, which would divide a path."""
    return name.strip("/").replace("/", "--")


def _listed(url: str, key: str | None) -> dict[str, dict[str, Any]]:
    """The entries of `GET /models` by id; none where the server has no such list."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with (
            httpx.Client(headers=headers, timeout=10, trust_env=False) as client,
            client.stream("GET", f"{url.rstrip('/')}/models") as answer,
        ):
            body = b"".join(_capped(answer))
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        why = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise UpstreamUnusableError(f"cannot reach {url}/models: {why}; is the server up?") from problem
    if answer.status_code in (401, 403):
        refused = "refused the key" if key else "wants a key"
        raise UpstreamUnusableError(f"{url} {refused} ({answer.status_code}); see --upstream-key-env")
    if answer.status_code in (404, 405, 501):
        return {}  # some servers have no list; then the models must be named
    if answer.status_code != 200:
        raise UpstreamUnusableError(f"{url}/models answers {answer.status_code}; does the URL end in /v1?")
    try:
        data = httpx.Response(200, content=body).json()["data"]
        entries = {str(item["id"]): dict(item) for item in data[:_MOST_MODELS]}
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise UpstreamUnusableError(
            f"{url}/models is not OpenAI's list of models; does the URL end in /v1?"
        ) from problem
    return {name: entry for name, entry in entries.items() if _MODEL_NAME.fullmatch(name)}


def _capped(answer: httpx.Response) -> Iterator[bytes]:
    seen = 0
    for part in answer.iter_bytes():
        seen += len(part)
        if seen > _MOST_BYTES:
            raise httpx.DecodingError(f"the list has more than {_MOST_BYTES} bytes")
        yield part


def _some(names: Mapping[str, Any]) -> str:
    shown = sorted(names)[:10]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def _window(name: str, listed: Mapping[str, Any], told: Told) -> int | None:
    """The operator's word before the server's; llama.cpp has it in `meta`."""
    given = told.windows.get(name)
    if given is not None:
        return given
    meta = listed.get("meta")
    for place in (listed, meta if isinstance(meta, Mapping) else {}):
        for member in _WINDOWS:
            value = place.get(member)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return told.windows.get(EVERY)


def _model(name: str, alias: str, window: int, listed: Mapping[str, Any], told: Told) -> Model:
    price = told.prices.get(name, told.prices.get(EVERY))
    return Model(
        id=name,
        alias=alias,
        context_window=window,
        max_output_tokens=window,
        input_price=Decimal(0) if price is None else price.input,
        output_price=Decimal(0) if price is None else price.output,
        capabilities=("chat", "streaming"),
        released_at=_released(listed.get("created")),
        price_version=NO_PRICE if price is None else f"operator-{price.input}-{price.output}",
        pinned=False,
    )


def _released(created: Any) -> str:
    """RFC 3339; the epoch where the server does not tell."""
    try:
        at = datetime.fromtimestamp(created if isinstance(created, int) and created > 0 else 0, UTC)
    except (OverflowError, OSError, ValueError):
        at = datetime.fromtimestamp(0, UTC)
    return at.isoformat().replace("+00:00", "Z")
