"""JOB: jobs that are cancelled, wait, expire or are forgotten; and what saves a poller work."""

from __future__ import annotations

import json
from typing import Any

from conformance.checks.job_evidence import FINAL, OPEN, end, member, said, status
from conformance.checks.refusals import brief, decisive, expect_error
from conformance.dialects.model import Dialect
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect


@check("JOB-14")
def test_an_open_job_can_be_cancelled(job_cancelled: Probed) -> str:
    """200 or 202, and soon afterwards the job is cancelled."""
    before = job_cancelled.some("before")[-1]
    if status(before) in FINAL:
        raise Inconclusive(f"the job was {said(before)} before it could be cancelled")
    answer = decisive(job_cancelled["cancel"])
    ended = job_cancelled.get("after")
    if (
        answer.status == 409
        and ended is not None
        and ended.ok
        and status(ended) in ("complete", "failed", "expired")
    ):
        raise Inconclusive(
            f"the job was {said(ended)} by then, and may have been before it was to be cancelled"
        )
    expect(
        answer.status in (200, 202),
        expected=f"200 or 202 for a job that is {said(before)}",
        seen=brief(answer),
        at=answer,
    )
    after, within = decisive(job_cancelled["after"]), job_cancelled.notes.get("cancel_seconds", 0)
    if after.ok and status(after) in OPEN and _since(answer, after) < within:
        raise Inconclusive(
            f"still {said(after)} at the last look, before the declared {within:g} s were over"
        )
    expect(
        after.ok and status(after) == "cancelled",
        expected=f"cancelled {_since(answer, after):.1f} s later",
        seen=said(after) if after.ok else brief(after),
        at=after,
        where="/status",
    )
    return f"{said(before)}, then cancelled"


@check("JOB-15")
def test_cancelling_is_repeatable_and_does_not_undo_another_end(
    job_cancelled: Probed, job_run: Probed
) -> str:
    """A cancelled job again: 2xx. A complete one: 409 JOB_NOT_CANCELLABLE."""
    if not job_cancelled["cancel"].ok:
        raise Inconclusive("the job was not cancelled, see JOB-14")
    again = decisive(job_cancelled["cancel_again"])
    expect(again.ok, expected="2xx for a job that is cancelled already", seen=brief(again), at=again)
    end(job_run, "poll", "complete")
    expect_error(job_run["cancel_ended"], 409, "JOB_NOT_CANCELLABLE")
    return "2xx when cancelled, 409 when complete"


@check("JOB-16")
def test_a_cancelled_job_has_stopped(job_cancelled: Probed) -> str:
    """Still cancelled two seconds later, and nothing more was used."""
    after, later = decisive(job_cancelled["after"]), decisive(job_cancelled["later"])
    if not after.ok or status(after) != "cancelled":
        raise Inconclusive("the job was not cancelled, see JOB-14")
    expect(
        later.ok and status(later) == "cancelled",
        expected="cancelled, as before",
        seen=said(later) if later.ok else brief(later),
        at=later,
        where="/status",
    )
    before, now = (member(r, "metadata", "tokens_used", "total") for r in (after, later))
    expect(
        before == now,
        expected=f"{before} tokens, as when it was cancelled",
        seen=now,
        at=later,
        where="/metadata/tokens_used/total",
    )
    return f"cancelled, {now} tokens used"


@check("JOB-20")
def test_a_forgotten_job_is_said_to_be_expired(job_forgotten: Probed) -> str:
    """410 or 404 with JOB_EXPIRED."""
    reading = decisive(job_forgotten["forgotten"])
    if reading.ok and status(reading) in OPEN:
        raise Inconclusive(f"the job is still {said(reading)}: only an ended one is forgotten")
    expect(reading.status in (404, 410), expected="410 or 404", seen=brief(reading), at=reading)
    expect(
        reading.error.code == "JOB_EXPIRED",
        expected="JOB_EXPIRED",
        seen=reading.error.raw_code.value,
        at=reading,
        where="/error/code",
    )
    return f"{reading.status} JOB_EXPIRED"


@check("JOB-21")
def test_an_unchanged_job_is_not_sent_again(job_run: Probed) -> str:
    """ETag, and 304 for If-None-Match."""
    last = end(job_run, "poll", "complete")
    tag = last.header("etag")
    expect(tag, expected="ETag", seen="none", at=last, where="header ETag")
    again = decisive(job_run["unchanged"])
    expect(again.status == 304, expected="304", seen=brief(again), at=again)
    expect(not again.exchange.raw, expected="no body", seen=f"{len(again.exchange.raw)} bytes", at=again)
    return f"304 for {tag}"


@check("JOB-22")
def test_the_changes_are_streamed_and_can_be_resumed(job_run: Probed) -> str:
    """Every change with an id, the end at the end; and from Last-Event-ID on only what came after it."""
    last = end(job_run, "poll", "complete")
    stream = decisive(job_run["events"])
    expect(stream.ok and stream.exchange.is_sse, expected="an event stream", seen=brief(stream), at=stream)
    changes = _changes(stream)
    expect(changes, expected="the changes of the job", seen="none", at=stream)
    ids = [i for i, _ in changes]
    expect(
        all(ids) and len(set(ids)) == len(ids),
        expected="an id of its own on every change",
        seen=ids,
        at=stream,
    )
    states = [str(data.get("status")) for _, data in changes]
    expect(
        states[-1] == member(last, "status"),
        expected=f"the end of the job, {member(last, 'status')}, as the last change",
        seen=states[-1],
        at=stream,
    )
    if len(changes) < 3:
        raise Inconclusive("the job had too few changes to go on from one of them")
    resumed = decisive(job_run["resumed"])
    again = [i for i, _ in _changes(resumed)]
    expect(
        again == ids[2:],
        expected=f"the changes after {ids[1]}: {', '.join(map(str, ids[2:]))}",
        seen=", ".join(map(str, again)) or "none",
        at=resumed,
    )
    return f"{len(changes)} changes, {len(again)} of them again after {ids[1]}"


@check("JOB-24")
def test_a_waiting_job_goes_on_after_the_right_decision(job_waits: Probed) -> str:
    """required_action has an id; a wrong one is 409; the right one lets the job end."""
    asked = next((r for r in job_waits.some("poll") if status(r) == "requires_action"), None)
    if asked is None:
        raise Inconclusive("the job did not come to wait")
    action = member(asked, "required_action", "id")
    expect(
        isinstance(action, str) and action,
        expected="the id of what is waited for",
        seen=action,
        at=asked,
        where="/required_action/id",
    )
    expect_error(job_waits["wrong"], 409, "JOB_NOT_WAITING")
    approved = decisive(job_waits["approved"])
    expect(approved.ok, expected="2xx for the right decision", seen=brief(approved), at=approved)
    last = job_waits.some("poll")[-1]
    if status(last) in ("queued", "processing"):
        raise Inconclusive(f"the job goes on, and is {status(last)} at the last look at it")
    expect(
        status(last) == "complete",
        expected="complete after the approval",
        seen=said(last),
        at=last,
        where="/status",
    )
    return "waited, refused a wrong decision, and went on after the right one"


@check("JOB-25")
def test_a_job_that_misses_its_deadline_expires(job_ends: Probed, dialect: Dialect) -> str:
    """expired, with completed_at."""
    if "job_misses_deadline" not in dialect.provocations:
        raise NotTested(
            "needs a provocation for 'job_misses_deadline', which neither dialect nor target declares"
        )
    last = job_ends.some("job_misses_deadline.poll")[-1]
    expect(
        last.ok and status(last) == "expired",
        expected="expired",
        seen=said(last) if last.ok else brief(last),
        at=last,
        where="/status",
    )
    return "expired"


def _since(before: Reading, after: Reading) -> float:
    """Seconds from the answer to the one until the other was asked for."""
    return after.exchange.started_at - before.exchange.started_at - (before.exchange.t_end or 0.0)


def _changes(reading: Reading) -> list[tuple[str | None, dict[str, Any]]]:
    """Id and data of each event that is a change."""
    found: list[tuple[str | None, dict[str, Any]]] = []
    for event in reading.exchange.sse.events:
        try:
            data = json.loads(event.data)
        except ValueError:
            continue
        if isinstance(data, dict) and "status" in data:
            found.append((event.id, data))
    return found
