"""The guide's file of targets is valid, and the guide names every key of it."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.target_file import read_targets, target_schema

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "targets.md").read_text("utf-8")


def test_the_example_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "aiconform.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[0], "utf-8")
    assert list(read_targets(path).targets) == ["prod", "staging"]


def test_the_guide_explains_every_key() -> None:
    target = target_schema()["$defs"]["target"]["properties"]
    for key in target:
        assert f"`{key}" in GUIDE, key
    for key in target["budget"]["properties"]:
        assert f"`budget.{key}`" in GUIDE, key
