"""The guide's gate is valid, and the guide names every flag and word."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from typer.testing import CliRunner

from conformance.cli import app
from conformance.gate.file import read_gate
from conformance.gate.policy import WORDS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "ci.md").read_text("utf-8")


def test_the_example_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "aiconform.toml"
    path.write_text(
        re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[0].replace('baseline = "last.json"\n', ""), "utf-8"
    )
    policy = read_gate(path).policy(target="prod")
    assert policy.profile is not None
    assert policy.profile.name == "acme"
    assert [w.requirement for w in policy.waivers] == ["CON-14"]


def test_the_guide_names_every_word_and_report_flag() -> None:
    for word in WORDS:
        assert f"`{word}`" in GUIDE
    told = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    for flag in (
        "--junit",
        "--sarif",
        "--markdown",
        "--badge",
        "--har",
        "--profile",
        "--fail-on",
        "--baseline",
    ):
        assert flag in told
        assert flag in GUIDE


def test_the_examples_pass_inputs_that_exist() -> None:
    github, gitlab = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL))
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    step = next(s for s in github["jobs"]["contract"]["steps"] if s.get("id") == "aiconform")
    assert set(step["with"]) <= set(action["inputs"])
    spec = next(yaml.safe_load_all((ROOT / "templates" / "aiconform.gitlab-ci.yml").read_text("utf-8")))
    assert set(gitlab["include"][0]["inputs"]) <= set(spec["spec"]["inputs"])
