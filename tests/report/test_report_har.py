"""HAR 1.2: valid for others, and read back as evidence for passive requirements only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from public_schemas import har_validator

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence
from conformance.har_file import read_har
from conformance.judge import judge
from conformance.recorded import BLIND, DOUBTS
from conformance.registry import CHECKS, load_all
from conformance.report.har import har_of, write_har
from conformance.verdict import Result
from conformance.wire.store import EvidenceError
from spec.catalogue import requirements

load_all()
CONTRACT, OPENAI = load_dialect("contract"), load_dialect("openai-chat")
KEY = "sk-live-abcdef123456"


def archive(*entries: Any) -> dict[str, Any]:
    return {
        "log": {"version": "1.2", "creator": {"name": "browser", "version": "1"}, "entries": list(entries)}
    }


def entry(
    body: str = '{"id":"c1","model":"m","choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}',
    *,
    url: str = "https://api.vendor.example/v1/chat/completions",
    status: int = 200,
    content_type: str = "application/json",
    stream: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-11-24T12:00:00.000Z",
        "time": 812.5,
        "request": {
            "method": "POST",
            "url": url,
            "httpVersion": "h2",
            "headers": [
                {"name": ":authority", "value": "api.vendor.example"},
                {"name": "authorization", "value": f"Bearer {KEY}"},
            ],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 10,
            "postData": {
                "mimeType": "application/json",
                "text": json.dumps({"model": "m", "stream": stream}),
            },
        },
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "h2",
            "headers": [
                {"name": "content-type", "value": content_type},
                {"name": "content-encoding", "value": "gzip"},
                {"name": "x-request-id", "value": "r1"},
            ],
            "cookies": [],
            "content": {"size": len(body), "mimeType": content_type, "text": body},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": 99,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 1, "receive": 1},
    } | changes


def read(tmp_path: Path, *entries: Any) -> Evidence:
    path = tmp_path / "traffic.har"
    path.write_text(json.dumps(archive(*entries)), "utf-8")
    return read_har(path, OPENAI)


def verdicts(evidence: Evidence) -> dict[str, Result]:
    dialect = load_dialect(evidence.dialect)
    return {v.id: v.result for v in judge(evidence, dialect, requirements().values(), CHECKS)}


def test_an_archive_is_valid() -> None:
    har_validator().validate(har_of(samples.report().evidence))


def test_the_schema_notices_a_wrong_archive() -> None:
    found = har_of(samples.report().evidence)
    found["log"]["entries"][0]["time"] = "soon"
    assert list(har_validator().iter_errors(found))


def test_bytes_that_are_no_text_are_base64() -> None:
    found = har_of(samples.report().evidence)["log"]["entries"]
    binary = next(e for e in found if e["_aiconform"]["id"] == "x0004")["response"]["content"]
    assert (binary["encoding"], binary["size"]) == ("base64", 2048)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """The bodies, headers and statuses of the calls that a HAR can hold."""
    evidence = samples.report().evidence
    write_har(evidence, tmp_path / "run.har")
    again = read_har(tmp_path / "run.har", CONTRACT)
    # x0005 got no response; the others come in the order in which they were sent.
    whole = sorted((e for e in evidence.exchanges if e.status), key=lambda e: e.started_at)
    assert [(e.status, e.content, e.header("content-type")) for e in again.exchanges] == [
        (e.status, e.content, e.header("content-type")) for e in whole
    ]


def test_recorded_traffic_is_judged_passively(tmp_path: Path) -> None:
    found = verdicts(read(tmp_path, entry(), entry("boom", status=500, content_type="text/plain")))
    assert found["ERR-19"] is Result.FAIL
    assert found["SYNC-05"] is Result.PASS
    for requirement in requirements().values():
        if requirement.method != "passive":
            assert found[requirement.id] in (Result.NOT_TESTED, Result.NOT_OFFERED), requirement.id
    assert found["CON-26"] is Result.INCONCLUSIVE


def test_a_stream_that_the_client_may_have_left_is_no_failure(tmp_path: Path) -> None:
    cut = 'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    whole = cut + (
        'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    streams = {"content_type": "text/event-stream", "stream": True}
    assert verdicts(read(tmp_path, entry(cut, **streams)))["SSE-04"] is Result.INCONCLUSIVE
    assert verdicts(read(tmp_path, entry(whole, **streams)))["SSE-04"] is Result.PASS


def test_no_credential_of_the_recording_survives(tmp_path: Path) -> None:
    evidence = read(
        tmp_path,
        entry(f'{{"error":{{"message":"key {KEY} is bad","code":"x"}}}}', status=401),
        entry(url=f"https://api.vendor.example/v1/chat/completions?key={KEY}"),
    )
    write_har(evidence, tmp_path / "clean.har")
    assert KEY not in (tmp_path / "clean.har").read_text("utf-8")
    assert verdicts(evidence)["AUTH-16"] is Result.FAIL  # the echo itself is still found


def test_no_password_query_key_or_session_of_the_recording_survives(tmp_path: Path) -> None:
    """A password in the URL, the dialect's own query parameter, and the value of a cookie that an answer repeats."""
    dialect = replace(OPENAI, auth=replace(OPENAI.auth, header=None, query="subscription-key"))
    session = "5d41402abc4b2a76b9719d91"
    asked = entry(
        f'{{"session":"{session}"}}',
        url="https://me:hunter-2-pw@api.vendor.example/v1/chat/completions?subscription-key=zz-8812-key",
    )
    asked["request"]["headers"].append({"name": "Cookie", "value": f"sid={session}; theme=dark"})
    path = tmp_path / "traffic.har"
    path.write_text(json.dumps(archive(asked)), "utf-8")
    evidence = read_har(path, dialect)
    write_har(evidence, tmp_path / "clean.har")
    written = (tmp_path / "clean.har").read_text("utf-8")
    assert [s for s in (session, "hunter-2-pw", "zz-8812-key") if s in written] == []
    assert evidence.probes["secrets"].notes["leaks"] == []  # a cookie need not be a credential


@pytest.mark.parametrize(
    "damage", [{"time": 1e400}, {"time": 1e300}, {"startedDateTime": "9999-12-31T23:59:59.999Z"}]
)
def test_times_that_no_report_could_show_are_left_out(tmp_path: Path, damage: dict[str, Any]) -> None:
    assert [e.id for e in read(tmp_path, entry(**damage), entry()).exchanges] == ["h0002"]


def test_what_is_no_call_of_the_api_is_left_out(tmp_path: Path) -> None:
    evidence = read(
        tmp_path,
        entry(),
        entry(url="https://cdn.example/app.js"),
        entry(status=0),
        entry(_fromCache="disk"),
        {"request": {}},
        entry(response={"status": 200, "content": {"size": 10}}),  # the browser dropped the body
    )
    assert [e.id for e in evidence.exchanges] == ["h0001"]
    assert evidence.target["base_url"] == "https://api.vendor.example/v1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("[]", "has no log.entries"),
        ('{"log":{"entries":7}}', "has no log.entries"),
        (json.dumps(archive()), "none of its 0 entries is a call in the dialect openai-chat"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.har"
    path.write_text(text, "utf-8")
    with pytest.raises(EvidenceError, match=says):
        read_har(path, OPENAI)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["startedDateTime", "time", "request", "response", "cache", "timings"])


@given(changes=st.dictionaries(FIELDS, JSON, min_size=1))
def test_a_damaged_entry_is_left_out_or_read(
    changes: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    evidence = read(tmp_path_factory.getbasetemp(), entry() | changes, entry())
    assert 1 <= len(evidence.exchanges) <= 2


def test_what_recordings_cannot_show_are_passive_requirements() -> None:
    for identity in (*BLIND, *DOUBTS):
        assert requirements()[identity].method == "passive"


def test_the_suites_own_evidence_is_judged_in_full() -> None:
    evidence = replace(samples.report().evidence, target={"base_url": "x"})
    assert verdicts(evidence)["CON-25"] is not Result.NOT_TESTED
