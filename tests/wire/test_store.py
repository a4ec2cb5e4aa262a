"""Saved evidence is what was recorded, and a folder that is none is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.evidence import Chunk, Evidence, Exchange, Failure, ProbeRecord, Sent
from conformance.wire.redact import redact_evidence
from conformance.wire.store import VERSION, EvidenceError, load, save

SECRETS = ["sk-demo", "sk-demo-other"]
times = st.floats(0, 1e6, allow_nan=False)
headers = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "X-Key", "content-type"]), st.text(max_size=9)), max_size=4
).map(tuple)
bodies = st.binary(max_size=60) | st.sampled_from([b'{"k": "sk-demo"}', b"sk-demo-other sk-demo"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | times | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
exchanges = st.builds(
    Exchange,
    id=st.just(""),
    probe=st.just("stream_plain"),
    role=st.just("first"),
    operation=st.just("chat"),
    principal=st.sampled_from(["main", "none"]),
    params=st.dictionaries(st.text(max_size=5), plain, max_size=3),
    sent=st.builds(Sent, st.just("POST"), st.just("http://h/?key=sk-demo"), headers, bodies),
    started_at=times,
    status=st.none() | st.integers(100, 599),
    http_version=st.just("HTTP/1.1"),
    headers=headers,
    t_headers=st.none() | times,
    chunks=st.lists(st.builds(Chunk, times, bodies), max_size=4).map(tuple),
    t_end=st.none() | times,
    failure=st.none() | st.builds(Failure, st.just("reset"), st.text(max_size=20), times),
    left_at=st.none() | times,
    redirects=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    lag=times,
)


def evidence(*found: Exchange) -> Evidence:
    return Evidence(
        target={"base_url": "http://h", "principals": ["main"]},
        dialect="contract",
        started_at=1.5,
        duration=2.25,
        probes={"stream_plain": ProbeRecord("stream_plain", "done", "", {"n": 1})},
        exchanges=found,
        suite_version="0.1.0",
        contract_version="1.0.0",
    )


@given(st.lists(exchanges, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_round_trip_is_exact_after_redaction(tmp_path: Path, found: list[Exchange]) -> None:
    numbered = [Exchange(**{**vars(e), "id": f"x{n:04d}"}) for n, e in enumerate(found, 1)]
    run = evidence(*numbered)
    save(run, tmp_path / "run", SECRETS)
    assert load(tmp_path / "run") == redact_evidence(run, SECRETS)
    written = [p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert not any(b"sk-demo" in w for w in written)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def one() -> Evidence:
    sent = Sent("POST", "http://h/", (), b"{}")
    chunks = (Chunk(0.1, b"data: a\n"), Chunk(0.2, b"\n"))
    return evidence(
        Exchange(
            "x0001", "p", "r", "chat", "main", {"messages": ({"role": "user"},)}, sent, 0.0, chunks=chunks
        )
    )


def test_the_folder_is_what_the_format_says(tmp_path: Path) -> None:
    save(one(), tmp_path / "deep" / "run", [])
    folder = tmp_path / "deep" / "run"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "exchanges/x0001.json",
        "exchanges/x0001.request",
        "exchanges/x0001.response",
        "run.json",
    ]
    assert (folder / "exchanges/x0001.response").read_bytes() == b"data: a\n\n"
    assert json.loads((folder / "exchanges/x0001.json").read_text())["response"]["chunks"] == [
        [0.1, 8],
        [0.2, 1],
    ]


def test_an_earlier_run_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    save(one(), tmp_path / "run", [])
    save(evidence(), tmp_path / "run", [])
    assert load(tmp_path / "run").exchanges == ()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(EvidenceError, match="is not empty and holds no saved evidence"):
        save(one(), tmp_path / "mine", [])
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(EvidenceError, match="is a file"):
        save(one(), tmp_path / "file", [])
    with pytest.raises(EvidenceError, match="cannot be written"):
        save(one(), tmp_path / "file" / "run", [])
    (tmp_path / "empty").mkdir()
    save(one(), tmp_path / "empty", [])
    assert len(load(tmp_path / "empty").exchanges) == 1


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    save(one(), tmp_path / "run", [])
    bad = evidence(*one().exchanges, Exchange("../x", "p", "r", "chat", "main", {}, Sent("GET", "/"), 0.0))
    with pytest.raises(EvidenceError, match="cannot be the id"):
        save(bad, tmp_path / "run", [])
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert load(tmp_path / "run").exchanges[0].raw == b"data: a\n\n"


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("run.json", ["started_at"], "soon"),
        ("run.json", ["started_at"], 10**400),
        ("run.json", ["duration"], None),
        ("run.json", ["dialect"], {}),
        ("run.json", ["target"], []),
        ("run.json", ["target", "declared"], "x"),
        ("exchange", ["started_at"], "y"),
        ("exchange", ["response", "status"], "200"),
        ("exchange", ["response", "headers"], [[1, 2]]),
        ("exchange", ["response", "t_end"], float("nan")),
        ("exchange", ["response", "lag"], True),
    ],
)
def test_a_value_of_another_kind_is_damage(tmp_path: Path, file: str, keys: list[str], value: Any) -> None:
    """Not a traceback where it is first used, in a check or in a report."""
    save(one(), tmp_path / "run", ())
    path = (
        tmp_path / "run" / file if file == "run.json" else next((tmp_path / "run/exchanges").glob("*.json"))
    )
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(EvidenceError, match="is damaged: .* has no valid"):
        load(tmp_path / "run")


def damage(folder: Path, what: str) -> None:
    run = json.loads((folder / "run.json").read_text())
    match what:
        case "newer":
            run["version"] = VERSION + 1
        case "foreign":
            run["format"] = "har"
        case "no dialect":
            del run["dialect"]
        case "escape":
            run["exchanges"] = ["../../etc/passwd"]
        case "list":
            run = []
        case "no exchange":
            (folder / "exchanges/x0001.json").unlink()
        case "short body":
            (folder / "exchanges/x0001.response").write_bytes(b"data")
        case "odd exchange":
            (folder / "exchanges/x0001.json").write_text('{"request": 1, "response": {}}')
        case "negative size":
            text = (folder / "exchanges/x0001.json").read_text()
            found = json.loads(text)
            found["response"]["chunks"] = [[0.1, 19], [0.2, -10]]
            (folder / "exchanges/x0001.json").write_text(json.dumps(found))
    (folder / "run.json").write_text("{" if what == "not json" else json.dumps(run))
    if what == "no run":
        (folder / "run.json").unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("newer", f"has evidence format {VERSION + 1}; this aiconform reads {VERSION}: upgrade it"),
        ("foreign", "was not written by aiconform"),
        ("list", "was not written by aiconform"),
        ("not json", "is not JSON"),
        ("no run", "has no run.json"),
        ("no dialect", "is damaged: no 'dialect'"),
        ("escape", "cannot be the id of an exchange"),
        ("no exchange", "x0001.json cannot be read"),
        ("short body", "x0001.response has 4 bytes where 9 were recorded"),
        ("odd exchange", "is damaged"),
        ("negative size", "is damaged"),
    ],
)
def test_a_folder_that_cannot_be_read_is_explained_in_one_line(tmp_path: Path, what: str, said: str) -> None:
    save(one(), tmp_path / "run", [])
    damage(tmp_path / "run", what)
    with pytest.raises(EvidenceError) as caught:
        load(tmp_path / "run")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
