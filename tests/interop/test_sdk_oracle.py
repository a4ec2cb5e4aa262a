"""What the suite calls a sound stream, the vendor's own SDK reads whole; and the reverse is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from sdk_oracle import PACKAGES, Compared, compare, page

PAGE = Path(__file__).parents[2] / "docs" / "results" / "sdk-oracle.md"

SDK_FAULTS = {
    # Google's SDK takes every block that is not `data: {json}` and a blank line for an error: no comments, no ids.
    ("gemini", "a comment line, no blank line"),
    ("gemini", "a comment line and a blank line"),
    ("gemini", "ids"),
    ("gemini", "ids, a comment line"),
}
"""Streams that are valid by the WHATWG standard, and that an SDK does not read: known, and the SDK's fault."""


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    return compare()


def test_a_sound_stream_is_read_whole_by_the_sdk(compared: list[Compared]) -> None:
    sound = [c for c in compared if c.sound]
    assert {(c.dialect, c.variant) for c in sound if c.sdk != "whole"} == SDK_FAULTS
    assert {c.dialect for c in sound if c.sdk == "whole"} == set(PACKAGES)


def test_what_an_sdk_does_not_read_whole_the_suite_has_seen(compared: list[Compared]) -> None:
    lost = {(c.dialect, c.variant) for c in compared if c.sdk != "whole"}
    assert lost - SDK_FAULTS == {(c.dialect, c.variant) for c in compared if c.sdk != "whole" and c.findings}


def test_no_sdk_notices_a_stream_without_its_end(compared: list[Compared]) -> None:
    """Why this project exists."""
    ended = [c for c in compared if c.variant in ("no end", "cut in half")]
    assert all("SSE-04 FAIL" in c.findings for c in ended)
    assert "raises" not in {c.sdk for c in ended}


def test_the_page_is_current(compared: list[Compared]) -> None:
    assert PAGE.read_text("utf-8") == page(compared), (
        "write it anew: python tests/interop/sdk_oracle.py > docs/results/sdk-oracle.md"
    )
