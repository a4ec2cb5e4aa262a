"""GEN checks: which of Schemathesis' findings count."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_gen as gen
from conformance.reading import Probed
from conformance.verdict import Violation


def refused(code: str) -> Probed:
    reading = answer({"error": {"code": code, "message": "words", "details": {}}}, status=400, role="valid")
    finding: dict[str, Any] = {
        "kind": "RejectedPositiveData",
        "exchange": reading.exchange.id,
        "message": "rejected",
    }
    return gathered("generated", reading, notes={"findings": [finding]})


def test_gen_04_counts_only_what_is_called_invalid() -> None:
    gen.test_generated_valid_requests_are_not_called_invalid(refused("IDEMPOTENCY_KEY_CONFLICT"))
    for code in ("INVALID_REQUEST", "INVALID_JSON"):
        with pytest.raises(Violation):
            gen.test_generated_valid_requests_are_not_called_invalid(refused(code))
