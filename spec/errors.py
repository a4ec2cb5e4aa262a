"""The error codes of the contract: ``errors.yaml``, loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spec.yaml_files import read_yaml


@dataclass(frozen=True)
class ErrorEntry:
    """One code. ``status`` is the HTTP status it always has; ``type`` the coarse class for generic clients.

    ``retryable``: sending the same request again may succeed without any change.
    """

    code: str
    status: int
    type: str
    retryable: bool
    meaning: str
    what_to_do: str


def _load() -> Mapping[str, ErrorEntry]:
    raw: Mapping[str, Mapping[str, Any]] = read_yaml("errors.yaml")
    return {code: ErrorEntry(code, **{"retryable": False, **entry}) for code, entry in raw.items()}


ERRORS: Mapping[str, ErrorEntry] = _load()
"""Every code of the contract, in the order of the table."""
