"""Async jobs: POST /analyze-document, and the jobs that come of it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from job_client import DOCUMENT, ended, submit, until
from reference_server import KEY, OTHER_KEY, ReferenceServer, error

from reference_impl.engine.documents import Document
from reference_impl.settings import Settings


def changes(text: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for block in text.removesuffix("data: [DONE]\n\n").split("\n\n"):
        if block:
            first, _, rest = block.partition("\n")
            found.append((int(first.removeprefix("id: ")), json.loads(rest.split("data: ")[1])))
    return found


def test_a_document_is_accepted_followed_and_analysed(client: httpx.Client) -> None:
    answer = client.post("/analyze-document", json={"document": DOCUMENT})
    job_id = answer.json()["job_id"]
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["location"] == answer.headers["operation-location"] == f"/api/v1/jobs/{job_id}"
    assert answer.headers["retry-after"] == "1"
    job = ended(client, job_id)
    assert (job["status"], job["progress"]) == ("complete", 1)
    assert [s["heading"] for s in job["result"]["sections"]] == ["Invoice", "Delivery", "Login"]
    assert [s["category"] for s in job["result"]["sections"]] == ["billing", "shipping", "account"]
    assert job["result"]["sections"][0]["summary"] == "I was charged twice."
    used = job["metadata"]["tokens_used"]
    assert used["input"] > 0
    assert used["output"] > 0
    assert job["metadata"]["trace_id"] == answer.json()["metadata"]["trace_id"]
    assert job["metadata"]["request_id"] == answer.headers["x-request-id"]


def test_the_trace_of_the_caller_is_that_of_the_job(client: httpx.Client) -> None:
    job = ended(client, submit(client, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    assert job["metadata"]["trace_id"] == "a" * 32


def test_progress_grows_part_by_part_and_every_change_is_an_event(client: httpx.Client) -> None:
    job_id = submit(client, "slow_document", 30)
    with client.stream("GET", f"/jobs/{job_id}/events") as stream:
        seen = changes(stream.read().decode())
    assert [version for version, _ in seen] == list(range(1, len(seen) + 1))
    assert [c["status"] for _, c in seen] == ["queued", *["processing"] * 4, "complete"]
    assert [c["progress"] for _, c in seen] == [0, 0, 0.25, 0.5, 0.75, 1]
    resumed = client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "4"}).text
    assert changes(resumed) == seen[4:]
    assert client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "6"}).text == "data: [DONE]\n\n"
    assert changes(client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "?"}).text) == seen


def test_an_unchanged_job_is_304(client: httpx.Client) -> None:
    job_id = submit(client)
    ended(client, job_id)
    first = client.get(f"/jobs/{job_id}")
    tag = first.headers["etag"]
    for value in (tag, f'W/{tag}, "other"', "*"):
        same = client.get(f"/jobs/{job_id}", headers={"If-None-Match": value})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert client.get(f"/jobs/{job_id}", headers={"If-None-Match": '"other"'}).status_code == 200
    assert "retry-after" not in first.headers


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "INVALID_REQUEST", "/document"),
        ({"document": 7}, "INVALID_REQUEST", "/document"),
        ({"document": "  \n"}, "INVALID_REQUEST", "/document"),
        ({"document": "x", "pages": 2}, "INVALID_REQUEST", "/pages"),
        ({"document": "x", "sandbox": {"scenario": "slow_tokens"}}, "INVALID_REQUEST", "/sandbox/scenario"),
    ],
)
def test_wrong_work_is_refused_and_makes_no_job(
    client: httpx.Client, body: Any, code: str, pointer: str
) -> None:
    before = client.get("/jobs").json()["data"][:1]
    assert error(client.post("/analyze-document", json=body), 400, code)["param"] == pointer
    assert client.get("/jobs").json()["data"][:1] == before


def test_what_is_known_to_fail_is_refused_at_once(client: httpx.Client) -> None:
    for scenario, status, code in (
        ("content_filter_input", 400, "CONTENT_FILTER_TRIGGERED"),
        ("overloaded", 503, "MODEL_OVERLOADED"),
    ):
        body = {"document": DOCUMENT, "sandbox": {"scenario": scenario}}
        error(client.post("/analyze-document", json=body), status, code)
    error(client.post("/analyze-document", json={"document": "x", "model": "none"}), 404, "MODEL_NOT_FOUND")


@pytest.mark.parametrize(
    ("scenario", "code"), [("failing_document", "UPSTREAM_ERROR"), ("model_timeout", "MODEL_TIMEOUT")]
)
def test_a_job_fails_with_the_error_object_of_the_contract(
    client: httpx.Client, scenario: str, code: str
) -> None:
    job = ended(client, submit(client, scenario))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert job["error"].keys() == {
        "code", "message", "details", "type", "param", "retryable", "request_id", "docs_url"
    }  # fmt: skip
    assert "result" not in job
    assert job["error"]["request_id"] == job["metadata"]["request_id"]


def test_a_running_job_is_cancelled_and_stays_so(client: httpx.Client, reference: ReferenceServer) -> None:
    job_id = submit(client, "slow_document", 200)
    until(client, job_id, lambda job: job["progress"] > 0)
    cancelled = client.post(f"/jobs/{job_id}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["progress"] < 1
    assert client.post(f"/jobs/{job_id}/cancel").json() == cancelled
    time.sleep(0.4)
    assert client.get(f"/jobs/{job_id}").json() == cancelled


def test_an_ended_job_cannot_be_cancelled(client: httpx.Client) -> None:
    for scenario, status in ((None, "complete"), ("failing_document", "failed")):
        job_id = submit(client, scenario)
        job = ended(client, job_id)
        refused = error(client.post(f"/jobs/{job_id}/cancel"), 409, "JOB_NOT_CANCELLABLE")
        assert refused["details"] == {"status": status}
        assert client.get(f"/jobs/{job_id}").json() == job


def test_a_job_waits_for_the_right_decision(client: httpx.Client) -> None:
    job_id = submit(client, "needs_approval")
    waiting = until(client, job_id, lambda job: job["status"] == "requires_action")
    action = waiting["required_action"]["id"]
    path = f"/jobs/{job_id}/action"
    refused = client.post(path, json={"action_id": "act_other", "decision": "approve"})
    assert error(refused, 409, "JOB_NOT_WAITING")["details"] == {"status": "requires_action"}
    approved = client.post(path, json={"action_id": action, "decision": "approve"}).json()
    assert approved["status"] == "processing"
    assert "required_action" not in approved
    assert ended(client, job_id)["status"] == "complete"
    error(client.post(path, json={"action_id": action, "decision": "approve"}), 409, "JOB_NOT_WAITING")


def test_a_rejected_job_is_cancelled(client: httpx.Client) -> None:
    job_id = submit(client, "needs_approval")
    waiting = until(client, job_id, lambda job: job["status"] == "requires_action")
    decision = {"action_id": waiting["required_action"]["id"], "decision": "reject"}
    assert client.post(f"/jobs/{job_id}/action", json=decision).json()["status"] == "cancelled"


def test_an_approval_cannot_be_taken_back_by_deciding_again() -> None:
    with ReferenceServer(Settings()) as server, server.client() as client:
        job_id = submit(client, "needs_approval")
        waiting = until(client, job_id, lambda job: job["status"] == "requires_action")
        action = waiting["required_action"]["id"]
        jobs = server.app.services.jobs
        # Approved without telling the workers, so that it still goes on.
        assert server.ask(lambda: jobs.decide(job_id, action, approved=True))
        refused = client.post(f"/jobs/{job_id}/action", json={"action_id": action, "decision": "reject"})
        error(refused, 409, "JOB_NOT_WAITING")
        assert client.get(f"/jobs/{job_id}").json()["status"] != "cancelled"


def test_a_job_that_misses_its_deadline_expires(client: httpx.Client) -> None:
    job = ended(client, submit(client, "expiring_document", 100))
    assert job["status"] == "expired"
    assert job["completed_at"] >= job["deadline_at"]
    assert not {"result", "error"} & job.keys()


def test_a_forgotten_job_is_410_and_not_listed(client: httpx.Client, reference: ReferenceServer) -> None:
    job_id = submit(client, "brief_retention", 150)
    until_gone = time.monotonic() + 10
    while client.get(f"/jobs/{job_id}").status_code == 200 and time.monotonic() < until_gone:
        time.sleep(0.02)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/events"):
        error(client.get(path), 410, "JOB_EXPIRED")
    assert job_id not in [job["job_id"] for job in client.get("/jobs").json()["data"]]
    reference.ask(reference.app.services.jobs.forget_expired)
    stored = reference.ask(lambda: reference.app.services.jobs.find(job_id))
    assert stored is None or (stored.result is None and stored.request == {})


def test_somebody_elses_job_does_not_exist(client: httpx.Client, reference: ReferenceServer) -> None:
    job_id = submit(client, "slow_document", 100)
    with reference.client(OTHER_KEY) as other:
        error(other.get(f"/jobs/{job_id}"), 404, "JOB_NOT_FOUND")
        error(other.get(f"/jobs/{job_id}/events"), 404, "JOB_NOT_FOUND")
        error(other.post(f"/jobs/{job_id}/cancel"), 404, "JOB_NOT_FOUND")
        decision = {"action_id": "act_1", "decision": "reject"}
        error(other.post(f"/jobs/{job_id}/action", json=decision), 404, "JOB_NOT_FOUND")
        assert other.get("/jobs").json() == {"data": [], "next_cursor": None}
    assert ended(client, job_id)["status"] == "complete"
    with reference.client(None) as nobody:
        error(nobody.get(f"/jobs/{job_id}"), 401, "UNAUTHENTICATED")


def test_prefer_respond_async_makes_a_job_of_a_classification(client: httpx.Client) -> None:
    text = {"text": "I was charged twice for my invoice."}
    at_once = client.post("/classify", json=text).json()
    answer = client.post("/classify", json=text, headers={"Prefer": "wait=5, Respond-Async; x=1"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    job = ended(client, answer.json()["job_id"])
    assert job["kind"] == "classification"
    assert job["result"] == {k: v for k, v in at_once.items() if k != "metadata"}
    assert job["metadata"]["tokens_used"] == at_once["metadata"]["tokens_used"]
    plain = client.post("/classify", json=text, headers={"Prefer": "wait=5"})
    assert plain.status_code == 200
    assert "preference-applied" not in plain.headers


def test_a_classification_below_its_threshold_fails_as_a_job_too(client: httpx.Client) -> None:
    body = {"text": "Hello there.", "min_confidence": 0.99}
    answer = client.post("/classify", json=body, headers={"Prefer": "respond-async"})
    job = ended(client, answer.json()["job_id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "INSUFFICIENT_CONFIDENCE")


def test_many_jobs_at_once_all_end(client: httpx.Client) -> None:
    jobs = [submit(client, "slow_document", 10) for _ in range(20)]
    assert {ended(client, job)["status"] for job in jobs} == {"complete"}


def test_the_end_of_the_server_is_told_to_whoever_follows() -> None:
    server = ReferenceServer(Settings(shutdown_grace_s=0.1))
    with (
        server,
        httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10) as client,
    ):
        job_id = submit(client, "slow_document", 20_000)
        with client.stream("GET", f"/jobs/{job_id}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "id: 1"
            server.stop_soon()
            rest = "\n".join(lines)
    assert '"code":"MODEL_OVERLOADED"' in rest


def test_a_long_text_is_cut_at_paragraphs_and_nothing_is_lost() -> None:
    text = "\n\n".join(f"Paragraph {n} " + "word " * 60 for n in range(7))
    document = Document.read(text)
    assert len(document.sections) == 4
    assert " ".join(s.text for s in document.sections).split() == text.split()
    assert [s.heading for s in Document.read("intro\n# A\nx\n## B\ny").sections] == [None, "A", "B"]
    assert len(Document.read("# only a heading").sections) == 1


@pytest.mark.parametrize(
    ("text", "heading"), [("a" + "\f" * 199_999, None), ("# " + "#" * 199_997 + "x", "#" * 199_997 + "x")]
)
def test_the_worst_document_is_read_at_once(text: str, heading: str | None) -> None:
    (section,) = Document.read(text).sections
    assert section.heading == heading


@pytest.mark.parametrize(
    ("line", "title"), [("Two ##", "Two"), ("Two##", "Two"), ("Two ## ", "Two ##"), ("##", "#"), ("#", "#")]
)
def test_a_heading_loses_its_closing_hashes(line: str, title: str) -> None:
    assert Document.read(f"# {line}\ntext").sections[0].heading == title
