"""What the checks of classifications share: the answered texts, and the fields of one answer."""

from __future__ import annotations

from typing import Any

from conformance.calibration import is_share
from conformance.checks.sameness import answered
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, expect


def classifications(classified: Probed, prefix: str = "text_") -> list[Reading]:
    """The answered texts, each a JSON object."""
    found = [r for r in classified.some(prefix) if r.ok and isinstance(r.body, dict)]
    if not found:
        answered(classified.some(prefix)[0])
        raise Inconclusive("no classification is a JSON object")
    return found


def alternatives(reading: Reading) -> list[dict[str, Any]]:
    """The alternatives of an answer; a violation if they are none."""
    listed = reading.body.get("alternatives")
    good = isinstance(listed, list) and all(
        isinstance(a, dict) and is_share(a.get("confidence")) for a in listed
    )
    expect_field(reading, "/alternatives", listed, good, "a list of alternatives, each with a confidence")
    return list(listed)


def confidence_block(reading: Reading) -> dict[str, Any]:
    """`metadata.confidence`, empty if there is none."""
    metadata = reading.body.get("metadata")
    block = metadata.get("confidence") if isinstance(metadata, dict) else None
    return block if isinstance(block, dict) else {}


def expect_field(reading: Reading, where: str, seen: object, good: bool, expected: str) -> None:
    """A violation at a JSON Pointer unless ``good``."""
    expect(good, expected=expected, seen="absent" if seen is None else seen, at=reading, where=where)
