"""The page that says what each dialect can say is current, and it says it."""

from __future__ import annotations

from pathlib import Path

from conformance.dialects.coverage import coverage
from conformance.dialects.model import builtin_dialects

PAGE = Path(__file__).parents[2] / "docs" / "dialects-coverage.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == coverage(), (
        "write it anew: python -m conformance.dialects.coverage > docs/dialects-coverage.md"
    )


def test_the_page_tells_a_fact_that_a_format_lacks() -> None:
    lines = coverage().splitlines()
    heading = next(line for line in lines if line.startswith("| fact |"))
    row = next(line for line in lines if line.startswith("| `model_version` |"))
    column = [c.strip() for c in heading.split("|")].index("cohere-v2")
    assert [c.strip() for c in row.split("|")][column] == "–"
    assert "- `model_version`: no answer names its model" in lines
    assert all(f"| `{name}` |" in coverage() for name in builtin_dialects())
