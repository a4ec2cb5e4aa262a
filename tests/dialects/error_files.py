"""Errors that vendors document, as files: what, status, body (null: no JSON), the contract's code, details."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from test_dialect_errors import VENDORS as OPENAI_ERRORS

ERRORS = Path(__file__).parent / "errors"


def error_cases(name: str) -> list[tuple[str, int, Any, str | None, dict[str, Any]]]:
    path = ERRORS / f"{name}.yaml"
    given = yaml.safe_load(path.read_text("utf-8")) if path.exists() else []
    cases = [(what, status, body, code, *(details or [{}])) for what, status, body, code, *details in given]
    return [*cases, *OPENAI_ERRORS] if name == "openai-chat" else cases
