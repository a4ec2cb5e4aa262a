"""What an honest server answers about its jobs, probe by probe; a test replaces what it wants to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from building import answer, exchange, gathered, stream

from conformance.reading import Probed, Reading

ID = "job_1"
TAG = '"job_1.5"'
POLL_AGAIN = {"Retry-After": "1"}
LOCATION = {"Location": f"/jobs/{ID}", "Operation-Location": f"/jobs/{ID}"}
START = 1_800_000_000.0


def shown(
    role: str, status: str, progress: float | None = None, *, operation: str = "get_job", **more: Any
) -> Reading:
    """An answer about the job."""
    body: dict[str, Any] = {
        "job_id": more.pop("job_id", ID),
        "status": status,
        "progress": (1 if status == "complete" else 0.5) if progress is None else progress,
        "created_at": "2026-11-24T10:00:00Z",
        "completed_at": "2026-11-24T10:00:05Z" if status in ("complete", "failed") else None,
        "expires_at": "2026-12-01T10:00:05Z" if status in ("complete", "failed") else None,
        "metadata": {
            "trace_id": "a" * 32,
            "model_version": "atlas-1",
            "tokens_used": {"input": 9, "output": 4, "total": 13},
        },
    }
    if status == "complete":
        body["result"] = {"category": "billing"}
    if status == "failed":
        body["error"] = dict(ERROR)
    if status == "requires_action":
        body["required_action"] = {"id": "act_1"}
    body |= more.pop("body", {})
    headers = {**(POLL_AGAIN if status in ("queued", "processing", "requires_action") else {}), "ETag": TAG}
    headers |= more.pop("headers", {})
    headers = {k: v for k, v in headers.items() if v}
    body = {k: v for k, v in body.items() if v is not ...}
    return answer(body, role=role, operation=operation, headers=headers, **more)


ERROR = {
    "code": "UPSTREAM_ERROR",
    "message": "No.",
    "details": {},
    "type": "api_error",
    "retryable": True,
    "request_id": "req_1",
}


def refusal(role: str, status: int, code: str, operation: str = "get_job") -> Reading:
    body = {"error": {"code": code, "message": "No.", "details": {}}}
    return answer(body, status=status, role=role, operation=operation)


def change(version: int, status: str, *, numbered: bool = True) -> bytes:
    line = f'data: {{"type":"job","job_id":"{ID}","status":"{status}","progress":0}}\n\n'
    return ((f"id: {version}\n" if numbered else "") + "event: job\n" + line).encode()


def events(role: str, *chunks: bytes) -> Reading:
    return stream(*chunks, b"data: [DONE]\n\n", role=role, operation="job_events")


ALL_CHANGES = (change(1, "queued"), change(2, "processing"), change(3, "processing"), change(4, "complete"))


def probe(name: str, honest: Callable[[], dict[str, Reading]], **changed: Reading | None) -> Probed:
    """An honest server's answers, a second apart, with some replaced; None leaves one out."""
    readings = [r for r in (honest() | changed).values() if r is not None]
    timed = [
        Reading(replace(r.exchange, started_at=START + n), r.dialect) if r.exchange.started_at == START else r
        for n, r in enumerate(readings)
    ]
    return gathered(name, *timed)


def _run() -> dict[str, Reading]:
    return {
        "submitted": accepted(),
        "located": shown("located", "queued", 0, operation="raw"),
        "poll__1": shown("poll", "processing", 0.2),
        "poll__2": shown("poll", "processing", 0.6),
        "poll__3": shown("poll", "complete"),
        "events": events("events", *ALL_CHANGES),
        "resubmitted": accepted("resubmitted", headers={"Idempotency-Replayed": "true"}),
        "unchanged": exchange(status=304, role="unchanged", operation="get_job", method="GET"),
        "resumed": events("resumed", *ALL_CHANGES[2:]),
        "cancel_ended": refusal("cancel_ended", 409, "JOB_NOT_CANCELLABLE", "cancel_job"),
    }


def accepted(role: str = "submitted", **more: Any) -> Reading:
    headers = {**LOCATION, **POLL_AGAIN, **more.pop("headers", {})}
    body = {"job_id": ID, "status": "queued", "progress": 0} | more.pop("body", {})
    return answer(
        {k: v for k, v in body.items() if v is not ...},
        **({"status": 202} | more),
        role=role,
        operation="submit_job",
        headers={k: v for k, v in headers.items() if v},
    )


def _cancelled() -> dict[str, Reading]:
    return {
        "submitted": accepted(),
        "foreign_get": refusal("foreign_get", 404, "JOB_NOT_FOUND"),
        "foreign_cancel": refusal("foreign_cancel", 404, "JOB_NOT_FOUND", "cancel_job"),
        "foreign_events": refusal("foreign_events", 404, "JOB_NOT_FOUND", "job_events"),
        "before": shown("before", "processing", 0.1),
        "cancel": shown("cancel", "cancelled", operation="cancel_job"),
        "cancel_again": shown("cancel_again", "cancelled", operation="cancel_job"),
        "after": shown("after", "cancelled"),
        "later": shown("later", "cancelled"),
    }


def _ends() -> dict[str, Reading]:
    return {
        "failed": shown("failing_job.poll", "failed", 0.3),
        "expired": shown("job_misses_deadline.poll", "expired", 0, job_id="job_2"),
    }


def _waits() -> dict[str, Reading]:
    return {
        "poll__1": shown("poll", "requires_action", 0.1),
        "wrong": refusal("wrong", 409, "JOB_NOT_WAITING", "job_action"),
        "approved": shown("approved", "processing", 0.1, operation="job_action"),
        "poll__2": shown("poll", "complete"),
    }


def _refused() -> dict[str, Reading]:
    return {
        "no_document": refusal("no_document", 400, "INVALID_REQUEST", "submit_job"),
        "wrong_type": refusal("wrong_type", 400, "INVALID_REQUEST", "submit_job"),
        "unknown": refusal("unknown", 404, "JOB_NOT_FOUND"),
    }


def list_page(role: str, ids: list[int], cursor: str | None, **more: Any) -> Reading:
    data = [
        {
            "job_id": f"job_{n}",
            "status": more.get("word", "complete"),
            "created_at": f"2026-11-24T10:00:0{n}Z",
        }
        for n in ids
    ]
    return answer({"data": data, "next_cursor": cursor}, role=role, operation="list_jobs")


def _list() -> dict[str, Reading]:
    return {
        **{f"posted_{n}": accepted("posted", body={"job_id": f"job_{n}"}) for n in (1, 2, 3)},
        "page__1": list_page("page", [5, 3], "a"),
        "page__2": list_page("page", [2, 1], None),
        "end": list_page("end", [5, 3, 2, 1], None),
        "filtered": list_page("filtered", [3], None),
        "limit": refusal("limit_too_large", 400, "INVALID_REQUEST", "list_jobs"),
        "cursor": refusal("cursor_unknown", 400, "INVALID_REQUEST", "list_jobs"),
    }


def _async() -> dict[str, Reading]:
    return {
        "preferred": accepted("preferred", headers={"Preference-Applied": "respond-async"}),
        "poll": shown("poll", "complete"),
    }


def run(**changed: Reading | None) -> Probed:
    return probe("job_run", _run, **changed)


def cancelled(**changed: Reading | None) -> Probed:
    return probe("job_cancelled", _cancelled, **changed)


def ended(**changed: Reading | None) -> Probed:
    return probe("job_ends", _ends, **changed)


def waits(**changed: Reading | None) -> Probed:
    return probe("job_waits", _waits, **changed)


def refused(**changed: Reading | None) -> Probed:
    return probe("job_refused", _refused, **changed)


def listed(**changed: Reading | None) -> Probed:
    return probe("job_list", _list, **changed)


def preferred(**changed: Reading | None) -> Probed:
    return probe("respond_async", _async, **changed)


def noted(probed: Probed, **notes: Any) -> Probed:
    """The same evidence with these notes of the probe."""
    return replace(probed, record=replace(probed.record, notes=notes))


def forgotten(reading: Reading) -> Probed:
    return gathered("job_forgotten", reading)


def moves(**trace: Probed) -> tuple[Probed, ...]:
    """The probes that JOB-07 and JOB-08 look at."""
    names = {"job_run": run, "job_cancelled": cancelled, "job_ends": ended, "job_waits": waits}
    return tuple(trace.get(name) or make() for name, make in names.items())
