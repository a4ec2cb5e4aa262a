"""Replicas as the tester names them: refused in one line where they are wrong, planned, and all reached first."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from scripted_api import Answering, Reply, api, completion
from typer.testing import CliRunner

from conformance.cli import app
from conformance.target import Target, TargetError
from conformance.target_file import read_targets, target_of

BASE = "http://127.0.0.1:8001/api/v1"
SECOND = "http://127.0.0.1:8002/api/v1"

WRONG = [
    ("127.0.0.1:8002", "--replica: '127.0.0.1:8002' is not a URL: write http://127.0.0.1:8002"),
    ("ftp://h/v1", "--replica: 'ftp://h/v1' has the scheme ftp"),
    ("http://", "--replica: 'http://' names no host"),
    ("http://user:secret@h/v1", "--replica: credentials do not belong in the URL: use --key"),
    ("http://h:99999/v1", "--replica: 'http://h:99999/v1' has no valid port"),
    ("http://h/v1?a=b", "has a query or fragment"),
    (f"{BASE}/", "is the target itself: give each replica's own base URL, once"),
]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300", "NO_COLOR": "1"})
    return done.exit_code, done.output


@pytest.mark.parametrize(("url", "says"), WRONG)
def test_a_wrong_replica_is_one_line(url: str, says: str) -> None:
    code, said = run("check", BASE, "--replica", url, "--dry-run")
    assert (code, said.count("\n")) == (2, 1)
    assert says in said
    assert "secret" not in said


@pytest.mark.parametrize("again", [SECOND, f"{SECOND}/", "HTTP://127.0.0.1:8002/api/v1"])
def test_a_replica_named_twice_is_refused(again: str) -> None:
    with pytest.raises(TargetError, match="is given twice"):
        Target.create(BASE, "contract", replicas=[SECOND, again])


def test_the_usual_port_makes_no_other_replica() -> None:
    with pytest.raises(TargetError, match="is the target itself"):
        Target.create("https://Host/v1", "contract", replicas=["https://host:443/v1"])


def test_what_holds_for_all() -> None:
    both = Target.create(BASE, "contract", replicas=[f"{SECOND}/"])
    assert both.bases == (BASE, SECOND)
    assert both.public()["replicas"] == [BASE, SECOND]
    assert both.local
    assert not Target.create(BASE, "contract", replicas=["http://10.0.0.2/api/v1"]).local
    assert "replicas" not in Target.create(BASE, "contract").public()


def written(folder: Path, replicas: str) -> Path:
    path = folder / "aiconform.toml"
    path.write_text(f"[targets.a]\nurl = '{BASE}'\nreplicas = {replicas}\n", "utf-8")
    return path


def test_the_file_names_them_too(tmp_path: Path) -> None:
    file = read_targets(written(tmp_path, f"['{SECOND}']"))
    assert target_of(file, "a", "contract").bases == (BASE, SECOND)


@pytest.mark.parametrize(
    ("replicas", "says"),
    [
        (f"['{BASE}']", f"/targets/a/replicas: '{BASE}' is the target itself"),
        ("['h']", "/targets/a/replicas: 'h' is not a URL"),
        ("[]", "/targets/a/replicas"),
        (f"'{SECOND}'", "/targets/a/replicas"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, replicas: str, says: str) -> None:
    code, said = run("check", "--config", str(written(tmp_path, replicas)), "--dry-run")
    assert (code, said.count("\n")) == (2, 1)
    assert says in said


def planned(*arguments: str) -> tuple[str, int]:
    code, said = run("check", *arguments, "--only", "IDEM-01", "--dry-run")
    assert code == 0, said
    return said, int(re.findall(r"in all +at most +(\d+) calls", said)[0])


def test_the_plan_names_them_and_their_cost(tmp_path: Path) -> None:
    alone, few = planned(BASE)
    both, more = planned(BASE, "--replica", SECOND)
    assert "replica" not in alone
    assert f"replica 1: {BASE}" in both
    assert f"replica 2: {SECOND}" in both
    assert more == few + 1
    by_file, as_many = planned("--config", str(written(tmp_path, f"['{SECOND}']")))
    assert f"replica 2: {SECOND}" in by_file
    assert as_many == more


def first_call(second: Answering, tmp_path: Path, *options: str) -> tuple[int, str, str]:
    """How a run ends whose second replica answers so; the URL of that."""
    with api(completion) as (one, _), api(second) as (two, _):
        common = [
            "--dialect",
            "openai-chat",
            "--model",
            "m",
            "--only",
            "ERR-18",
            "--out",
            str(tmp_path / "o"),
        ]
        code, said = run("check", one, "--replica", two, *common, "--quiet", *options)
        return code, said, two


def refusing(status: int, body: Any) -> Answering:
    return lambda _: Reply(body, status)


def test_a_replica_that_is_not_there_is_named(tmp_path: Path) -> None:
    with api(completion) as (gone, _):
        pass
    with api(completion) as (one, _):
        code, said = run(
            "check", one, "--replica", gone, "--dialect", "openai-chat", "--model", "m", "--quiet",
            "--out", str(tmp_path / "o"),
        )  # fmt: skip
    assert (code, said.count("\n")) == (3, 1)
    assert f"cannot reach replica 2, {gone}/chat/completions: " in said


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (401, {"error": {"message": "no", "code": "invalid_api_key"}}, 2, "answers 401: a key is needed: give --key"),
        (404, b"<html>", 2, "answers 404: is the base URL right, and the dialect?"),
        (404, {"error": {"message": "no", "code": "model_not_found"}}, 2, "knows no model 'm': give --model"),
    ],
)  # fmt: skip
def test_a_replica_that_is_no_such_api_is_named(
    tmp_path: Path, status: int, body: Any, code: int, says: str
) -> None:
    ended, said, two = first_call(refusing(status, body), tmp_path)
    assert (ended, said.count("\n")) == (code, 1)
    assert f"replica 2, {two}/chat/completions {says}" in said


def test_a_replica_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with api(completion) as (one, _), socket.create_server(("127.0.0.1", 0)) as silent:
        two = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, said = run(
            "check", one, "--replica", two, "--dialect", "openai-chat", "--model", "m", "--quiet",
            "--out", str(tmp_path / "o"), "--timeout", "1",
        )  # fmt: skip
    assert (code, said.count("\n")) == (3, 1)
    assert f"replica 2, {two}/chat/completions, does not answer: no complete response head within 1 s" in said


def test_a_replica_that_fails_is_judged(tmp_path: Path) -> None:
    code, said, _ = first_call(refusing(500, {"error": {"message": "x", "type": "server_error"}}), tmp_path)
    assert code in (0, 1, 3), said
    assert "replica 2," not in said
