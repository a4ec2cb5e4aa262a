"""The GitHub Action and the GitLab template: valid, and their very steps run against the reference."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
GITLAB = ROOT / "templates" / "aiconform.gitlab-ci.yml"
ONLY = "ERR-07,ERR-08,SSE-04"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    state = tmp_path_factory.mktemp("reference") / "state.sqlite"
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("ready ")
        process.terminate()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a fresh machine on which pip finds our dependencies, and only them, without a network."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "python", with_pip=True)
    binaries = folder / "python" / "bin"
    site = next((folder / "python" / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the value, not the name: no isolation
        "AICONFORM_KEY": "sk-demo",
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The package, built once: what the action installs by itself is tested once, too."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return str(next(folder.glob("*.whl")))


def bash(script: str, env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """As GitHub runs a step with ``shell: bash``."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        command, env=dict(env), cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


class Workflow:
    """The few expressions of GitHub Actions that action.yml uses."""

    def __init__(self, inputs: Mapping[str, str], folder: Path) -> None:
        self.document = yaml.safe_load(ACTION.read_text("utf-8"))
        self.inputs = {n: str(i["default"]) for n, i in self.document["inputs"].items()} | dict(inputs)
        self.outputs: dict[str, str] = {}
        self.folder = folder
        self.summary = folder / "summary.md"

    def value(self, text: str) -> str:
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda m: self._expression(m[1]), text)

    def _expression(self, text: str) -> str:
        for name in text.split(" || "):
            kind, _, rest = name.partition(".")
            if kind == "inputs":
                found = self.inputs[rest]
            elif kind == "steps":
                step, output = re.fullmatch(r"(\w+)\.outputs\.([\w-]+)", rest).groups()  # type: ignore[union-attr]
                assert step == "check"
                found = self.outputs[output]
            else:
                assert name == "github.action_path", name
                found = str(ROOT)
            if found:
                return found
        return ""

    def run(self, env: Mapping[str, str]) -> tuple[int, str]:
        """Run every step that has a script; the exit code of the first that fails."""
        said = ""
        for step in self.document["runs"]["steps"]:
            if "run" not in step:
                continue
            outputs = self.folder / "outputs"
            outputs.write_text("", "utf-8")
            own = {name: self.value(text) for name, text in step.get("env", {}).items()}
            files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(self.summary)}
            done = bash(step["run"], {**env, **own, **files}, self.folder)
            said += done.stdout + done.stderr
            self.outputs |= dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
            if done.returncode:
                return done.returncode, said
        return 0, said


def gitlab(inputs: Mapping[str, str]) -> dict[str, Any]:
    """The job, its inputs filled in as GitLab does, before the YAML is read."""
    head, _, body = GITLAB.read_text("utf-8").partition("\n---\n")
    spec = yaml.safe_load(head)["spec"]["inputs"]
    values = {name: str(entry.get("default", "")) for name, entry in spec.items()} | dict(inputs)
    filled = re.sub(
        r"\$\[\[ inputs\.([\w-]+) \]\]", lambda m: json.dumps(values[m[1]]) if values[m[1]] else '""', body
    )
    found: dict[str, Any] = yaml.safe_load(filled)["aiconform"]
    return found


def run_gitlab(inputs: Mapping[str, str], env: Mapping[str, str], folder: Path) -> tuple[int, str]:
    job = gitlab(inputs)
    script = "\n".join([*job["before_script"], *job["script"]])
    done = bash(script, {**env, **job["variables"]}, folder)
    return done.returncode, done.stdout + done.stderr


def test_the_files_are_valid(tmp_path: Path) -> None:
    job = tmp_path / "job.yml"
    job.write_text(yaml.safe_dump({"aiconform": gitlab({})}), "utf-8")
    for schema, path in (("vendor.github-actions", ACTION), ("vendor.gitlab-ci", job)):
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
        if schema == "vendor.gitlab-ci":
            command += ["--data-transform", "gitlab-ci"]
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_is_pasted_into_a_script() -> None:
    """An input inside ``run`` would be code; as an environment variable it is data."""
    for step in yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
    job = yaml.safe_load(GITLAB.read_text("utf-8").partition("\n---\n")[2])["aiconform"]
    assert "$[[" not in "".join([*job["before_script"], *job["script"]])


def assert_reports(folder: Path, passed: bool) -> None:
    report = json.loads((folder / "report.json").read_bytes())
    assert report["gate"]["passed"] is passed
    assert fromstring((folder / "junit.xml").read_bytes()).attrib["tests"] == "3"
    assert json.loads((folder / "report.sarif").read_bytes())["version"] == "2.1.0"
    assert (folder / "badge.svg").read_bytes().startswith(b"<svg")
    assert (folder / "report.html").stat().st_size > 10_000


def test_the_steps_of_the_action(reference: str, machine: Mapping[str, str], tmp_path: Path) -> None:
    workflow = Workflow({"target": reference, "only": ONLY}, tmp_path)
    code, said = workflow.run(machine)
    assert code == 0, said
    assert workflow.outputs == {"exit-code": "0"}
    assert workflow.summary.read_text("utf-8").startswith("### Aiconform: ✅ gate passed")
    assert_reports(tmp_path / "aiconform-report", passed=True)
    assert "sk-demo" not in said


def test_the_action_fails_with_the_gate_and_keeps_its_reports(
    reference: str, machine: Mapping[str, str], wheel: str, tmp_path: Path
) -> None:
    waiver = '[[waivers]]\nrequirement = "SSE-04"\nreason = "long fixed"\nexpires = 2099-01-01\n'
    (tmp_path / "aiconform.toml").write_text(waiver, "utf-8")
    workflow = Workflow({"target": reference, "only": ONLY, "fail-on": "should", "package": wheel}, tmp_path)
    code, said = workflow.run(machine)
    assert (code, workflow.outputs["exit-code"]) == (1, "1"), said
    assert "the waiver of SSE-04 is stale" in workflow.summary.read_text("utf-8")
    assert_reports(tmp_path / "aiconform-report", passed=False)


def test_the_action_tells_bad_usage_from_a_failed_gate(
    machine: Mapping[str, str], wheel: str, tmp_path: Path
) -> None:
    code, said = Workflow({"target": "not a url", "package": wheel}, tmp_path).run(machine)
    assert code == 2, said
    code, said = Workflow({"target": "http://127.0.0.1:1/v1", "package": wheel}, tmp_path).run(machine)
    assert code == 3, said


def test_the_script_of_the_gitlab_job(
    reference: str, machine: Mapping[str, str], wheel: str, tmp_path: Path
) -> None:
    inputs = {"target": reference, "only": ONLY, "package": wheel}
    code, said = run_gitlab(inputs, machine, tmp_path)
    assert code == 0, said
    assert_reports(tmp_path / "aiconform-report", passed=True)
    kept = gitlab({})["artifacts"]
    assert (tmp_path / kept["reports"]["junit"]).is_file()
    code, said = run_gitlab(inputs | {"fail-on": "musst"}, machine, tmp_path)
    assert code == 2, said
