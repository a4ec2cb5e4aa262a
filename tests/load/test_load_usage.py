"""Bad usage is one line and exit code 2; a host that is not this machine needs the tester's word."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from running import LAX, counts, load, started, truth, until

from load.calibrate import FIRST, describe
from load.command import main
from load.errors import LoadError
from load.histogram import Histogram
from load.prompts import prompt_pool
from load.safety import Caps, check_host
from load.slo import contract_objectives, parse_objective, read_objectives

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["http://api.example.com/v1"], "add --i-am-allowed api.example.com"),
        (
            ["http://api.example.com/v1", "--i-am-allowed=other.example"],
            "names other.example, but the target is",
        ),
        (["api.example.com"], "is not a URL"),
        ([URL, "--users=0"], "--users must be at least 1"),
        ([URL, "--users=2", "--rate=5"], "give one of them"),
        ([URL, "--rate=fast"], "--rate fast"),
        ([URL, "--mix=sing"], "--mix 'sing'"),
        ([URL, "--mix=classify", "--dialect=openai-chat"], "has no operation classify"),
        ([URL, "--mix=retry", "--dialect=openai-chat"], "offers no idempotency"),
        ([URL, "--slo=/nowhere"], "--slo /nowhere cannot be read"),
        ([URL, "--dialect=latin"], "there is no dialect 'latin'"),
        ([URL, "--max-cost=1"], "--max-cost needs --price"),
        ([URL, "--max-calls=0"], "--max-calls must be above 0"),
        ([URL, "--prompt-tokens=many"], "--prompt-tokens many"),
        ([URL, "--think=-1"], "--think -1"),
        ([URL, "--impatient=2"], "--impatient 2"),
        ([URL, "--ca-bundle=/nowhere"], "--ca-bundle /nowhere"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("load.command._locust", lambda _: pytest.fail("the run was begun"))
    assert main([*arguments, f"--out={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_bad_usage_of_the_command_itself(tmp_path: Path) -> None:
    run = load(tmp_path, "http://api.example.com/v1")
    assert run.code == 2, run.out + run.err
    assert "add --i-am-allowed api.example.com" in run.err
    assert run.err.count("\n") == 1


def test_this_machine_needs_no_word() -> None:
    for url in ("http://localhost:1/", "http://127.0.0.1/", "http://127.8.9.1/", "http://[::1]:80/v1"):
        check_host(url, None)
    for url in (
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "http://0.0.0.0/",
        "http://[2001:db8::1]/",
    ):
        with pytest.raises(LoadError, match="--i-am-allowed"):
            check_host(url, None)
    check_host("http://API.example.com/", "api.example.com")


def test_caps_are_shared_out_and_tell_which_is_reached() -> None:
    caps = Caps(calls=100, tokens=1000, cost=1.0, price=(1e-3, 2e-3))
    assert caps.exceeded(99, 10, 10) == ""
    assert "100 calls" in caps.exceeded(100, 0, 0)
    assert "1,000 tokens" in caps.exceeded(0, 500, 500)
    assert "cost" in Caps(cost=1.0, price=(1e-3, 2e-3)).exceeded(0, 500, 250)
    assert caps.share(2).calls == 50


def test_prompts_have_the_length_that_was_asked_for(tmp_path: Path) -> None:
    lengths = {len(p.text.split()) for p in prompt_pool(None, "64", 1)}
    assert lengths == {64}
    spread = [len(p.text.split()) for p in prompt_pool(None, "uniform:10:20", 1)]
    assert min(spread) >= 10
    assert max(spread) <= 20
    assert len(set(spread)) > 5
    (tmp_path / "p.txt").write_text("one\n\ntwo\n")
    assert [p.text for p in prompt_pool(str(tmp_path / "p.txt"), "64", 1)] == ["one", "two"]
    assert prompt_pool(None, "normal:30:5", 7) == prompt_pool(None, "normal:30:5", 7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "needs a list 'objectives'"),
        ("objectives: [{metric: joy, max: 1}]", "metric joy"),
        ("objectives: [{metric: ttft}]", "needs a number 'max_ms'"),
        ("objectives: [{metric: ttft, max_ms: 5, percentil: 9}]", "unknown key percentil"),
        ("objectives: [{metric: error_code_rate, max: 0}]", "'code' belongs"),
        ("objectives: [", "is not YAML"),
    ],
)
def test_bad_objectives_are_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(text)
    with pytest.raises(LoadError, match=says) as error:
        read_objectives(str(tmp_path / "slo.yaml"))
    assert "\n" not in str(error.value)


def test_every_objective_of_the_contract_is_valid() -> None:
    found = contract_objectives()
    assert {o.operation for o in found} >= {"chat", "chat_stream", "classify"}
    assert parse_objective({"metric": "goodput", "min": 0.9}, "here").relation == "≥"


def test_calibrate_tells_our_own_error() -> None:
    command = [
        sys.executable,
        "-m",
        "load",
        "calibrate",
        "--users=4",
        "--duration=2",
        "--error-budget-ms=5000",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error of the time to first token: p50 " in done.stdout


def test_beyond_its_error_budget_the_client_is_invalid() -> None:
    late = Histogram()
    late.extend([FIRST + 0.004] * 50)
    client = {"doubts": [], "completed_per_second": 50.0, "busiest": 4, "loop_lag": {"p99": 1.0}, "cpu": 0.2}
    stream = {"histograms": {"ttft": late.plain(), "itl": late.plain()}}
    document = {"operations": {"chat_stream": stream}, "client": client, "load": {"label": "closed loop"}}
    assert describe(document, 50.0)[1]
    text, good = describe(document, 3.0)
    assert not good
    assert "INVALID: the error of the time to first token is 4.00 ms (p99); the budget is 3 ms" in text
    assert not describe({**document, "operations": {}}, 50.0)[1]  # nothing measured is not good


def test_the_real_reference_under_load(tmp_path: Path) -> None:
    with started("reference_impl", "--db", str(tmp_path / "state.sqlite"), "--token-ms=2") as url:
        run = load(
            tmp_path, url, "--key=sk-demo", "--other-key=sk-demo-other", "--mix=chat_stream=4,chat,classify,retry,race,session",
            "--users=4", "--duration=20", "--max-calls=120", "--prompt-tokens=8", "--max-output-tokens=16", *LAX,
        )  # fmt: skip
    assert run.code == 0, run.out + run.err
    assert set(run.verdicts.values()) <= {"PASS", "INCONCLUSIVE"}
    assert {"SSE-03", "SSE-04", "SSE-07", "IDEM-01", "IDEM-06"} <= {
        i for i, v in run.verdicts.items() if v == "PASS"
    }
    assert all(o["ok"] == o["requests"] for n, o in run.document["operations"].items() if n != "race"), (
        run.out
    )


def test_a_second_run_does_not_meet_the_keys_of_the_first(tmp_path: Path) -> None:
    with truth("--first-ms=2", "--token-ms=1", "--tokens=2") as url:
        runs = [
            load(tmp_path / n, url, "--mix=retry,race", "--users=2", "--duration=20", "--max-calls=20", *LAX)
            for n in ("1", "2")
        ]
    assert [r.code for r in runs] == [0, 0], runs[1].out


def test_the_reference_is_honest_about_its_limits(tmp_path: Path) -> None:
    with started("reference_impl", "--db", str(tmp_path / "state.sqlite")) as url:
        run = load(tmp_path, url, "--key=sk-demo-limited", "--other-key=sk-demo", "--mix=chat", "--users=3",
                   "--duration=7", "--prompt-tokens=4", "--max-output-tokens=4", *LAX)  # fmt: skip
    assert run.verdicts["RATE-04"] == "PASS", run.out
    assert run.verdicts["RATE-14"] == "PASS"
    assert "FAIL" not in run.verdicts.values()


def test_the_command_of_the_suite_leads_here() -> None:
    code = "from conformance.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "load", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "4 INVALID" in " ".join(done.stdout.split())


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'locust' else find(name, *a)\n"
        "from conformance.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "load", URL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "aiconform: the load tests are not installed: pip install 'aiconform[load]'\n"


def test_interrupted_midway_it_still_reports(tmp_path: Path) -> None:
    import signal

    with truth("--first-ms=5", "--token-ms=1", "--tokens=4") as url:
        command = [sys.executable, "-m", "load", url, "--users=2", "--duration=30", f"--out={tmp_path}", *LAX]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: counts(url)["whole"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert process.returncode == 130, out + err
    assert json.loads((tmp_path / "load.json").read_text())["operations"]["chat_stream"]["ok"] > 0
