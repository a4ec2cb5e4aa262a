"""JOB: a job from its acceptance to its end."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from conformance.checks.job_evidence import (
    FINAL,
    OPEN,
    progress,
    retry_after,
    said,
    status,
    traces,
)
from conformance.checks.refusals import brief, decisive, expect_error, expect_refused
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

CLOCK_STEP = 0.1
"""Seconds by which our own clock may be set back in between, without making two polls overlap."""

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
def test_every_poll_shows_the_job(
    job_run: Probed, job_cancelled: Probed, job_ends: Probed, job_waits: Probed
) -> str:
    """200, the id, a status, and progress while processing: of this job, or of another, if it was too soon done."""
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
    working = [
        r
        for trace in traces(job_run, job_cancelled, job_ends, job_waits)
        for r in trace
        if r.exchange.operation == "get_job" and status(r) == "processing"
    ]
    for reading in working:
        told = progress(reading)
        expect(
            told or told.state == "unsupported",
            expected="progress while processing",
            seen="none",
            at=reading,
            where=told.where,
        )
    if not working and progress(polls[0]).state != "unsupported":
        raise Inconclusive(f"{len(polls)} polls, and no job was seen processing")
    return f"{len(polls)} polls; {len(working)} answers about a job under way"


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
    job_run: Probed, job_cancelled: Probed, job_ends: Probed, job_waits: Probed
) -> str:
    """Known words, in their order, and a final status is final."""
    found = traces(job_run, job_cancelled, job_ends, job_waits)
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


@check("JOB-12")
def test_an_unknown_job_is_not_found(job_refused: Probed) -> str:
    """404 JOB_NOT_FOUND."""
    expect_error(job_refused["unknown"], 404, "JOB_NOT_FOUND")
    return "404 JOB_NOT_FOUND"


@check("JOB-13")
def test_somebody_elses_job_does_not_exist(job_cancelled: Probed) -> str:
    """404 to read, cancel and follow it; the owner's job goes on."""
    if job_cancelled.get("foreign_get") is None:
        raise NotTested(job_cancelled.record.reason or "needs a second credential: --other-key")
    for role in ("foreign_get", "foreign_cancel", "foreign_events"):
        if role == "foreign_events" and job_cancelled.get(role) is None:
            continue
        reading = decisive(job_cancelled[role])
        expect(
            reading.status == 404,
            expected="404, as for a job that does not exist",
            seen=brief(reading),
            at=reading,
        )
    owner = decisive(job_cancelled.some("before")[-1])
    expect(
        owner.ok and status(owner) != "cancelled",
        expected="the owner's job as it was",
        seen=brief(owner) if not owner.ok else said(owner),
        at=owner,
    )
    return "404 to another principal"


def _accepted(probe: Probed) -> Reading:
    """The answer to the submission, which must have named a job: JOB-01 judges that."""
    reading = decisive(probe["submitted"])
    if not reading.ok or not reading.facts["job.id"]:
        raise Inconclusive(f"no job was accepted ({brief(reading)})")
    return reading


def _followed(before: Reading, after: Reading) -> bool:
    """Whether the one was answered before the other was asked; answers that overlap have no order."""
    ended = before.exchange.started_at + (before.exchange.t_end or 0.0)
    return ended <= after.exchange.started_at + CLOCK_STEP
