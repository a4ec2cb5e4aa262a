"""The models of an upstream server as this server publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from reference_impl.engine.models import Model

_WINDOWS = ("max_model_len", "context_window", "context_length", "max_context_length")
_MOST_MODELS = 200


class UpstreamUnusableError(Exception):
    """The upstream cannot be used; the message says why and what to do."""


def discover(
    url: str, key: str | None, names: Mapping[str, str], window: int
) -> tuple[dict[str, str], tuple[Model, ...]]:
    """The names to ask the upstream for by published id, and the models. `window` is for models that do not tell.

    `names` chooses and renames; empty, every model that the upstream lists is published under its own name.
    Raises `UpstreamUnusableError`.
    """
    listed = _listed(url, key)
    chosen = dict(names) or {name: name for name in listed}
    unknown = [name for name in chosen.values() if listed and name not in listed]
    if unknown:
        known = ", ".join(sorted(listed)[:10])
        raise UpstreamUnusableError(f"{url} has no model {unknown[0]!r}; it lists {known}")
    if not chosen:
        raise UpstreamUnusableError(f"{url} lists no models; name one with --upstream-model")
    models = tuple(_model(name, listed.get(theirs, {}), window) for name, theirs in chosen.items())
    return chosen, models


def _listed(url: str, key: str | None) -> dict[str, dict[str, Any]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(headers=headers, timeout=10, trust_env=False) as client:
            answer = client.get(f"{url.rstrip('/')}/models")
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        raise UpstreamUnusableError(f"cannot reach {url}/models: {problem}; is the server up?") from problem
    if answer.status_code in (401, 403):
        raise UpstreamUnusableError(f"{url} refused the key ({answer.status_code}); see --upstream-key-env")
    if answer.status_code != 200:
        return {}  # some servers have no list; then the models must be named
    try:
        data = answer.json()["data"]
        return {str(item["id"]): item for item in data[:_MOST_MODELS]}
    except (ValueError, KeyError, TypeError) as problem:
        raise UpstreamUnusableError(
            f"{url}/models is not a list of models; does the URL end in /v1?"
        ) from problem


def _model(name: str, listed: Mapping[str, Any], window: int) -> Model:
    told = next((listed[f] for f in _WINDOWS if isinstance(listed.get(f), int) and listed[f] > 0), window)
    created = listed.get("created")
    at = datetime.fromtimestamp(created if isinstance(created, int) and created > 0 else 0, UTC)
    return Model(
        id=name,
        alias=name,
        context_window=told,
        max_output_tokens=told,
        input_price=Decimal(0),
        output_price=Decimal(0),
        capabilities=("chat", "streaming"),
        released_at=at.isoformat().replace("+00:00", "Z"),
    )
