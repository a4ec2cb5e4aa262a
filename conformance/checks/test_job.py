"""JOB: a job from its acceptance to its end."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from conformance.checks.job_evidence import (
    FINAL,
    OPEN,
    end,
    member,
    progress,
    retry_after,
    said,
    status,
    traces,
)
from conformance.checks.refusals import brief, decisive, expect_error, expect_refused
from conformance.dialects.model import Dialect
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail

ORDER = {
    "queued": {"processing", "requires_action", *FINAL},
    "processing": {"requires_action", *FINAL},
    "requires_action": {"processing", *FINAL},
}
"""What may be seen after what; a poller may miss what lies between."""


@check("JOB-01")
def test_accepted_work_is_202_with_a_job(job_run: Probed) -> str:
    """202, an id, and queued or processing."""
    reading = decisive(job_run["submitted"])
    expect(reading.status == 202, expected="status 202", seen=brief(reading), at=reading)
    job = reading.facts["job.id"]
    expect(
        isinstance(job.value, str) and job.value,
        expected="the id of the job",
        seen=job.value,
        at=reading,
        where=job.where,
    )
    expect(
        status(reading) in ("queued", "processing"),
        expected="queued or processing",
        seen=said(reading),
        at=reading,
        where=reading.facts["job.status"].where,
    )
    return f"202 {said(reading)}"


@check("JOB-02")
def test_the_location_leads_to_the_job(job_run: Probed) -> str:
    """Location is there, and what it names is the job."""
    submitted = _accepted(job_run)
    location = submitted.header("location")
    expect(location, expected="Location", seen="none", at=submitted, where="header Location")
    followed = job_run.get("located")
    if followed is None:
        raise Inconclusive(f"Location leads out of the target's base URL: {location}")
    expect(
        followed.ok and followed.facts["job.id"].value == submitted.facts["job.id"].value,
        expected=f"the job {submitted.facts['job.id'].value} behind {location}",
        seen=brief(followed) if not followed.ok else followed.facts["job.id"].value,
        at=followed,
    )
    return f"{location} leads to the job"


@check("JOB-03")
def test_operation_location_equals_location(job_run: Probed) -> str:
    """Both headers name the same resource."""
    submitted = _accepted(job_run)
    both = [submitted.header(name) for name in ("location", "operation-location")]
    base = submitted.exchange.sent.url
    here, there = (urlsplit(urljoin(base, value or "")) for value in both)
    expect(
        both[1] and here == there,
        expected=f"Operation-Location: {both[0]}",
        seen=both[1] or "none",
        at=submitted,
        where="header Operation-Location",
    )
    return "Operation-Location equals Location"


@check("JOB-04")
def test_wrong_work_is_refused_at_once(job_refused: Probed) -> str:
    """No job is made of a request without a document, or with one of the wrong type."""
    for role, what in (("no_document", "work without a document"), ("wrong_type", "a number as a document")):
        expect_refused(job_refused[role], what)
    return f"answered {brief(job_refused['no_document'])} and {brief(job_refused['wrong_type'])}"


@check("JOB-05")
def test_every_poll_shows_the_job(job_run: Probed) -> str:
    """200, the id, a status, and progress while processing."""
    submitted = _accepted(job_run)
    polls = [decisive(r) for r in job_run.some("poll")]
    for reading in polls:
        expect(reading.status == 200, expected="status 200", seen=brief(reading), at=reading)
        seen = {name: reading.facts[f"job.{name}"] for name in ("id", "status", "progress")}
        expect(
            seen["id"].value == submitted.facts["job.id"].value,
            expected=f"the id {submitted.facts['job.id'].value}",
            seen=seen["id"].value,
            at=reading,
            where=seen["id"].where,
        )
        expect(seen["status"], expected="a status", seen="none", at=reading, where=seen["status"].where)
        if status(reading) == "processing" and seen["progress"].state != "unsupported":
            expect(
                seen["progress"],
                expected="progress while processing",
                seen="none",
                at=reading,
                where=seen["progress"].where,
            )
    return f"{len(polls)} polls"


@check("JOB-06")
def test_a_job_is_there_as_soon_as_it_is_accepted(job_run: Probed) -> str:
    """The first question after the 202 is not answered 404."""
    _accepted(job_run)
    asked = [r for r in job_run.all() if r.role in ("located", "poll")]
    if not asked:
        raise NotTested("nobody asked for the job")
    first = min(asked, key=lambda r: r.exchange.started_at)
    expect(decisive(first).status != 404, expected="the job", seen=brief(first), at=first)
    return f"shown {first.status} at the first question"


@check("JOB-07")
def test_the_status_only_moves_forward(
    job_run: Probed, job_cancelled: Probed, job_ends: Probed, job_waits: Probed, job_foreign: Probed
) -> str:
    """Known words, in their order, and a final status is final."""
    found = traces(job_run, job_cancelled, job_ends, job_waits, job_foreign)
    for trace in found:
        before: Reading | None = None
        for reading in trace:
            now = status(reading)
            expect(
                now in (*OPEN, *FINAL),
                expected=f"a status of {', '.join((*OPEN, *FINAL))}",
                seen=said(reading),
                at=reading,
                where=reading.facts["job.status"].where,
            )
            if before is not None and _followed(before, reading):
                was = status(before)
                expect(
                    now == was or now in ORDER.get(was, set()),
                    expected=f"{was} or what may follow it",
                    seen=f"{now} after {was} ({before.exchange.id})",
                    at=reading,
                    where=reading.facts["job.status"].where,
                )
            before = reading
    return f"{len(found)} jobs, {sum(map(len, found))} observations"


@check("JOB-08")
def test_progress_never_falls_and_is_1_at_the_end_only(
    job_run: Probed, job_cancelled: Probed, job_ends: Probed, job_waits: Probed
) -> str:
    """Between 0 and 1, not decreasing, 1 if and only if complete."""
    count = 0
    for trace in traces(job_run, job_cancelled, job_ends, job_waits):
        before: Reading | None = None
        for reading in trace:
            fact = progress(reading)
            if not fact:
                continue
            count += 1
            valid = isinstance(fact.value, int | float) and not isinstance(fact.value, bool)
            expect(
                valid and 0 <= fact.value <= 1,
                expected="a number from 0 to 1",
                seen=fact.value,
                at=reading,
                where=fact.where,
            )
            complete = status(reading) == "complete"
            expect(
                (fact.value == 1) == complete,
                expected="progress 1" if complete else "progress below 1",
                seen=f"{fact.value} while {said(reading)}",
                at=reading,
                where=fact.where,
            )
            if before is not None and _followed(before, reading):
                expect(
                    fact.value >= progress(before).value,
                    expected=f"at least {progress(before).value}, as {before.exchange.id} said",
                    seen=fact.value,
                    at=reading,
                    where=fact.where,
                )
            before = reading
    if not count:
        raise NotTested("no job told its progress")
    return f"{count} observations"


@check("JOB-09")
def test_an_open_job_says_when_to_ask_again(job_run: Probed, job_cancelled: Probed) -> str:
    """Retry-After of at least one second on the 202 and on each answer about an open job."""
    found = [r for trace in traces(job_run, job_cancelled) for r in trace if status(r) in OPEN]
    if not found:
        raise Inconclusive("no job was seen open")
    for reading in found:
        expect(
            retry_after(reading),
            expected="Retry-After with whole seconds, at least 1",
            seen=reading.header("retry-after") or "none",
            at=reading,
            where="header Retry-After",
        )
    return f"{len(found)} answers about an open job"


@check("JOB-10")
def test_a_result_or_an_error_and_never_both(job_run: Probed, job_ends: Probed) -> str:
    """complete: result, no error. failed: error, no result."""
    expected = {"complete": ("job.result", "job.error"), "failed": ("job.error", "job.result")}
    judged = [r for trace in traces(job_run, job_ends) for r in trace if status(r) in expected]
    if not judged:
        raise Inconclusive("no job came to be complete or failed")
    for reading in judged:
        there, absent = (reading.facts[name] for name in expected[status(reading)])
        expect(there, expected=f"{there.where} of a {said(reading)} job", seen="none", at=reading, where=there.where)
        expect(
            not absent,
            expected=f"no {absent.where} in a {said(reading)} job",
            seen="there is one",
            at=reading,
            where=absent.where,
        )
    return ", ".join(sorted({said(r) for r in judged}))


@check("JOB-11")
def test_a_failed_job_has_the_error_object_of_the_contract(job_ends: Probed, dialect: Dialect) -> str:
    """code, message and details, as in an HTTP error."""
    if "failing_job" not in dialect.provocations:
        raise NotTested("needs a provocation for 'failing_job', which neither dialect nor target declares")
    last = end(job_ends, "failing_job.poll", "failed")
    error = last.facts["job.error"].value
    fields = {"code": str, "message": str, "details": dict, "type": str, "retryable": bool, "request_id": str}
    for name, kind in fields.items():
        value = error.get(name) if isinstance(error, dict) else None
        expect(
            isinstance(value, kind) and (kind is not str or value),
            expected=f"a {kind.__name__} as {name}",
            seen=value,
            at=last,
            where=f"/error/{name}",
        )
    return f"failed with {error['code']}"


@check("JOB-12")
def test_an_unknown_job_is_not_found(job_refused: Probed) -> str:
    """404 JOB_NOT_FOUND."""
    expect_error(job_refused["unknown"], 404, "JOB_NOT_FOUND")
    return "404 JOB_NOT_FOUND"


@check("JOB-13")
def test_somebody_elses_job_does_not_exist(job_foreign: Probed) -> str:
    """404 to read, cancel and follow it; the owner's job goes on."""
    for role in ("foreign_get", "foreign_cancel", "foreign_events"):
        if role == "foreign_events" and job_foreign.get(role) is None:
            continue
        reading = decisive(job_foreign[role])
        expect(
            reading.status == 404,
            expected="404, as for a job that does not exist",
            seen=brief(reading),
            at=reading,
        )
    owner = decisive(job_foreign["owner"])
    expect(
        owner.ok and status(owner) != "cancelled",
        expected="the owner's job as it was",
        seen=brief(owner) if not owner.ok else said(owner),
        at=owner,
    )
    return "404 to another principal"


@check("JOB-19")
def test_an_ended_job_says_when_and_until_when(job_run: Probed) -> str:
    """completed_at, and expires_at at least 24 hours later."""
    from datetime import datetime, timedelta

    last = end(job_run, "poll", "complete")
    times = {}
    for name in ("completed_at", "expires_at"):
        value = member(last, name)
        try:
            times[name] = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            fail(expected="an RFC 3339 time", seen=value, at=last, where=f"/{name}")
    if any(t.tzinfo is None for t in times.values()):
        fail(expected="times with an offset", seen=member(last, "completed_at"), at=last, where="/completed_at")
    kept = times["expires_at"] - times["completed_at"]
    expect(
        kept >= timedelta(hours=24) - timedelta(seconds=1),
        expected="at least 24 hours after completed_at",
        seen=str(kept),
        at=last,
        where="/expires_at",
    )
    return f"kept for {kept}"


@check("JOB-23")
def test_an_ended_job_has_its_lineage(job_run: Probed) -> str:
    """trace_id, model_version and usage."""
    last = end(job_run, "poll", "complete")
    for name in ("trace_id", "model_version"):
        value = member(last, "metadata", name)
        expect(isinstance(value, str) and value, expected=name, seen=value, at=last, where=f"/metadata/{name}")
    for name in ("input", "output"):
        value = member(last, "metadata", "tokens_used", name)
        expect(
            type(value) is int and value > 0,
            expected=f"the {name} tokens of work that was done",
            seen=value,
            at=last,
            where=f"/metadata/tokens_used/{name}",
        )
    return str(member(last, "metadata", "tokens_used"))


def _accepted(probe: Probed) -> Reading:
    """The answer to the submission, which must have named a job: JOB-01 judges that."""
    reading = decisive(probe["submitted"])
    if not reading.ok or not reading.facts["job.id"]:
        raise Inconclusive(f"no job was accepted ({brief(reading)})")
    return reading


def _followed(before: Reading, after: Reading) -> bool:
    """Whether the one was answered before the other was asked; answers that overlap have no order."""
    return before.exchange.started_at + (before.exchange.t_end or 0.0) <= after.exchange.started_at


