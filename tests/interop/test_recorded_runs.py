"""The suite of today judges kept runs on real servers as it was reviewed: nothing missed, and no false alarm."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import expected, names, verdicts
from table import FLAGGED


@pytest.mark.parametrize("name", names())
def test_a_kept_run_is_judged_as_before(name: str, tmp_path: Path) -> None:
    before, now = expected(name), verdicts(name, tmp_path)
    changed = {i: f"{before[i]}, now {now.get(i, 'retired')}" for i in before if now.get(i) != before[i]}
    assert not changed, "read the bytes, and correct the suite, or the golden verdicts"
    flagged = {i: r for i, r in now.items() if r in (*FLAGGED, "ERROR") and i not in before}
    assert not flagged, "a new check flags a real server: read the bytes before believing it"


def test_there_are_kept_runs() -> None:
    assert {"litellm", "transformers", "llmock"} <= set(names())
