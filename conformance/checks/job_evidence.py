"""What the checks of jobs share: observations of one job in the order they were made, and its end."""

from __future__ import annotations

from typing import Any

from conformance.dialects.facts import Fact
from conformance.reading import Probed, Reading, member_of
from conformance.verdict import Inconclusive, NotTested

OPEN = ("queued", "processing", "requires_action")
FINAL = ("complete", "failed", "cancelled", "expired")
SHOWING = ("get_job", "cancel_job", "job_action", "submit_job")


def observations(probe: Probed, job_id: str | None = None) -> list[Reading]:
    """Every answer that shows a job of the probe, in the order in which they came.

    A replay shows the job as it was when its key was first used, and is left out.

    Raises:
        NotTested: there is none.
    """
    found = [
        r
        for r in probe.all()
        if r.ok
        and r.exchange.operation in (*SHOWING, "raw")
        and r.facts["job.status"]
        and r.header("idempotency-replayed") is None
        and (job_id is None or r.facts["job.id"].value == job_id)
    ]
    if not found:
        raise NotTested(probe.record.reason or f"probe {probe.record.name} saw no job")
    return found


def traces(*probes: Probed) -> list[list[Reading]]:
    """The observations of each job of these probes. A probe that was not run has none."""
    found: list[list[Reading]] = []
    for probe in probes:
        try:
            seen = observations(probe)
        except NotTested:
            continue
        ids = dict.fromkeys(str(r.facts["job.id"].value) for r in seen)
        found += [[r for r in seen if str(r.facts["job.id"].value) == job] for job in ids]
    if not found:
        raise NotTested(probes[0].record.reason or "no job was observed")
    return found


def status(reading: Reading) -> str:
    """The job's status in the contract's words; ``other`` for a word the dialect does not know."""
    return str(reading.facts["job.status"].value)


def said(reading: Reading) -> str:
    """The status as the server wrote it, for messages."""
    body = reading.body if isinstance(reading.body, dict) else {}
    return str(body.get("status", status(reading)))


def end(probe: Probed, prefix: str, wanted: str) -> Reading:
    """The last poll of a job, which must have come to the end that the probe was after.

    Raises:
        Inconclusive: it had not; JOB-07 and the checks of that end tell more.
    """
    last = probe.some(prefix)[-1]
    if not last.ok or status(last) != wanted:
        raise Inconclusive(f"the job did not come to be {wanted}: {last.status} {said(last)}")
    return last


def progress(reading: Reading) -> Fact:
    """The fact of its progress."""
    return reading.facts["job.progress"]


def member(reading: Reading, *path: str) -> Any:
    """A member of the answer's JSON, or None."""
    return member_of(reading.body, *path)


def retry_after(reading: Reading) -> bool:
    """Whether the answer says to wait for at least one whole second."""
    value = (reading.header("retry-after") or "").strip()
    return value.isascii() and value.isdigit() and int(value) >= 1
