"""The table ``oauth`` of ``aiconform.toml``: the client that access tokens are judged with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.cli.choose import choose
from conformance.cli.local_server import local_server
from conformance.target import OAuth, Target, TargetError, oauth_client
from conformance.target_file import read_targets, target_of

SECRET = "demo-service-secret"
URL = "http://127.0.0.1:9/v1"
TOKEN_URL = "https://login.example/token"
CLIENT = f"""
[targets.a]
url = "{URL}"

[targets.a.oauth]
token_url = "{TOKEN_URL}"
client_id = "us"
client_secret = {{env = "THEIR_SECRET"}}
redirect_uri = "https://us.example/back"
"""


def written(folder: Path, text: str = CLIENT) -> Path:
    path = folder / "aiconform.toml"
    path.write_text(text, "utf-8")
    return path


def under(path: Path, *parts: str | None) -> OAuth | None:
    """The client of a run with these flags."""
    chosen = choose("a", path)
    token_url, client_id, secret, redirect = (*parts, None, None, None, None)[:4]
    client = oauth_client(token_url, client_id, secret, redirect, over=chosen.client)
    return chosen.under(Target.create(URL, "contract", oauth=client)).oauth


def test_the_client_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_SECRET", "s-1")
    target = target_of(read_targets(written(tmp_path)), "a", "contract")
    assert target.oauth == OAuth(TOKEN_URL, "us", "s-1", "https://us.example/back")
    assert "s-1" in target.secrets
    assert "s-1" not in json.dumps(target.public()) + repr(target)


def test_each_flag_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_SECRET", "s-1")
    path = written(tmp_path)
    assert under(path) == OAuth(TOKEN_URL, "us", "s-1", "https://us.example/back")
    assert under(path, None, None, "s-2") == OAuth(TOKEN_URL, "us", "s-2", "https://us.example/back")
    assert under(path, "http://other.example/t", "me") == OAuth(
        "http://other.example/t", "me", "s-1", "https://us.example/back"
    )
    with pytest.raises(TargetError, match="--oauth-token-url is an http"):
        under(path, "ftp://other.example")


def test_without_the_table_the_flags_are_all_or_none(tmp_path: Path) -> None:
    path = written(tmp_path, f"[targets.a]\nurl = '{URL}'")
    assert under(path) is None
    assert under(path, TOKEN_URL, "us", "s-2") == OAuth(TOKEN_URL, "us", "s-2")
    with pytest.raises(TargetError, match="give all of"):
        under(path, None, None, "s-2")


def test_a_secret_that_may_be_missing_leaves_no_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THEIR_SECRET", raising=False)
    path = written(tmp_path, CLIENT.replace('"THEIR_SECRET"', '"THEIR_SECRET", optional = true'))
    assert under(path) is None
    assert under(path, None, None, "s-2") == OAuth(TOKEN_URL, "us", "s-2", "https://us.example/back")
    with pytest.raises(TargetError, match="/targets/a/oauth/client_secret: the environment variable THEIR_S"):
        under(written(tmp_path))


LITERAL = (
    '/targets/a/oauth/client_secret: a secret does not belong into the file: write {env = "NAME"} or {command'
)
SOURCE = '{env = "THEIR_SECRET"}'
WRONG = [
    (SOURCE, '"s-1"', LITERAL),
    (SOURCE, '["s-1"]', LITERAL),
    (SOURCE, '{value = "s-1"}', "/targets/a/oauth/client_secret: unknown key 'value'; known here: env, command"),
    ("client_secret =", "client_secret_env =", "unknown key 'client_secret_env'; known here: token_url, client_id, client_secret"),
    ("client_id = ", "# ", "/targets/a/oauth: the key 'client_id' is missing"),
    ("https://login", "https://us:s-1@login", "/targets/a/oauth/token_url: credentials do not belong into the URL"),
    ("https://login.example/token", "login.example", "/targets/a/oauth/token_url: 'login.example' is not an http(s) URL"),
    ("https://login.example/token", "http://[x", "/targets/a/oauth/token_url: 'http://[x' is not an http(s) URL"),
    ("[targets.a.oauth]", "oauth = 's-1'\n[targets.b]\nurl='http://x'\n[targets.b.oauth]", "/targets/a/oauth: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_a_wrong_client_is_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in CLIENT
    path = written(tmp_path, CLIENT.replace(old, new))
    command = [sys.executable, "-m", "conformance.cli", "check", "a", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "s-1" not in done.stdout + done.stderr


TOKENS = ("AUTH-04", "AUTH-12", "AUTH-26", "AUTH-27", "AUTH-30", "AUTH-40")


def test_access_tokens_are_judged_by_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference with its own authorization server: no flag says anything about a client."""
    monkeypatch.setenv("DEMO_KEY", "sk-demo")
    monkeypatch.setenv("DEMO_CLIENT_SECRET", SECRET)
    with local_server("reference_impl", "--db", ":memory:", "--jwt-leeway-s", "1") as url:
        token_url = url.removesuffix("/api/v1") + "/oauth/token"
        written(
            tmp_path,
            f'[targets.reference]\nurl = "{url}"\nkeys = {{main = {{env = "DEMO_KEY"}}}}\n'
            f'[targets.reference.oauth]\ntoken_url = "{token_url}"\nclient_id = "demo-service"\n'
            'client_secret = {env = "DEMO_CLIENT_SECRET"}\nredirect_uri = "http://127.0.0.1:8765/callback"\n',
        )
        command = [sys.executable, "-m", "conformance.cli", "check", "--only", ",".join(TOKENS), "--quiet"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "aiconform-report" / "report.json").read_text("utf-8"))
    verdicts = {v["id"]: v["verdict"] for v in report["verdicts"]}
    assert verdicts == dict.fromkeys(TOKENS, "PASS")
    found = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(found) > 3
    assert [str(p) for p in found if SECRET.encode() in p.read_bytes()] == []
