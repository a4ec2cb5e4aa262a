"""Jobs: one followed from its acceptance to its end, and those that end otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

from conformance.probes.shaping import path_of
from conformance.reading import Reading, member_of
from conformance.registry import probe
from conformance.replicas import below
from conformance.session import ProbeSkipped, Session

DOCUMENT = """# Invoice
I was charged twice for one invoice. Please refund the second payment.

# Login
My password does not work any more and my account is locked.

# Delivery
The parcel has not arrived, and the tracking page shows an old address.

# Thanks
That is all for today.
"""
OPEN = ("queued", "processing", "requires_action")
UNKNOWN_JOB = "job_00000000000000000000000000000000"
JOBS = ("submit_job", "get_job")

SOON = 0.3
"""Seconds before the first poll of a job that does not take long."""

INTERVAL = 0.2
LONGEST_INTERVAL = 2.0
"""Seconds between two polls: what Retry-After asks, within these bounds."""

POLLS = 14
ENDINGS = ("failing_job", "job_misses_deadline")
ENDING = tuple(f"submit_job:{name}" for name in ENDINGS)
FORGOTTEN_AFTER = 1.5
"""Seconds after which a job that is kept for a moment should be gone."""

LOOKS = 5
"""At a job that ought to have ended soon."""

USUAL_CANCEL = 2.0
LONGEST_CANCEL = 5.0
"""Seconds that the probe waits for a cancelled job to stop, where the target declares that it may take so long."""


@probe(calls=POLLS + 7, operations=JOBS, tokens=300)
async def job_run(session: Session) -> None:
    """A job submitted, looked at, followed by its events or by polling, and asked about after its end."""
    key, slow = f"aiconform-{uuid4().hex}", session.dialect.provocations.get("slow_job", {})
    wanted: dict[str, Any] = {"document": DOCUMENT, "idempotency_key": key, **slow}
    submitted = await session.call("submit_job", "submitted", **wanted)
    job = _job_id(submitted)
    path = located_path(session, submitted, job)
    if path is not None:
        await session.raw("GET", path, "located")
    has_events = "job_events" in session.dialect.operations
    events = await session.call("job_events", "events", job_id=job) if has_events else None
    last = await _poll(session, job, "poll", lambda status: status not in OPEN, POLLS)
    await session.call("submit_job", "resubmitted", **wanted)
    tag = last.header("etag")
    if tag:
        await session.call("get_job", "unchanged", job_id=job, headers={"If-None-Match": tag})
    seen = [] if events is None else [e.id for e in events.exchange.sse.events if e.id]
    if len(seen) > 2:
        session.notes["resumed_after"] = seen[1]
        await session.call("job_events", "resumed", job_id=job, headers={"Last-Event-ID": seen[1]})
    if "cancel_job" in session.dialect.operations:
        await session.call("cancel_job", "cancel_ended", job_id=job)


@probe(calls=13 + LOOKS, operations=(*JOBS, "cancel_job"), tokens=200, shares=("capabilities",))
async def job_cancelled(session: Session) -> None:
    """A long job, first in the hands of another principal; then cancelled while it runs, twice; and looked at again
    once it could have gone on."""
    endless = session.dialect.provocations.get("endless_job", {})
    if not session.has_key("other"):
        session.need_provocation("endless_job")
    job = _job_id(await session.call("submit_job", "submitted", document=DOCUMENT, **endless))
    if session.has_key("other"):
        await session.call("get_job", "foreign_get", principal="other", job_id=job)
        await session.call("cancel_job", "foreign_cancel", principal="other", job_id=job)
        if "job_events" in session.dialect.operations:
            await session.call("job_events", "foreign_events", principal="other", job_id=job)
    await _poll(session, job, "before", lambda status: status != "queued", 4)
    if not endless:
        await session.call("cancel_job", "owner_cancel", job_id=job)
        session.need_provocation("endless_job")
    await session.call("cancel_job", "cancel", job_id=job)
    await session.call("cancel_job", "cancel_again", job_id=job)
    declared = session.notes["cancel_seconds"] = await _cancel_seconds(session)
    within = min(max(declared, 1.0), LONGEST_CANCEL)
    for _ in range(LOOKS):
        after = await session.call("get_job", "after", job_id=job)
        if not after.ok or after.facts["job.status"].value not in OPEN:
            break
        await asyncio.sleep(within / (LOOKS - 2))
    if after.ok:
        await asyncio.sleep(2)
        await session.call("get_job", "later", job_id=job)


@probe(calls=2 * POLLS, operations=JOBS, tokens=200, shares=ENDING)
async def job_ends(session: Session) -> None:
    """A job that fails, and one that misses its deadline."""
    names = [n for n in ENDINGS if n in session.dialect.provocations]
    if not names:
        session.need_provocation("failing_job")

    async def one(name: str) -> None:
        provoked = session.dialect.provocations[name]
        submitted = await session.shared("submit_job", f"{name}.submitted", document=DOCUMENT, **provoked)
        await asyncio.sleep(SOON)
        await _poll(session, _job_id(submitted), f"{name}.poll", lambda status: status not in OPEN, POLLS)

    await asyncio.gather(*(one(name) for name in names))


@probe(calls=15, operations=(*JOBS, "job_action"), tokens=200)
async def job_waits(session: Session) -> None:
    """A job that waits for an approval: a wrong one, then the right one, then to its end."""
    waiting = session.need_provocation("job_needs_approval")
    job = _job_id(await session.call("submit_job", "submitted", document=DOCUMENT, **waiting))
    await asyncio.sleep(SOON)
    last = await _poll(session, job, "poll", lambda s: s not in ("queued", "processing"), 3)
    action = last.body.get("required_action") if isinstance(last.body, dict) else None
    known = action.get("id") if isinstance(action, dict) else None
    if not isinstance(known, str):
        raise ProbeSkipped("the job did not come to wait for an action with an id")
    await session.call("job_action", "wrong", job_id=job, action_id="act_none", decision="approve")
    await session.call("job_action", "approved", job_id=job, action_id=known, decision="approve")
    await asyncio.sleep(SOON)
    await _poll(session, job, "poll", lambda status: status not in OPEN, 8)


@probe(calls=1 + LOOKS, operations=JOBS, tokens=100)
async def job_forgotten(session: Session) -> None:
    """A job whose result is kept for a moment only, asked for when it should be forgotten, and, as long as it is shown,
    again a second after its end was seen."""
    brief = session.need_provocation("job_soon_forgotten")
    job = _job_id(await session.call("submit_job", "submitted", document=DOCUMENT, **brief))
    await asyncio.sleep(FORGOTTEN_AFTER)
    ended = False
    for _ in range(LOOKS):
        reading = await session.call("get_job", "forgotten", job_id=job)
        if ended or not reading.ok:
            return
        ended = reading.facts["job.status"].value not in OPEN
        await asyncio.sleep(1)


@probe(calls=3, operations=JOBS, tokens=0)
async def job_refused(session: Session) -> None:
    """Work that cannot be begun, and a job that nobody posted."""
    await session.call("submit_job", "no_document")
    await session.call("submit_job", "wrong_type", document=7)
    await session.call("get_job", "unknown", job_id=UNKNOWN_JOB)


LISTED = 2
PAGES = 8


@probe(calls=PAGES + 5, operations=("submit_job", "list_jobs"), tokens=100, shares=ENDING)
async def job_list(session: Session) -> None:
    """Two jobs, those of ``job_ends`` where they can be had, listed in pages until both are found; a filter; and a
    limit and a cursor that are wrong.

    A page holds half of what there is, so that there are two, or three where others post meanwhile.
    """
    declared = [session.dialect.provocations[n] for n in ENDINGS if n in session.dialect.provocations]
    posted = [
        await session.shared("submit_job", f"posted_{n}", document=DOCUMENT, **provoked)
        for n, provoked in enumerate(declared)
    ]
    while len(posted) < LISTED:
        posted.append(await session.call("submit_job", f"posted_{len(posted)}", document="Thanks."))
    wanted = {_job_id(reading) for reading in posted}
    end = await session.call("list_jobs", "end", limit=100)
    cursor = end.body.get("next_cursor") if isinstance(end.body, dict) else None
    if isinstance(cursor, str):
        await session.call("list_jobs", "beyond", limit=100, cursor=cursor)
    newest = listed(end)
    deepest = max((newest.index(job) for job in wanted if job in newest), default=1)
    limit, cursor = max(1, (deepest + 2) // 2), None
    for _ in range(PAGES):
        page = await session.call("list_jobs", "page", limit=limit, cursor=cursor)
        body = page.body if isinstance(page.body, dict) else {}
        wanted -= set(listed(page))
        cursor = body.get("next_cursor")
        if not isinstance(cursor, str) or not wanted:
            break
    await session.call("list_jobs", "filtered", limit=5, status="complete")
    await session.call("list_jobs", "limit_too_large", limit=1_000_000)
    await session.call("list_jobs", "cursor_unknown", cursor="no-such-cursor")


@probe(calls=4, operations=("classify", "get_job"), tokens=40)
async def respond_async(session: Session) -> None:
    """A classification for which the caller prefers not to wait (RFC 7240)."""
    answer = await session.call(
        "classify", "preferred", text="Where is my parcel?", headers={"Prefer": "respond-async"}
    )
    if answer.status == 202:
        await asyncio.sleep(SOON)
        await _poll(session, _job_id(answer), "poll", lambda status: status not in OPEN, 3)


async def _cancel_seconds(session: Session) -> float:
    """How long a cancelled job may take to stop, by the target's own word, else ``USUAL_CANCEL``."""
    if "capabilities" not in session.dialect.operations:
        return USUAL_CANCEL
    found = member_of((await session.capabilities()).body, "capabilities", "jobs", "cancel_seconds")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else USUAL_CANCEL


def listed(page: Reading) -> list[str]:
    """The ids of a page, in its order."""
    data = page.body.get("data") if isinstance(page.body, dict) else None
    items = data if isinstance(data, list) else []
    return [str(item.get("job_id")) for item in items if isinstance(item, dict)]


async def _poll(session: Session, job: str, role: str, enough: Callable[[str], bool], most: int) -> Reading:
    """Ask for a job until its status is enough, but only so often, and as seldom as it asks."""
    while True:
        reading = await session.call("get_job", role, job_id=job)
        most -= 1
        if most == 0 or not reading.ok or enough(str(reading.facts["job.status"].value)):
            return reading
        asked = reading.facts["retry_after"].value
        wait = float(asked) if isinstance(asked, int | float) else INTERVAL
        await asyncio.sleep(min(max(wait, INTERVAL), LONGEST_INTERVAL))


def _job_id(submitted: Reading) -> str:
    found = submitted.facts["job.id"]
    if not submitted.ok or not isinstance(found.value, str):
        raise ProbeSkipped(f"the work was answered {submitted.status} without a job id")
    return found.value


def located_path(session: Session, submitted: Reading, job: str) -> str | None:
    """Where the Location of an accepted job leads, below a base URL.

    Between several replicas it may name the address of the balancer, which nobody has told: only the path of just this
    job is believed to be below that.
    """
    location = submitted.header("location")
    if not location:
        return None
    url = urljoin(
        submitted.exchange.sent.url if session.target.replicas else session.target.base_url, location
    )
    path = below(session.target.bases, url)
    if path is None and session.target.replicas:
        own = path_of(session, "get_job", job_id=job)
        known = {urlsplit(base).path + own for base in session.target.bases}
        return own if urlsplit(url).path in known else None
    return path
