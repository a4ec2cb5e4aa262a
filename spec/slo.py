"""The contract's service level objectives: the ``x-slo`` of its operations, for whoever measures them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the whole document is not needed, and takes longer


@cache
def objectives() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The objectives by ``operationId``, in the order of the document.

    Each is ``{operation, metric, percentile, max_ms}``, or ``max`` (a share) instead of the last two;
    ``operation`` is the abstract operation of the dialects, of which one HTTP operation may serve several.
    """
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    folder = files("spec").joinpath("paths")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".yaml"):
            continue
        for item in yaml.load(entry.read_text("utf-8"), _LOADER).values():  # noqa: S506 - a safe loader
            for operation in item.values():
                if isinstance(operation, dict) and "x-slo" in operation:
                    found[operation["operationId"]] = tuple(operation["x-slo"])
    return found
