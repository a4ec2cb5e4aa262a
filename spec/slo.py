"""The contract's service level objectives: the ``x-slo`` of its operations, for whoever measures them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from spec.yaml_files import read_folder


@cache
def objectives() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The objectives by ``operationId``, in the order of the document.

    Each is ``{operation, metric, percentile, max_ms}``, or ``max`` (a share) instead of the last two;
    ``operation`` is the abstract operation of the dialects, of which one HTTP operation may serve several.
    """
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    # The whole document is not needed, and takes longer.
    for paths in read_folder("paths").values():
        for item in paths.values():
            for operation in item.values():
                if isinstance(operation, dict) and "x-slo" in operation:
                    found[operation["operationId"]] = tuple(operation["x-slo"])
    return found
