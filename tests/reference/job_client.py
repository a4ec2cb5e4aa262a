"""A client of jobs, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

DOCUMENT = (
    "# Invoice\nI was charged twice.\n\n# Delivery\nThe parcel is late.\n\n# Login\nMy password is locked.\n"
)
FINAL = {"complete", "failed", "cancelled", "expired"}


def submit(
    client: httpx.Client, scenario: str | None = None, delay_ms: int | None = None, **headers: str
) -> str:
    body: dict[str, Any] = {"document": DOCUMENT}
    if scenario is not None:
        body["sandbox"] = {"scenario": scenario} | ({} if delay_ms is None else {"delay_ms": delay_ms})
    answer = client.post("/analyze-document", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def until(client: httpx.Client, job_id: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The job once it is as wanted. Asked for again and again, as a client without streams does."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").json()
        if enough(job):
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is still {job['status']}")


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return until(client, job_id, lambda job: job["status"] in FINAL)
