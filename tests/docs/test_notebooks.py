"""Each notebook runs against a reference of its own, and is committed with outputs that hold nothing of a machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stage import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def kinds(notebook: dict[str, Any]) -> list[list[str]]:
    """What each cell puts out: text, or the media types of a value."""
    return [
        [
            output["output_type"] + " ".join(sorted(output.get("data", ())))
            for output in cell.get("outputs", ())
        ]
        for cell in notebook["cells"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_puts_out_what_is_committed(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    command = [sys.executable, str(ROOT / "notebooks" / "execute.py"), str(copy)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert kinds(json.loads(copy.read_text("utf-8"))) == kinds(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_committed_with_outputs_and_without_a_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    notebook = json.loads(text)
    told = kinds(notebook)
    assert any(told)
    assert any("image/png" in kind for cell in told for kind in cell), "no picture"
    assert not any(kind.startswith("error") for cell in told for kind in cell)
    assert not re.search(r"/(?:home|root|Users|tmp|work)/|127\.0\.0\.1:(?!8000)\d", text)
    for cell, outputs in zip(notebook["cells"], told, strict=True):
        pictured = any("image/png" in kind for kind in outputs)
        assert set(cell["metadata"]) == ({"mystnb"} if pictured else set())
        assert not pictured or len(cell["metadata"]["mystnb"]["image"]["alt"]) > 40
    assert len([c for c in notebook["cells"] if c["cell_type"] == "code"]) <= 8
    assert notebook["cells"][0]["cell_type"] == "markdown"


def test_the_list_of_notebooks_is_whole() -> None:
    listed = re.findall(r"\]\(([\w-]+\.ipynb)\)", (ROOT / "notebooks" / "README.md").read_text("utf-8"))
    assert listed == [path.name for path in NOTEBOOKS]
