"""Mutants of jobs: what a client of asynchronous work would trip over."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from reference_impl.exchange import Principal, RequestHeaders
from reference_impl.mutants.asked import edit_scope
from reference_impl.mutants.edits import set_header_on, to_status, when
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.wire import Answer, each_block, edit_answers, without
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import LedgerIdempotency
from reference_impl.policies.jobs import OwnJobs
from reference_impl.store.job_rows import Job, read_cursor, write_cursor
from reference_impl.store.webhooks import timestamp

DAY = 86_400.0
Shown = dict[str, Any]
Change = Callable[[Policies], Policies]


class _AnybodysJobs(OwnJobs):
    def may_see(self, caller: Principal, job: Job) -> bool:
        return True


class _ForbiddenJobs(OwnJobs):
    """Says of somebody else's job that it exists."""

    def may_see(self, caller: Principal, job: Job) -> bool:
        if not super().may_see(caller, job):
            raise ContractError("INSUFFICIENT_SCOPE", "This job belongs to somebody else.")
        return True


class _ForgivingCancel(OwnJobs):
    def refuse_cancel(self, job: Job) -> None:
        return


class _Impatient(OwnJobs):
    def headers(self, job: Job) -> dict[str, str]:
        return {k: v for k, v in super().headers(job).items() if k != "Retry-After"}


class _ChangingTag(OwnJobs):
    """A tag per answer, not per version."""

    def __init__(self) -> None:
        self._tags = itertools.count()

    def headers(self, job: Job) -> dict[str, str]:
        return {**super().headers(job), "ETag": f'"{next(self._tags)}"'}


class _Resurrected(OwnJobs):
    """A second after a job was cancelled, a late write of the worker makes it complete."""

    def body(self, job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
        shown = super().body(job, metadata)
        if job.status != "cancelled" or job.completed_at is None or job.completed_at > time.time() - 1:
            return shown
        return {**shown, "status": "complete"}


class _Stale(OwnJobs):
    """Reads from a replica that is seconds behind."""

    def body(self, job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
        return super().body(_a_while_ago(job), metadata)

    def headers(self, job: Job) -> dict[str, str]:
        return super().headers(_a_while_ago(job))


def _a_while_ago(job: Job) -> Job:
    # Long enough for the look of a tester whose machine is busy.
    if job.completed_at is None or job.completed_at < time.time() - 4:
        return job
    return replace(
        job, status="processing", progress=0.99, version=job.version - 1, completed_at=None, expires_at=None
    )


def _rules(make: Callable[[], OwnJobs]) -> Change:
    return lambda policies: replace(policies, jobs=make())


def _bodies(change: Callable[[Shown, Job], Shown]) -> Change:
    """Show every job otherwise."""

    class Changed(OwnJobs):
        def body(self, job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
            return change(super().body(job, metadata), job)

    return _rules(Changed)


def _short_retention(shown: Shown, job: Job) -> Shown:
    return {**shown, "expires_at": job.completed_at and timestamp(job.completed_at + 3600)}


def _without_model(shown: Shown, _job: Job) -> Shown:
    return {**shown, "metadata": {k: v for k, v in shown["metadata"].items() if k != "model_version"}}


def _own_error(shown: Shown, job: Job) -> Shown:
    return {**shown, "error": {"code": "job_failed", "reason": "sorry"}} if job.error else shown


class _TwoJobs(LedgerIdempotency):
    """Takes keys everywhere but where they matter most."""

    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        found = super().key(headers, payload)
        return None if "document" in payload else found


def _on(path: str, status: int, edit: Callable[[Answer], Answer]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite answers of one status to paths that contain a text."""
    return when(lambda a: a.status == status and path in a.scope["path"], edit)


def _header(name: bytes, value: bytes) -> Callable[[Answer], Answer]:
    return lambda answer: set_header_on(answer, name, value)


def _dropped(name: bytes) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, headers=without(answer.headers, name))


def _null(answer: Answer) -> Answer:
    return replace(answer, status=200, body=b"null")


def _accepted_anyway(answer: Answer) -> Answer:
    return replace(answer, status=202, body=b'{"job_id":"job_later","status":"queued","progress":0}')


def _lost(app: ASGIApp) -> ASGIApp:
    """The first question for a job reaches a replica that does not know it yet."""
    known: set[str] = set()

    def edit(answer: Answer) -> Answer:
        path = answer.scope["path"]
        if answer.status != 200 or "/jobs/job_" not in path or path in known:
            return answer
        known.add(path)
        error = {"error": {"code": "JOB_NOT_FOUND", "message": "No such job.", "details": {}}}
        return replace(answer, status=404, body=json.dumps(error).encode())

    return edit_answers(edit)(app)


def _cancel_in_words(app: ASGIApp) -> ASGIApp:
    """Answers that the job is cancelled, and lets it run."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if not scope.get("path", "").endswith("/cancel"):
            await app(scope, receive, send)
            return
        shown = edit_answers(
            lambda a: a.with_json({**a.json, "status": "cancelled"}) if a.status == 200 else a
        )
        path = scope["path"].removesuffix("/cancel")
        await shown(app)({**scope, "method": "GET", "path": path, "raw_path": path.encode()}, receive, send)

    return wrapped


def _cursors(change: Callable[[str], str | None]) -> Callable[[ASGIApp], ASGIApp]:
    """Understand cursors otherwise; None ignores them."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            if scope.get("path", "").endswith("/jobs") and "cursor" in query:
                cursor = change(query.pop("cursor")[0])
                if cursor is not None:
                    query["cursor"] = [cursor]
                scope = {**scope, "query_string": urlencode(query, doseq=True).encode()}
            await app(scope, receive, send)

        return wrapped

    return wrap


def _moved(by: int) -> Callable[[str], str | None]:
    def move(cursor: str) -> str | None:
        position = read_cursor(cursor)
        return cursor if position is None else write_cursor(position + by)

    return move


def _from_the_start(scope: Any) -> Any:
    """Last-Event-ID has no effect."""
    return {**scope, "headers": without(scope["headers"], b"last-event-id")}


def _without_id(block: bytes) -> bytes:
    return b"".join(line for line in block.splitlines(keepends=True) if not line.startswith(b"id: "))


def _absolute(answer: Answer) -> Answer:
    """Location as an absolute URL, which RFC 9110 10.2.2 allows as well."""
    host = answer.asked(b"host").decode()
    for name in (b"location", b"operation-location"):
        path = next(v for k, v in answer.headers if k.lower() == name).decode()
        answer = _header(name, f"http://{host}{path}".encode())(answer)
    return answer


MUTANTS = (
    mutant("job-200", "JOB-01", "accepted work is answered 200", wrap=_on("/analyze-document", 202, to_status(200))),
    mutant("job-no-location", "JOB-02 CON-04", "202 without Location", wrap=_on("/analyze-document", 202, _dropped(b"location"))),
    mutant("job-other-operation-location", "JOB-03", "two headers, two resources", wrap=_on("/analyze-document", 202, _header(b"operation-location", b"/api/v1/operations/1"))),
    mutant("job-accepts-anything", "JOB-04", "wrong work is accepted", wrap=_on("/analyze-document", 400, _accepted_anyway)),
    mutant("job-no-progress", "JOB-05", "a job under way tells no progress", policies=_bodies(lambda s, _: {k: v for k, v in s.items() if k != "progress"})),
    mutant("job-lost", "JOB-06", "404 right after 202", wrap=_lost),
    mutant("job-unknown-status", "JOB-07", "a status that is not documented", policies=_bodies(lambda s, _: {**s, "status": "running"} if s["status"] == "processing" else s)),
    mutant("job-final-status-changes", "JOB-16 JOB-07", "cancelled becomes complete", policies=_rules(_Resurrected)),
    mutant("job-progress-falls", "JOB-08", "progress goes back", policies=_bodies(lambda s, _: {**s, "progress": 0.9 - s["progress"]} if s["status"] == "processing" else s)),
    mutant("job-progress-in-percent", "JOB-08 CON-02", "progress from 0 to 100", policies=_bodies(lambda s, _: {**s, "progress": s["progress"] * 100})),
    mutant("job-no-retry-after", "JOB-09", "an open job does not say when to ask again", policies=_rules(_Impatient)),
    mutant("job-result-and-error", "JOB-10", "a complete job has an error too", policies=_bodies(lambda s, _: {**s, "error": {"code": "NONE"}} if s["status"] == "complete" else s)),
    mutant("job-error-in-own-words", "JOB-11", "a failed job has an error object of its own", policies=_bodies(_own_error)),
    mutant("job-unknown-null", "JOB-12", "an unknown job is null", wrap=_on("/jobs/", 404, _null)),
    mutant("job-of-others-visible", "JOB-13", "a job is open to whoever knows its id", policies=_rules(_AnybodysJobs)),
    mutant("job-of-others-forbidden", "JOB-13", "403 tells that a job exists", policies=_rules(_ForbiddenJobs)),
    mutant("job-cancel-in-words", "JOB-14", "a cancelled job goes on", wrap=_cancel_in_words),
    mutant("job-cancel-after-the-end", "JOB-15", "a complete job can be cancelled", policies=_rules(_ForgivingCancel)),
    mutant("job-cursor-repeats", "JOB-17", "pages overlap", wrap=_cursors(_moved(1))),
    mutant("job-cursor-skips", "JOB-17", "a job is lost between pages", wrap=_cursors(_moved(-1))),
    mutant("job-any-cursor", "JOB-18", "an unknown cursor gives the first page", wrap=_cursors(lambda c: c if read_cursor(c) else None)),
    mutant("job-kept-an-hour", "JOB-19", "a result is kept for an hour", policies=_bodies(_short_retention)),
    mutant("job-expired-null", "JOB-20", "a forgotten job is null", wrap=_on("/jobs/", 410, _null)),
    mutant("job-tag-changes", "JOB-21", "the ETag changes without a change", policies=_rules(_ChangingTag)),
    mutant("job-events-from-the-start", "JOB-22", "Last-Event-ID is ignored", wrap=edit_scope(_from_the_start)),
    mutant("job-events-without-ids", "JOB-22", "changes have no ids", wrap=each_block(_without_id)),
    mutant("job-without-model", "JOB-23", "a job does not name its model", policies=_bodies(_without_model)),
    mutant("job-any-decision", "JOB-24", "a decision about something else is taken", wrap=_on("/action", 409, to_status(200))),
    mutant("job-never-expires", "JOB-25", "a job that missed its deadline is still processing", policies=_bodies(lambda s, _: {**s, "status": "processing"} if s["status"] == "expired" else s)),
    mutant("job-twice-per-key", "IDEM-16", "a repeated submission makes a second job", policies=lambda p: replace(p, idempotency=_TwoJobs(DAY))),
    mutant("preference-silent", "SYNC-04", "a preference is applied without saying so", wrap=_on("/classify", 202, _dropped(b"preference-applied"))),
    mutant("job-behind-its-webhook", "HOOK-11", "the message comes before the change", policies=_rules(_Stale)),
)  # fmt: skip

VARIANTS = (
    variant("job-absolute-location", "Location with scheme and host", wrap=_on("/analyze-document", 202, _absolute)),
    variant("job-progress-late", "progress stays 0 until the end", policies=_bodies(lambda s, _: {**s, "progress": 0} if s["status"] == "processing" else s)),
    variant("job-never-queued", "accepted work is processing at once", policies=_bodies(lambda s, _: {**s, "status": "processing"} if s["status"] == "queued" else s)),
)  # fmt: skip
