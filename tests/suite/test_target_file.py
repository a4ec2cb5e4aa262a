"""``aiconform.toml``: what it may say, what it must not, and what a run makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from scripted_api import Asked, Reply, api, completion
from typer.testing import CliRunner

from conformance.budget import Budget, Price
from conformance.cli import app
from conformance.cli.choose import choose
from conformance.cli.init import entry
from conformance.discover import Discovered
from conformance.target import Target, TargetError
from conformance.target_file import dialect_name, read_targets, target_of, target_schema

WHOLE = """
default = "prod"

[targets.prod]
url = "https://api.example.com/v1/"
dialect = "vendor.yaml"
model = "m-1"
keys = {main = {env = "PROD_KEY"}, limited = {env = "PROD_LIMITED_KEY", optional = true}}
headers = {X-Team = "blue", X-Gate-Token = {command = ["sh", "-c", "echo gate-secret"]}}
ca_bundle = "ca.pem"
client_certificate = "client.pem"
proxy = "http://proxy.example:3128"
timeout = 12
concurrency = 2
capabilities = {models = "not_offered", "rate_limits.tokens" = "offered"}
provocations = {content_filter_input = {prompt = "refused"}}
price = {input = 2.5, output = 10}
budget = {calls = 50, tokens = 20000, cost = 0.5, seconds = 60}

[targets.local]
url = "http://127.0.0.1:8000/api/v1"
"""


@cache
def pem() -> str:
    """A private key and its certificate."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a -days 2 -keyout -"
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


def written(folder: Path, text: str = WHOLE) -> Path:
    (folder / "ca.pem").write_text("")
    (folder / "client.pem").write_text(pem())
    path = folder / "aiconform.toml"
    path.write_text(text)
    return path


def test_everything_about_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_KEY", "sk-secret")
    file = read_targets(written(tmp_path))
    assert file.choose(None) == "prod"
    assert dialect_name(file, "prod") == str(tmp_path / "vendor.yaml")
    assert dialect_name(file, "local") == "contract"
    target = target_of(file, "prod", "vendor")
    assert (target.base_url, target.model, target.name) == ("https://api.example.com/v1", "m-1", "prod")
    assert target.keys == {"main": "sk-secret"}
    assert target.headers == {"X-Team": "blue", "X-Gate-Token": "gate-secret"}
    assert target.secrets == ("sk-secret", "gate-secret")
    assert (target.limits.total, target.limits.headers, target.concurrency) == (12.0, 12.0, 2)
    assert (target.ca_bundle, target.certificate and target.certificate.certificate) == (
        str(tmp_path / "ca.pem"),
        str(tmp_path / "client.pem"),
    )
    assert target.proxy == "http://proxy.example:3128"
    assert target.whole_budget == Budget(50, 20000, 0.5, 60)
    assert target.price == Price(2.5, 10)
    assert target.declared.capabilities["models"] == "not_offered"
    told = json.dumps(target.public()) + repr(target)
    assert "sk-secret" not in told
    assert "gate-secret" not in told


def test_a_certificate_that_is_none_is_one_line(tmp_path: Path) -> None:
    file = read_targets(written(tmp_path, "[targets.a]\nurl = 'http://x'\nclient_certificate = 'client.pem'"))
    (tmp_path / "client.pem").write_text("no certificate")
    with pytest.raises(TargetError, match=r"client\.pem cannot be used: .*; give a PEM certificate"):
        target_of(file, "a", "contract")


WRONG = [
    ("[targets.a]\nurl = 1", '/targets/a/url: 1 is not a text of at least one character'),
    ("[targets.a]\nurl = 'http://x'\nkeys = {main = 'sk-1'}", "/targets/a/keys/main: a key does not belong into the file"),
    ("[targets.a]\nurl = 'http://x'\nkey = 'sk-1'", "/targets/a/key: write keys = {main = {env"),
    ("[targets.a]\nurl = 'http://x'\nheaders = {Authorization = 'Bearer sk-1'}", "/targets/a/headers/Authorization: a credential does not"),
    ("[targets.a]\nurl = 'http://x'\nheaders = {X-API-Key = 'sk-1'}", "/targets/a/headers/X-API-Key: a credential does not"),
    ("[targets.a]\nurl = 'http://x'\nproxy = 'http://u:sk-1@p:1'", "/targets/a/proxy: a password does not belong into the file"),
    ("[targets.a]\nurl = 'http://x'\ntimeot = 3", "/targets/a: unknown key 'timeot'; known here: url, dialect, model"),
    ("[targets.a]\nmodel = 'x'", "/targets/a: the key 'url' is missing"),
    ("[targets.a]\nurl = 'http://x'\nkeys = {main = {env = 'A', command = ['b']}}", "is not a source of a secret"),
    ("[targets.a]\nurl = 'http://x'\nkeys = {main = {env = 'sk 1'}}", ""),
    ("[targets.a]\nurl = 'http://x'\nbudget = {calls = 0}", "/targets/a/budget/calls: 0 is not a whole number of at least 1"),
    ("[targets.a]\nurl = 'http://x'\ncapabilities = {models = 'yes'}", '"yes" is not one of offered, not_offered, detected'),
    ("[targets.a]\nurl = 'http://x'\nprovocations = {long = {promt = 'x'}}", "/targets/a/provocations/long: unknown key 'promt'"),
    ("[targets.a]\nurl = 'http://x'\nclient_key = 'k'", "'client_key' needs 'client_certificate' beside it"),
    ("default = 'b'\n[targets.a]\nurl = 'http://x'", "has no target 'b': choose a"),
    ("[targets]", "is not at least one target"),
    ("x = [", "is not TOML"),
    ("", "the key 'targets' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), [w for w in WRONG if w[1]])
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TargetError) as caught:
        read_targets(written(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            '{env = "UNSET_KEY"}',
            "/targets/a/keys/main: the environment variable UNSET_KEY is empty or not set",
        ),
        ('{command = ["false"]}', "/targets/a/keys/main: the command 'false' ended with exit code 1"),
        ('{command = ["no-such-program"]}', "the command 'no-such-program' cannot be run: no such file"),
        ('{command = ["true"]}', "the command's output is empty or not set"),
        ('{command = ["printf", "a\\\\nb"]}', "its value has characters that cannot stand in a header"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named(tmp_path: Path, source: str, says: str) -> None:
    file = read_targets(written(tmp_path, f"[targets.a]\nurl = 'http://x'\nkeys = {{main = {source}}}"))
    with pytest.raises(TargetError) as caught:
        target_of(file, "a", "contract")
    assert says in str(caught.value)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(target_schema())


def test_a_target_is_chosen_by_name_or_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError, match="no target: give a URL, or describe one with `aiconform init URL`"):
        choose(None, None)
    assert choose("127.0.0.1:1/v1", None).url == "127.0.0.1:1/v1"
    written(tmp_path)
    assert choose(None, None).name == "prod"
    assert choose("local", None).url == "http://127.0.0.1:8000/api/v1"
    assert choose("http://x/v1", None).file is None
    with pytest.raises(TargetError, match="has no target 'lcoal': choose prod, local"):
        choose("lcoal", None)
    with pytest.raises(TargetError, match="several targets: name one of prod, local, or set 'default'"):
        choose(None, written(tmp_path, WHOLE.replace('default = "prod"', "")))


def test_flags_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_KEY", "sk-secret")
    chosen = choose("prod", written(tmp_path))
    flags = Target.create(chosen.url, "vendor", key="sk-flag", other_key="sk-other", model="m-2", max_calls=9)
    target = chosen.under(flags)
    assert target.keys == {"main": "sk-flag", "other": "sk-other"}
    assert (target.model, target.max_calls, target.budget.tokens) == ("m-2", 9, 20000)
    assert chosen.under(Target.create(chosen.url, "vendor")).keys == {"main": "sk-secret"}
    flags = Target.create(
        chosen.url, "vendor", concurrency=4, callback_url="http://me.example", callback_port=1
    )
    target = chosen.under(flags)
    assert (target.concurrency, target.callback_url, target.callback_port) == (4, "http://me.example", 1)
    assert chosen.under(Target.create(chosen.url, "vendor")).concurrency == 2


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_a_plan_fetches_no_secret(tmp_path: Path) -> None:
    text = "[targets.a]\nurl = 'http://127.0.0.1:9/v1'\ndialect = 'openai-chat'\nkeys = {main = {command = ['false']}}\nprice = {input = 1, output = 4}\nbudget = {tokens = 100, cost = 0.001, seconds = 9}"
    code, said = run(
        "check", "--config", str(written(tmp_path, text)), "--dry-run", "--only", "SSE-04,ERR-18"
    )
    assert code == 0, said
    assert "USD" in said
    assert "budget: 80 calls" in said
    assert "budget: 100 tokens, not enough for all" in said
    assert "budget: nothing more is sent after 9 s" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--max-cost", "1"], "--max-cost needs a price"),
        (["check", "nope"], "has no target 'nope': choose a"),
        (["check", "--config", "gone.toml"], "gone.toml cannot be read"),
        (["init", "127.0.0.1:9/v1"], "is not a URL"),
        (["init", "http://[x"], "Invalid IPv6 URL"),
        (["init", "http://127.0.0.1:9/v1", "--name", "a"], "has a target 'a' already"),
        (["init", "http://127.0.0.1:9/v1", "--name", "a b"], "'a b' is not a name"),
        (["init", "http://127.0.0.1:9/v1", "--dialect", "nope"], "there is no dialect 'nope'"),
        (["init", "http://127.0.0.1:9/v1", "--key-env", "UNSET_KEY"], "UNSET_KEY is empty or not set"),
        (["init", "http://127.0.0.1:9/v1", "--ca-bundle", "gone.pem"], "the CA bundle"),
    ],
)
def test_bad_input_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "[targets.a]\nurl = 'http://127.0.0.1:9/v1'")
    code, said = run(*arguments)
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    assert says in said


def test_a_target_that_cannot_be_reached_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run("init", "http://127.0.0.1:9/v1")
    assert (code, said.startswith("aiconform: cannot reach http://127.0.0.1:9/v1")) == (3, True)
    assert not Path("aiconform.toml").exists()


def test_init_then_check_without_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THEIR_KEY", "sk-theirs")

    def vendor(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer sk-theirs":
            return Reply({"error": {"message": "no", "code": "invalid_api_key"}}, 401)
        if asked.path == "/v1/chat/completions":
            return completion(asked)
        return Reply({"error": {"message": "no"}}, 404)

    with api(vendor) as (url, asked):
        code, said = run("init", f"{url}/v1", "--key-env", "THEIR_KEY", "--model", "m")
        assert code == 0, said
        assert len(asked) <= 10
        text = Path("aiconform.toml").read_text()
        assert "sk-theirs" not in text
        assert 'keys = {main = {env = "THEIR_KEY"}}' in text
        assert 'capabilities = {"models" = "not_offered"}' in text
        assert run("init", f"{url}/v1", "--key-env", "THEIR_KEY")[0] == 2  # the name is taken
        code, said = _check()
        assert code in (0, 1), said
    report = json.loads(Path("report.json").read_text())
    assert (report["target"]["name"], report["dialect"]["name"]) == ("local", "openai-chat")
    verdicts = {v["id"]: v for v in report["verdicts"]}
    assert verdicts["SSE-04"]["verdict"] == "PASS"
    assert {v["verdict"] for v in verdicts.values() if v["capability"] == "models"} == {"NOT_OFFERED"}
    assert "ERROR" not in {v["verdict"] for v in verdicts.values()}
    assert not any(b"sk-theirs" in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def _check() -> tuple[int, str]:
    import subprocess

    command = [
        sys.executable,
        "-c",
        "from conformance.cli import main; main()",
        "check",
        "--json",
        "report.json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("model", ["m-\U0001f600", "m-\x7f", 'm"]\nkeys = 1', "m-\x85"])
def test_a_model_of_any_name_leaves_a_file_that_is_toml(model: str) -> None:
    target = Target.create("http://127.0.0.1:9/v1", "contract")
    written_down = entry("a", target, "openai-chat", Discovered("openai-chat", model), {})
    assert tomllib.loads(written_down)["targets"]["a"]["model"] == model


def test_a_lone_surrogate_leaves_a_file_that_is_toml() -> None:
    target = Target.create("http://127.0.0.1:9/v1", "contract")
    written_down = entry("a", target, "openai-chat", Discovered("openai-chat", "m-\ud800"), {})
    assert tomllib.loads(written_down)["targets"]["a"]["model"] == "m-?"
