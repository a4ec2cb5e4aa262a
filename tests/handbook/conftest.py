"""The site, built once for all tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbook.__main__ import RENDERER, build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site without the reports of runs; without the renderer, where it is not installed."""
    folder = tmp_path_factory.mktemp("site")
    renderer = RENDERER
    if not renderer.is_file():
        renderer = folder / "none.js"
        renderer.write_text("// not installed")
    build(folder / "docs", runs=False, renderer=renderer)
    return folder / "docs"
