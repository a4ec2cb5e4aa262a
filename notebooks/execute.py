"""``python notebooks/execute.py [FILE …]``: run the notebooks in place, outputs included.

Outputs hold nothing of this machine: no path, no port, no time of execution.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
_LOCAL = (
    (re.compile(r"(127\.0\.0\.1):\d{2,5}"), r"\1:8000"),
    (re.compile(r"/(?:tmp|var)/[\w./-]+"), "TEMPORARY"),
)

_KEPT = ("mystnb",)
"""What was written by hand: the words for a picture, ``mystnb.image.alt``."""


def execute(path: Path, timeout: int = 240) -> Any:
    """The executed notebook; a cell that fails raises ``CellExecutionError``."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    return cleaned(client.execute())


def cleaned(notebook: Any) -> Any:
    """Without what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = {name: kept for name, kept in cell.metadata.items() if name in _KEPT}
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).clear()
            if "text" in output:
                output.text = _plain(output.text)
            if "text/plain" in output.get("data", {}):
                output.data["text/plain"] = _plain(output.data["text/plain"])
    return notebook


def _plain(text: str) -> str:
    for pattern, instead in _LOCAL:
        text = pattern.sub(instead, text)
    return text


def main(names: list[str]) -> None:
    """Execute the files named, or all."""
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(execute(path), path)
        sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
