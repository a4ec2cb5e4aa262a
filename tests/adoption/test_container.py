"""Dockerfile and compose file as far as they can be held to something without a daemon: lint, and the steps themselves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from distribution import ROOT, build, locked_versions, plain_environment

from conformance.cli.local_server import local_server

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = DOCKERFILE.split("\nFROM ")[1:]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def words(instruction: str) -> list[str]:
    """The JSON form of an instruction's last occurrence."""
    return json.loads(re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.M)[-1])  # type: ignore[no-any-return]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint, of the development dependencies")
    done = subprocess.run(
        [str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_in_particular_and_tells_its_health() -> None:
    assert len(STAGES) == 2
    assert re.search(r"^USER [1-9]\d*$", STAGES[-1], re.M)
    assert "HEALTHCHECK" in STAGES[-1]
    assert not re.search(r"(?i)password|secret|token", DOCKERFILE)


@pytest.mark.slow
def test_what_is_copied_is_enough_to_build_the_wheel(tmp_path: Path) -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", STAGES[0], re.M)
    names = [name for line in copied for name in line.split()]
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.M)
    assert set(names) <= set(allowed)
    context = tmp_path / "context"
    context.mkdir()
    for name in names:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, context / name)
    if (ROOT / "dist" / "site").exists():  # a wheel built here has it as well
        shutil.copytree(ROOT / "dist" / "site", context / "dist" / "site")
    assert build(tmp_path / "dist", source=context).read_bytes() == build(tmp_path / "ours").read_bytes()


def test_the_constraints_are_those_of_the_lock(tmp_path: Path) -> None:
    (pipeline,) = re.findall(r"RUN (grep .+?) >/tmp/constraints.txt", DOCKERFILE)
    script = pipeline.replace("/tmp/requirements.lock", str(ROOT / "requirements.lock"))
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == locked_versions()
    assert len(done.stdout.splitlines()) > 100


@pytest.mark.slow
def test_its_command_and_health_check_work(tmp_path: Path) -> None:
    entry, command, health = (
        words("ENTRYPOINT"),
        words("CMD"),
        re.search(r"CMD (\[\"python\".*\])$", DOCKERFILE, re.M),
    )
    assert entry == ["aiconform"]
    assert command[0] == "serve"
    assert health is not None
    with local_server("reference_impl", "--host", "127.0.0.1", "--db", str(tmp_path / "state.sqlite")) as url:
        probe = json.loads(health[1])
        probe[0], probe[-1] = sys.executable, probe[-1].replace("http://127.0.0.1:8000/api/v1", url)
        subprocess.run(probe, check=True, timeout=30)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(probe, check=True, timeout=30, capture_output=True)
    told = subprocess.run(
        [sys.executable, "-m", "reference_impl", *command[1:], "--help"],
        capture_output=True, text=True, timeout=60, check=True, env=plain_environment(PYTHONPATH=str(ROOT)),
    ).stdout  # fmt: skip
    for variable in COMPOSE["services"]["reference"]["environment"]:
        assert variable in told, f"the reference does not read {variable}"


def test_compose_waits_for_healthy_services_and_holds_no_password() -> None:
    services = COMPOSE["services"]
    for name, demand in services["reference"]["depends_on"].items():
        assert demand["condition"] == "service_healthy"
        assert services[name]["healthcheck"]["test"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert services["reference"]["ports"] == ["127.0.0.1:8000:8000"]


def test_docker_itself_accepts_the_compose_file() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs docker with its compose plugin; no daemon is needed")
    done = subprocess.run(
        [docker, "compose", "-f", str(ROOT / "compose.yaml"), "config", "--quiet"],
        capture_output=True, text=True, timeout=60, check=False, env=plain_environment(POSTGRES_PASSWORD="x"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
