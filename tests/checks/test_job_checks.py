"""Each check of jobs passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from building import answer, dialect, gathered
from job_samples import (
    ALL_CHANGES,
    ERROR,
    START,
    accepted,
    cancelled,
    change,
    ended,
    events,
    forgotten,
    list_page,
    listed,
    moves,
    noted,
    preferred,
    refusal,
    refused,
    run,
    shown,
    waits,
)

from conformance.checks import test_job as job_checks
from conformance.checks import test_job_content as content
from conformance.checks import test_job_ends as ends
from conformance.checks import test_job_lists as lists
from conformance.verdict import Inconclusive, NotTested, Violation

CONTRACT = dialect()
FORGOTTEN = refusal("forgotten", 410, "JOB_EXPIRED")
GOOD: dict[str, tuple[Callable[..., str | None], tuple[Any, ...]]] = {
    "JOB-01": (job_checks.test_accepted_work_is_202_with_a_job, (run(),)),
    "JOB-02": (job_checks.test_the_location_leads_to_the_job, (run(),)),
    "JOB-03": (job_checks.test_operation_location_equals_location, (run(),)),
    "JOB-04": (job_checks.test_wrong_work_is_refused_at_once, (refused(),)),
    "JOB-05": (job_checks.test_every_poll_shows_the_job, moves()),
    "JOB-06": (job_checks.test_a_job_is_there_as_soon_as_it_is_accepted, (run(),)),
    "JOB-07": (job_checks.test_the_status_only_moves_forward, moves()),
    "JOB-08": (job_checks.test_progress_never_falls_and_is_1_at_the_end_only, moves()),
    "JOB-09": (job_checks.test_an_open_job_says_when_to_ask_again, (run(), cancelled())),
    "JOB-10": (content.test_a_result_or_an_error_and_never_both, (run(), ended())),
    "JOB-11": (content.test_a_failed_job_has_the_error_object_of_the_contract, (ended(), CONTRACT)),
    "JOB-12": (job_checks.test_an_unknown_job_is_not_found, (refused(),)),
    "JOB-13": (job_checks.test_somebody_elses_job_does_not_exist, (cancelled(),)),
    "JOB-14": (ends.test_an_open_job_can_be_cancelled, (cancelled(),)),
    "JOB-15": (ends.test_cancelling_is_repeatable_and_does_not_undo_another_end, (cancelled(), run())),
    "JOB-16": (ends.test_a_cancelled_job_has_stopped, (cancelled(),)),
    "JOB-17": (lists.test_a_list_loses_and_repeats_nothing, (listed(),)),
    "JOB-18": (lists.test_wrong_limits_and_cursors_are_answered, (listed(),)),
    "JOB-19": (content.test_an_ended_job_says_when_and_until_when, (run(),)),
    "JOB-20": (ends.test_a_forgotten_job_is_said_to_be_expired, (forgotten(FORGOTTEN),)),
    "JOB-21": (ends.test_an_unchanged_job_is_not_sent_again, (run(),)),
    "JOB-22": (ends.test_the_changes_are_streamed_and_can_be_resumed, (run(),)),
    "JOB-23": (content.test_an_ended_job_has_its_lineage, (run(),)),
    "JOB-24": (ends.test_a_waiting_job_goes_on_after_the_right_decision, (waits(),)),
    "JOB-25": (ends.test_a_job_that_misses_its_deadline_expires, (ended(), CONTRACT)),
    "SYNC-04": (lists.test_a_preference_for_a_job_is_acknowledged, (preferred(),)),
    "IDEM-16": (lists.test_work_submitted_twice_with_one_key_is_one_job, (run(),)),
}
BAD: dict[str, tuple[str, tuple[Any, ...]]] = {
    "200 for accepted work": ("JOB-01", (run(submitted=accepted(status=200)),)),
    "no id": ("JOB-01", (run(submitted=accepted(body={"job_id": ...})),)),
    "accepted and complete": ("JOB-01", (run(submitted=accepted(body={"status": "complete"})),)),
    "no Location": ("JOB-02", (run(submitted=accepted(headers={"Location": ""})),)),
    "Location of another job": ("JOB-02", (run(located=shown("located", "queued", 0, job_id="job_9")),)),
    "Location leads nowhere": ("JOB-02", (run(located=refusal("located", 404, "NOT_FOUND")),)),
    "no Operation-Location": ("JOB-03", (run(submitted=accepted(headers={"Operation-Location": ""})),)),
    "two locations": ("JOB-03", (run(submitted=accepted(headers={"Operation-Location": "/op/1"})),)),
    "wrong work accepted": ("JOB-04", (refused(wrong_type=accepted("wrong_type")),)),
    "poll 404": ("JOB-05", moves(job_run=run(poll__1=refusal("poll", 404, "JOB_NOT_FOUND")))),
    "poll of another job": (
        "JOB-05",
        moves(job_run=run(poll__1=shown("poll", "processing", 0.2, job_id="job_9"))),
    ),
    "no progress": (
        "JOB-05",
        moves(job_run=run(poll__1=shown("poll", "processing", body={"progress": ...}))),
    ),
    "no status": ("JOB-05", moves(job_run=run(poll__1=shown("poll", "processing", body={"status": ...})))),
    "lost": ("JOB-06", (run(located=refusal("located", 404, "JOB_NOT_FOUND")),)),
    "unknown word": (
        "JOB-07",
        moves(job_run=run(poll__1=shown("poll", "running", 0.2))),
    ),
    "backwards": (
        "JOB-07",
        moves(job_waits=waits(poll__3=shown("poll", "processing", 0.4))),
    ),
    "another end": (
        "JOB-07",
        moves(job_cancelled=cancelled(later=shown("later", "complete"))),
    ),
    "progress falls": ("JOB-08", moves(job_run=run(poll__2=shown("poll", "processing", 0.1)))),
    "percent": ("JOB-08", moves(job_run=run(poll__2=shown("poll", "processing", 60)))),
    "1 too early": ("JOB-08", moves(job_run=run(poll__2=shown("poll", "processing", 1)))),
    "complete at 0.9": ("JOB-08", moves(job_run=run(poll__3=shown("poll", "complete", 0.9)))),
    "progress true": ("JOB-08", moves(job_run=run(poll__2=shown("poll", "processing", True)))),
    "no Retry-After on the 202": (
        "JOB-09",
        (run(submitted=accepted(headers={"Retry-After": ""})), cancelled()),
    ),
    "Retry-After: 0": (
        "JOB-09",
        (run(poll__1=shown("poll", "processing", 0.2, headers={"Retry-After": "0"})), cancelled()),
    ),
    "no result": ("JOB-10", (run(poll__3=shown("poll", "complete", body={"result": ...})), ended())),
    "both": ("JOB-10", (run(poll__3=shown("poll", "complete", body={"error": ERROR})), ended())),
    "failed without error": (
        "JOB-10",
        (run(), ended(failed=shown("failing_job.poll", "failed", 0.3, body={"error": ...}))),
    ),
    "error in own words": (
        "JOB-11",
        (ended(failed=shown("failing_job.poll", "failed", 0.3, body={"error": {"code": "x"}})), CONTRACT),
    ),
    "unknown is 200": ("JOB-12", (refused(unknown=answer(b"null", role="unknown")),)),
    "unknown with another code": ("JOB-12", (refused(unknown=refusal("unknown", 404, "GONE")),)),
    "visible": ("JOB-13", (cancelled(foreign_get=shown("foreign_get", "processing")),)),
    "forbidden": (
        "JOB-13",
        (cancelled(foreign_cancel=refusal("foreign_cancel", 403, "INSUFFICIENT_SCOPE")),),
    ),
    "cancelled by another": ("JOB-13", (cancelled(before=shown("before", "cancelled")),)),
    "not cancellable": ("JOB-14", (cancelled(cancel=refusal("cancel", 409, "CONFLICT", "cancel_job")),)),
    "goes on": ("JOB-14", (cancelled(after=shown("after", "processing", 0.4)),)),
    "goes on beyond the declared time": (
        "JOB-14",
        (noted(cancelled(after=shown("after", "processing", 0.4)), cancel_seconds=1.0),),
    ),
    "no progress in another job": (
        "JOB-05",
        moves(
            job_run=run(poll__1=None, poll__2=None),
            job_cancelled=cancelled(before=shown("before", "processing", body={"progress": ...})),
        ),
    ),
    "second cancel fails": (
        "JOB-15",
        (cancelled(cancel_again=refusal("cancel_again", 500, "INTERNAL")), run()),
    ),
    "complete is cancelled": ("JOB-15", (cancelled(), run(cancel_ended=shown("cancel_ended", "cancelled")))),
    "resurrected": ("JOB-16", (cancelled(later=shown("later", "complete")),)),
    "usage grows": (
        "JOB-16",
        (cancelled(later=shown("later", "cancelled", body={"metadata": {"tokens_used": {"total": 99}}})),),
    ),
    "repeated": ("JOB-17", (listed(page__2=list_page("page", [3, 2, 1][:2], None)),)),
    "lost in the list": ("JOB-17", (listed(page__2=list_page("page", [1], None)),)),
    "oldest first": (
        "JOB-17",
        (listed(page__1=list_page("page", [1, 2], "a"), page__2=list_page("page", [3, 5], None)),),
    ),
    "page too long": ("JOB-17", (listed(page__1=list_page("page", [5, 3, 2], "a")),)),
    "cursor at the end": ("JOB-17", (listed(end=list_page("end", [5, 3, 2, 1], "b")),)),
    "filter ignored": ("JOB-17", (listed(filtered=list_page("filtered", [3], None, word="queued")),)),
    "limit crashes": ("JOB-18", (listed(limit=refusal("limit_too_large", 500, "INTERNAL")),)),
    "any cursor": ("JOB-18", (listed(cursor=list_page("cursor_unknown", [5, 3], "a")),)),
    "kept an hour": (
        "JOB-19",
        (run(poll__3=shown("poll", "complete", body={"expires_at": "2026-11-24T11:00:05Z"})),),
    ),
    "no time of its end": ("JOB-19", (run(poll__3=shown("poll", "complete", body={"completed_at": None})),)),
    "times without offset": (
        "JOB-19",
        (run(poll__3=shown("poll", "complete", body={"expires_at": "2026-12-24T11:00:05"})),),
    ),
    "forgotten is 200": ("JOB-20", (forgotten(answer(b"null", role="forgotten")),)),
    "forgotten is unknown": ("JOB-20", (forgotten(refusal("forgotten", 404, "JOB_NOT_FOUND")),)),
    "no ETag": ("JOB-21", (run(poll__3=shown("poll", "complete", headers={"ETag": ""})),)),
    "sent again": ("JOB-21", (run(unchanged=shown("unchanged", "complete")),)),
    "no event stream": ("JOB-22", (run(events=refusal("events", 404, "NOT_FOUND")),)),
    "changes without ids": (
        "JOB-22",
        (
            run(
                events=events(
                    "events",
                    *(
                        change(n, s, numbered=False)
                        for n, s in ((1, "queued"), (2, "processing"), (3, "complete"))
                    ),
                ),
                resumed=None,
            ),
        ),
    ),
    "resumed from the start": ("JOB-22", (run(resumed=events("resumed", *ALL_CHANGES)),)),
    "end is missing": ("JOB-22", (run(events=events("events", *ALL_CHANGES[:3])),)),
    "no model": (
        "JOB-23",
        (run(poll__3=shown("poll", "complete", body={"metadata": {"trace_id": "a"}})),),
    ),
    "no usage": (
        "JOB-23",
        (
            run(
                poll__3=shown(
                    "poll",
                    "complete",
                    body={
                        "metadata": {
                            "trace_id": "a",
                            "model_version": "m",
                            "tokens_used": {"input": 0, "output": 0},
                        }
                    },
                )
            ),
        ),
    ),
    "any decision": ("JOB-24", (waits(wrong=shown("wrong", "processing", operation="job_action")),)),
    "no decision": ("JOB-24", (waits(approved=refusal("approved", 409, "JOB_NOT_WAITING", "job_action")),)),
    "waits for ever": ("JOB-24", (waits(poll__2=shown("poll", "requires_action", 0.2)),)),
    "waits for nothing": (
        "JOB-24",
        (waits(poll__1=shown("poll", "requires_action", body={"required_action": ...})),),
    ),
    "never expires": (
        "JOB-25",
        (ended(expired=shown("job_misses_deadline.poll", "processing", 0)), CONTRACT),
    ),
    "silent preference": ("SYNC-04", (preferred(preferred=accepted("preferred")),)),
    "two jobs": ("IDEM-16", (run(resubmitted=accepted("resubmitted", body={"job_id": "job_2"})),)),
    "second submission refused": ("IDEM-16", (run(resubmitted=refusal("resubmitted", 500, "INTERNAL")),)),
}
UNDECIDED: dict[str, tuple[str, tuple[Any, ...], type[Exception]]] = {
    "limited": ("JOB-01", (run(submitted=refusal("submitted", 429, "RATE_LIMITED")),), Inconclusive),
    "not run": ("JOB-01", (gathered("job_run", outcome="skipped", reason="no operation"),), NotTested),
    "Location elsewhere": ("JOB-02", (run(located=None),), Inconclusive),
    "ended before it was cancelled": (
        "JOB-14",
        (cancelled(before=shown("before", "complete")),),
        Inconclusive,
    ),
    "ended while it was to be cancelled": (
        "JOB-14",
        (
            cancelled(
                cancel=refusal("cancel", 409, "JOB_NOT_CANCELLABLE", "cancel_job"),
                after=shown("after", "complete"),
            ),
        ),
        Inconclusive,
    ),
    "not cancelled, so not cancelled again": (
        "JOB-15",
        (
            cancelled(
                cancel=refusal("cancel", 409, "JOB_NOT_CANCELLABLE", "cancel_job"),
                cancel_again=refusal("cancel_again", 409, "JOB_NOT_CANCELLABLE", "cancel_job"),
            ),
            run(),
        ),
        Inconclusive,
    ),
    "not complete in time": ("JOB-19", (run(poll__3=shown("poll", "processing", 0.9)),), Inconclusive),
    "many other jobs": (
        "JOB-17",
        (listed(page__2=list_page("page", [2], "b")),),
        Inconclusive,
    ),
    "never waited": ("JOB-24", (waits(poll__1=None),), Inconclusive),
    "still at work": ("JOB-24", (waits(poll__2=shown("poll", "processing", 0.2)),), Inconclusive),
    "nothing failed": (
        "JOB-11",
        (ended(failed=shown("failing_job.poll", "processing", 0.3)), CONTRACT),
        Inconclusive,
    ),
    "no job seen working": (
        "JOB-05",
        (
            run(poll__1=None, poll__2=None),
            cancelled(before=None),
            *(gathered(n, outcome="skipped", reason="no") for n in "ab"),
        ),
        Inconclusive,
    ),
    "cancelled later than it was looked at": (
        "JOB-14",
        (noted(cancelled(after=shown("after", "processing", 0.4)), cancel_seconds=30.0),),
        Inconclusive,
    ),
    "not ended, so not forgotten": ("JOB-20", (forgotten(shown("forgotten", "queued")),), Inconclusive),
    "no job seen": ("JOB-07", tuple(gathered(n, outcome="skipped", reason="no") for n in "abcd"), NotTested),
}


@pytest.mark.parametrize("requirement", GOOD)
def test_an_honest_server_passes(requirement: str) -> None:
    check, arguments = GOOD[requirement]
    assert check.requirement == requirement  # type: ignore[attr-defined]
    check(*arguments)


@pytest.mark.parametrize("defect", BAD)
def test_a_defect_fails(defect: str) -> None:
    requirement, arguments = BAD[defect]
    with pytest.raises(Violation):
        GOOD[requirement][0](*arguments)


@pytest.mark.parametrize("case", UNDECIDED)
def test_what_evidence_cannot_decide_is_not_a_verdict(case: str) -> None:
    requirement, arguments, signal = UNDECIDED[case]
    with pytest.raises(signal):
        GOOD[requirement][0](*arguments)


def test_every_check_has_a_defect_that_it_fails_on() -> None:
    assert {requirement for requirement, _ in BAD.values()} == set(GOOD)


def test_observations_that_overlap_have_no_order() -> None:
    late = shown("poll", "processing", 0.2, started_at=START - 1, t_end=1_000_000.0)
    job_checks.test_the_status_only_moves_forward(*moves(job_run=run(poll__1=late)))


def test_a_short_page_need_not_be_the_last() -> None:
    check, end = lists.test_a_list_loses_and_repeats_nothing, list_page("end", [5, 3, 2], "b")
    assert check(listed(end=end, beyond=list_page("beyond", [1], None)))
    with pytest.raises(Violation, match="nothing follows"):
        check(listed(end=end, beyond=list_page("beyond", [], None)))


def test_an_answer_at_once_is_no_defect() -> None:
    at_once = answer({"category": "billing", "confidence": 0.9}, role="preferred", operation="classify")
    assert (
        lists.test_a_preference_for_a_job_is_acknowledged(preferred(preferred=at_once)) == "answered at once"
    )


def test_a_limit_may_be_cut_instead_of_refused() -> None:
    cut = list_page("limit_too_large", [5, 3], "a")
    lists.test_wrong_limits_and_cursors_are_answered(listed(limit=cut))
