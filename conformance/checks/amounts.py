"""What checks of cost read out of an answer: its amounts, its levels, its policies."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from conformance.checks.limit_fields import FieldError, Level, Policy, levels, policies
from conformance.checks.metadata import described
from conformance.reading import Reading


def cost_of(reading: Reading) -> Mapping[str, Any]:
    """`metadata.cost`, empty if there is none."""
    (answer,) = described([reading])
    cost = answer.metadata.get("cost")
    return cost if isinstance(cost, dict) else {}


def decimal(value: object) -> Decimal | None:
    """An exact amount, None for what is none."""
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def levels_of(reading: Reading) -> dict[str, Level]:
    """The levels that an answer tells; none where the field is malformed (RATE-07 says so)."""
    try:
        return levels(reading)
    except FieldError:
        return {}


def policies_of(reading: Reading) -> dict[str, Policy]:
    """The policies that an answer tells; none where the field is malformed."""
    try:
        return policies(reading)
    except FieldError:
        return {}
