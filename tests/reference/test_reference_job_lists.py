"""Jobs in number: lists, keys, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from job_client import DOCUMENT, ended, submit
from reference_server import LIMITED_KEY, ReferenceServer, error

from reference_impl.settings import Settings
from reference_impl.store.job_rows import read_cursor, write_cursor


def test_lists_page_newest_first_whatever_is_added() -> None:
    with ReferenceServer(Settings()) as server, server.client() as client:
        posted = [submit(client) for _ in range(5)]
        for job_id in posted:
            ended(client, job_id)
        first = client.get("/jobs", params={"limit": 2}).json()
        submit(client)
        second = client.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
        third = client.get("/jobs", params={"limit": 2, "cursor": second["next_cursor"]}).json()
        listed = [job["job_id"] for page in (first, second, third) for job in page["data"]]
        assert listed == posted[::-1]
        assert third["next_cursor"] is None
        cancelled = submit(client, "slow_document", 5000)
        client.post(f"/jobs/{cancelled}/cancel")
        only = client.get("/jobs", params={"status": "cancelled"}).json()["data"]
        assert [job["job_id"] for job in only] == [cancelled]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 101},
        {"limit": 0},
        {"limit": "two"},
        {"cursor": "x"},
        {"cursor": "am9iOjEy="},
        {"status": "done"},
    ],
)
def test_a_wrong_query_is_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    found = error(client.get("/jobs", params=query), 400, "INVALID_REQUEST")
    assert found["param"] == next(iter(query))


@pytest.mark.parametrize("cursor", ["", "?", "ü", write_cursor(3)[:-1], "am9iOi0x", "am9iOjA5"])
def test_a_cursor_of_another_form_is_none(cursor: str) -> None:
    assert read_cursor(cursor) is None
    assert read_cursor(write_cursor(12)) == 12


def test_one_key_makes_one_job(client: httpx.Client) -> None:
    body = {"document": DOCUMENT}
    first = client.post("/analyze-document", json=body, headers={"Idempotency-Key": "one"})
    again = client.post("/analyze-document", json=body, headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    for name in ("location", "operation-location", "retry-after"):
        assert again.headers[name] == first.headers[name]
    other = client.post("/analyze-document", json={"document": "x"}, headers={"Idempotency-Key": "one"})
    error(other, 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_refused_submission_frees_its_key(client: httpx.Client) -> None:
    busy = {"document": DOCUMENT, "sandbox": {"scenario": "overloaded"}}
    for _ in range(2):
        refused = client.post("/analyze-document", json=busy, headers={"Idempotency-Key": "busy"})
        assert "idempotency-replayed" not in refused.headers
        error(refused, 503, "MODEL_OVERLOADED")


def test_jobs_count_against_the_limits() -> None:
    # Loose enough that no window ends meanwhile.
    settings = Settings()
    tier = replace(settings.credentials[2].tier, requests=replace(settings.credentials[0].tier.requests))
    limited = replace(
        settings.credentials[2], tier=replace(tier, tokens=replace(tier.tokens, window_seconds=60))
    )
    with (
        ReferenceServer(replace(settings, credentials=(limited,))) as server,
        server.client(LIMITED_KEY) as client,
    ):
        before = int(client.get("/jobs").headers["x-ratelimit-remaining-tokens"])
        job = ended(client, submit(client))
        after = int(client.get("/jobs").headers["x-ratelimit-remaining-tokens"])
        assert before - after == job["metadata"]["tokens_used"]["total"]
        large = {"document": "word " * 500}
        found = error(client.post("/analyze-document", json=large), 429, "TOKEN_LIMIT_EXCEEDED")
        assert found["details"]["policy"] == "tokens"
