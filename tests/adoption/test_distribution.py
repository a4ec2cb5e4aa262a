"""What is in the wheel and the sdist, and that an installed wheel does everything without the checkout."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from distribution import ROOT, Installation, build, plain_environment, run

from conformance.cli.local_server import local_server

pytestmark = pytest.mark.installs

PACKAGES = ("spec", "conformance", "reference_impl", "load")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sdist"), kind="sdist")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference of this tree, for installations that have no server."""
    state = tmp_path_factory.mktemp("reference") / "state.sqlite"
    with local_server("reference_impl", "--db", str(state)) as url:
        yield url


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("base"))
    installation.install(wheel)
    return installation


def tracked(*folders: str) -> set[str]:
    """The files of the tree under version control: what a distribution may hold."""
    command = ["git", "ls-files", "-z", "--", *folders]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_is_the_four_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == tracked(*PACKAGES)
    for needed in (
        "spec/openapi.yaml", "spec/asyncapi.yaml", "spec/requirements/sse.yaml", "spec/mutants.json",
        "conformance/checks/test_sse_ending.py", "conformance/dialects/openai-chat.yaml",
        "conformance/report/report.html.j2", "conformance/py.typed", "spec/py.typed", "load/py.typed",
        "load/locustfile.py", "reference_impl/engine/data/classifier.json", "reference_impl/py.typed",
    ):  # fmt: skip
        assert needed in held, needed


def test_the_sdist_holds_the_packages_and_no_tests_or_tools(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked(*PACKAGES) <= held
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO"} <= held
    strange = {name.partition("/")[0] for name in held} - {*PACKAGES, "docs"}
    assert {name for name in strange if (ROOT / name).is_dir()} == set()


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / "again", source=next(tmp_path.glob("aiconform-*")))
    assert again.name == wheel.name
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_the_base_install_has_no_server_and_no_load_client(base: Installation) -> None:
    assert {"httpx", "pytest", "typer", "schemathesis"} <= base.packages()
    assert base.packages().isdisjoint(
        {"connexion", "scikit-learn", "sqlalchemy", "redis", "locust", "gevent", "mypy"}
    )


@pytest.mark.parametrize(
    ("command", "extra"), [("serve", "server"), ("selftest", "server"), ("load http://127.0.0.1:1", "load")]
)
def test_what_is_not_installed_is_said_in_one_line(base: Installation, command: str, extra: str) -> None:
    done = base.run("aiconform", *command.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'aiconform[{extra}]'" in done.stderr


def test_the_base_install_checks_and_judges(base: Installation, reference: str) -> None:
    done = base.run("aiconform", "check", reference, "--key", "sk-demo", "--only", "SSE-02,SSE-04,ERR-07")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((base.folder / "aiconform-report" / "report.json").read_text("utf-8"))
    passed = {v["id"] for v in report["verdicts"] if v["verdict"] == "PASS"}
    assert {"SSE-04", "ERR-07"} <= passed
    assert (base.folder / "aiconform-report" / "report.html").read_text("utf-8").startswith("<!doctype html>")
    again = base.run("aiconform", "judge", "aiconform-report", "--only", "SSE-02,SSE-04,ERR-07")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "gate passed" in again.stdout


def test_the_base_install_knows_the_catalogue(base: Installation) -> None:
    version = installed_version(base)
    assert base.run("aiconform", "--version").stdout.strip() == f"aiconform {version}"
    assert "terminal" in base.run("aiconform", "explain", "SSE-04").stdout
    catalogue = json.loads(base.run("aiconform", "requirements", "--json").stdout)
    assert len(catalogue) > 200
    plan = base.run(
        "aiconform", "check", "https://api.example.com/v1", "--dialect", "openai-chat", "--dry-run"
    )
    assert plan.returncode == 0, plan.stderr


def test_the_checks_run_under_pytest_itself(base: Installation, reference: str) -> None:
    done = base.run(
        "pytest",
        "--pyargs",
        "conformance.checks",
        "--target",
        reference,
        "--key",
        "sk-demo",
        "-k",
        "a_call_without_a_key",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_shell_completes(base: Installation) -> None:
    asked = {"_AICONFORM_COMPLETE": "complete_bash", "COMP_WORDS": "aiconform re", "COMP_CWORD": "1"}
    assert base.run("aiconform", env=asked).stdout.split() == ["requirements"]
    asked = {"_AICONFORM_COMPLETE": "complete_bash", "COMP_WORDS": "aiconform check --dia", "COMP_CWORD": "2"}
    assert base.run("aiconform", env=asked).stdout.split() == ["--dialect"]


def test_a_typed_program_sees_our_types(base: Installation, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from spec.catalogue import requirements\nreveal_type(requirements())\n", "utf-8")
    mypy = Path(sys.executable).with_name("mypy")
    done = run([str(mypy), "--python-executable", str(base.bin / "python"), str(program)], tmp_path, 240)
    assert "Requirement" in done.stdout, done.stdout
    assert "py.typed" not in done.stdout


def test_the_server_extra_serves(tmp_path: Path, wheel: Path) -> None:
    installation = Installation(tmp_path)
    installation.install(wheel, "server")
    assert installation.packages().isdisjoint({"locust", "gevent", "flask"})
    with serving(installation) as url:
        done = installation.run(
            "aiconform", "check", url, "--key", "sk-demo", "--only", "AUTH-01,SSE-04,CONF-01"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gate passed: 3 of 3" in done.stdout


def test_the_load_extra_loads(tmp_path: Path, wheel: Path, reference: str) -> None:
    installation = Installation(tmp_path)
    installation.install(wheel, "load")
    assert installation.packages().isdisjoint({"connexion", "scikit-learn", "sqlalchemy"})
    done = installation.run(
        "aiconform", "load", reference, "--key", "sk-demo", "--users", "2", "--duration", "2", "--error-budget-ms", "5000",
        "--max-cpu", "100",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "load-report" / "load.json").read_text("utf-8"))
    assert told["client"]["valid"] is True
    assert (tmp_path / "load-report" / "report.html").is_file()


def test_the_extra_all_is_both(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        told = archive.read(name).decode()
    needed = {
        extra: set(re.findall(rf"Requires-Dist: (.+); extra == '{extra}'", told))
        for extra in ("server", "load", "all")
    }
    assert needed["server"]
    assert needed["load"]
    assert needed["all"] == needed["server"] | needed["load"]


def test_make_dist_publishes_packages_and_editions(tmp_path: Path) -> None:
    """The recipe itself; only the virtual environment is ours instead of a new one."""
    binaries = Path(sys.executable).parent
    done = run(
        ["make", "-o", ".venv/.installed", "dist", f"BIN={binaries}", f"DIST={tmp_path}"],
        ROOT,
        240,
        {"MAKEFLAGS": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = {path.name: path for path in tmp_path.iterdir()}
    sums = dict(reversed(line.split("  ")) for line in made.pop("SHA256SUMS").read_text("utf-8").splitlines())
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in made.items()}
    documents = {name for name in made if name.endswith((".json", ".yaml"))}
    for version in ("openapi-3.2.0", "openapi-3.1.2", "openapi-3.0.4", "asyncapi-3.0.0"):
        as_json = json.loads(made[f"{version}.json"].read_text("utf-8"))
        kind, _, number = version.partition("-")
        assert as_json[kind] == number
        assert yaml.safe_load(made[f"{version}.yaml"].read_text("utf-8")) == as_json
        documents -= {f"{version}.json", f"{version}.yaml"}
    assert documents == set()
    assert {path.suffix for name, path in made.items() if name.startswith("aiconform-")} == {".whl", ".gz"}


def installed_version(installation: Installation) -> str:
    """The version as the installed metadata have it."""
    asked = "import importlib.metadata as m; print(m.version('aiconform'))"
    return installation.run("python", "-c", asked).stdout.strip()


@contextmanager
def serving(installation: Installation) -> Iterator[str]:
    """``aiconform serve`` of an installation, ready."""
    command = [str(installation.bin / "aiconform"), "serve", "--port", "0", "--db", ":memory:"]
    with subprocess.Popen(
        command, cwd=installation.folder, stdout=subprocess.PIPE, text=True, env=plain_environment()
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("ready "), line
            yield line.removeprefix("ready ")
        finally:
            process.terminate()
            process.wait(20)
