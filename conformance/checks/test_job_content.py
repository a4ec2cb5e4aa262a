"""JOB: what an ended job carries."""

from __future__ import annotations

from datetime import datetime, timedelta

from conformance.checks.job_evidence import end, member, said, status, traces
from conformance.dialects.model import Dialect
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail


@check("JOB-10")
def test_a_result_or_an_error_and_never_both(job_run: Probed, job_ends: Probed) -> str:
    """complete: result, no error. failed: error, no result."""
    expected = {"complete": ("job.result", "job.error"), "failed": ("job.error", "job.result")}
    judged = [r for trace in traces(job_run, job_ends) for r in trace if status(r) in expected]
    if not judged:
        raise Inconclusive("no job came to be complete or failed")
    for reading in judged:
        there, absent = (reading.facts[name] for name in expected[status(reading)])
        expect(
            there,
            expected=f"{there.where} of a {said(reading)} job",
            seen="none",
            at=reading,
            where=there.where,
        )
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


@check("JOB-19")
def test_an_ended_job_says_when_and_until_when(job_run: Probed) -> str:
    """completed_at, and expires_at at least 24 hours later."""
    last = end(job_run, "poll", "complete")
    times = {}
    for name in ("completed_at", "expires_at"):
        value = member(last, name)
        try:
            times[name] = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            fail(expected="an RFC 3339 time", seen=value, at=last, where=f"/{name}")
    if any(t.tzinfo is None for t in times.values()):
        fail(
            expected="times with an offset", seen=member(last, "completed_at"), at=last, where="/completed_at"
        )
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
        expect(
            isinstance(value, str) and value, expected=name, seen=value, at=last, where=f"/metadata/{name}"
        )
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
