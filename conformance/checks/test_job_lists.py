"""JOB, SYNC, IDEM: lists of jobs, jobs by preference, and jobs submitted twice."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from conformance.checks.job_evidence import member
from conformance.checks.refusals import brief, decisive
from conformance.checks.sameness import answered
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect

CLOCK_STEP = 0.5
"""Seconds by which a server's clock may have been set back between two jobs."""


@check("JOB-17")
def test_a_list_loses_and_repeats_nothing(job_list: Probed) -> str:
    """Each posted job once, newest first, null at the end, and a filter that filters."""
    posted = [str(r.facts["job.id"].value) for r in job_list.some("posted") if r.ok]
    pages = [answered(r) for r in job_list.some("page")]
    seen = [job for page in pages for job in _jobs(page)]
    ids = [str(job.get("job_id")) for job in seen]
    for page in pages:
        expect(
            len(_jobs(page)) <= page.exchange.params.get("limit", 2),
            expected=f"at most {page.exchange.params.get('limit', 2)} jobs, the limit",
            seen=len(_jobs(page)),
            at=page,
            where="/data",
        )
    twice = sorted({i for i in ids if ids.count(i) > 1})
    expect(not twice, expected="each job once", seen=f"{twice[:2]} again", at=pages[-1], where="/data")
    for newer, older in itertools.pairwise(seen):
        expect(
            _time(newer) >= _time(older) - CLOCK_STEP,
            expected="newest first",
            seen=f"{newer.get('created_at')} before {older.get('created_at')}",
            at=pages[0],
            where="/data",
        )
    missing = [job for job in posted if job not in ids]
    if missing and pages[-1].body.get("next_cursor") is not None:
        raise Inconclusive(
            f"{len(missing)} of {len(posted)} jobs lie further back than the pages that were read"
        )
    expect(
        not missing, expected=f"all of {len(posted)} posted jobs", seen=f"without {missing[:2]}", at=pages[-1]
    )
    # A page may be short without being the last (AIP-158); the last is the one that nothing follows.
    whole, beyond = job_list["end"], job_list.get("beyond")
    if whole.ok and len(_jobs(whole)) < 100 and (beyond is None or (beyond.ok and not _jobs(beyond))):
        expect(
            isinstance(whole.body, dict) and whole.body.get("next_cursor", "") is None,
            expected="next_cursor null, since nothing follows",
            seen=member(whole, "next_cursor"),
            at=whole,
            where="/next_cursor",
        )
    filtered = answered(job_list["filtered"])
    others = [job.get("status") for job in _jobs(filtered) if job.get("status") != "complete"]
    expect(not others, expected="complete jobs only", seen=others[:3], at=filtered, where="/data")
    return f"{len(posted)} jobs among {len(ids)} in {len(pages)} pages"


@check("JOB-18")
def test_wrong_limits_and_cursors_are_answered(job_list: Probed) -> str:
    """A limit beyond the maximum: cut, or 400. A cursor nobody gave: 400."""
    large = decisive(job_list["limit_too_large"])
    expect(
        large.status == 400 or (large.ok and len(_jobs(large)) <= 1000),
        expected="400, or a page of a sensible size",
        seen=brief(large),
        at=large,
    )
    cursor = decisive(job_list["cursor_unknown"])
    expect(cursor.status == 400, expected="400 for an unknown cursor", seen=brief(cursor), at=cursor)
    return f"limit {large.status}, cursor {cursor.status}"


@check("SYNC-04")
def test_a_preference_for_a_job_is_acknowledged(respond_async: Probed) -> str:
    """202 with Preference-Applied and a job, or an answer at once."""
    reading = decisive(respond_async["preferred"])
    if reading.status == 200:
        return "answered at once"
    expect(reading.status == 202, expected="200, or 202 with a job", seen=brief(reading), at=reading)
    applied = (reading.header("preference-applied") or "").lower()
    expect(
        "respond-async" in applied,
        expected="Preference-Applied: respond-async",
        seen=applied or "none",
        at=reading,
        where="header Preference-Applied",
    )
    last = respond_async.some("poll")[-1]
    expect(last.ok, expected="the job", seen=brief(last), at=last)
    return f"202, then {member(last, 'status')}"


@check("IDEM-16")
def test_work_submitted_twice_with_one_key_is_one_job(job_run: Probed) -> str:
    """The repetition is answered with the job of the first."""
    first, again = answered(job_run["submitted"]), decisive(job_run["resubmitted"])
    expect(
        again.ok and again.facts["job.id"].value == first.facts["job.id"].value,
        expected=f"the job {first.facts['job.id'].value}",
        seen=again.facts["job.id"].value if again.ok else brief(again),
        at=again,
        where="/job_id",
    )
    return f"{first.facts['job.id'].value} both times"


def _jobs(page: Reading) -> list[dict[str, Any]]:
    data = page.body.get("data") if isinstance(page.body, dict) else None
    return [job for job in data if isinstance(job, dict)] if isinstance(data, list) else []


def _time(job: dict[str, Any]) -> float:
    """When a job was accepted, in Unix time."""
    value = job.get("created_at")
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise Inconclusive(f"created_at {value!r} is no time: see CON-21") from None
