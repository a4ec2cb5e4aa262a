"""HOOK: what a target sends to the endpoints that were registered with it."""

from __future__ import annotations

import itertools
from typing import Any

from conformance.checks.hook_evidence import Delivered, about, deliveries, must, some
from conformance.checks.job_evidence import FINAL, member, said, status
from conformance.checks.refusals import brief, decisive
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

REQUIRED = ("webhook-id", "webhook-timestamp", "webhook-signature")
CLOCKS = 300.0
"""Seconds that receivers tolerate (Standard Webhooks 1.0)."""

SOONEST = 0.8
"""A part of a declared delay, so that jitter is allowed."""

PLAIN = 2.0
"""Seconds from which on a delay cannot be mistaken for the time that a delivery takes."""

GROWTH = 1.1
"""A second delay that is not longer than the first by this factor does not grow."""


@check("HOOK-01")
def test_the_end_of_a_job_is_told(webhook_run: Probed) -> str:
    """A POST of JSON: type, timestamp, data with job_id and status."""
    everything = deliveries(webhook_run)
    found = about(webhook_run, "good")
    waited = webhook_run.notes.get("first_waited", 0)
    shown = webhook_run.get("first.shown")
    if not found and shown is not None and not (shown.ok and status(shown) in FINAL):
        raise Inconclusive(
            f"after {waited} s the job has not ended: {said(shown) if shown.ok else brief(shown)}"
        )
    must(
        found,
        expected=f"a message about the job within {waited} s",
        seen=f"{len(everything)} messages, none about it",
        where="deliveries",
    )
    first = found[0]
    body: Any = first.json
    must(first.method == "POST", expected="POST", seen=first.method, where="method")
    kind = first.headers.get("content-type", "")
    must(
        kind.startswith("application/json"),
        expected="application/json",
        seen=kind,
        where="header content-type",
    )
    must(
        body.get("type") == "job.completed",
        expected="type job.completed",
        seen=body.get("type"),
        where="/type",
    )
    must(
        isinstance(body.get("timestamp"), str),
        expected="a timestamp",
        seen=body.get("timestamp"),
        where="/timestamp",
    )
    told = body["data"].get("status")
    must(told == "complete", expected="data.status complete", seen=told, where="/data/status")
    return "job.completed"


@check("HOOK-02")
def test_every_message_has_the_standard_headers(webhook_run: Probed) -> str:
    """webhook-id, webhook-timestamp, webhook-signature; secrets of 24 to 64 bytes."""
    found = _all(webhook_run)
    for delivered in found:
        for name in REQUIRED:
            must(delivered.headers.get(name), expected=name, seen="none", where=f"header {name}")
        timestamp = delivered.headers["webhook-timestamp"]
        must(
            timestamp.isascii() and timestamp.isdigit(),
            expected="seconds since the epoch",
            seen=timestamp,
            where="header webhook-timestamp",
        )
        must(
            all(s.partition(",")[0] in ("v1", "v1a") and s.partition(",")[2] for s in delivered.signatures),
            expected="signatures of the form v1,BASE64",
            seen=delivered.headers["webhook-signature"],
            where="header webhook-signature",
        )
    for size in webhook_run.notes.get("secret_bytes", ()):
        must(
            size is not None and 24 <= size <= 64,
            expected="whsec_ and 24 to 64 bytes in base64",
            seen="no such secret" if size is None else f"{size} bytes",
            where="secret",
        )
    return f"{len(found)} messages"


@check("HOOK-03")
def test_signatures_verify_over_the_exact_bytes(webhook_run: Probed) -> str:
    """One of the signatures is the HMAC of id.timestamp.body by the endpoint's secret."""
    found = _all(webhook_run)
    for delivered in found:
        must(
            set(delivered.signatures) & set(delivered.expected),
            expected="a signature that verifies over the bytes received",
            seen=" ".join(delivered.signatures) or "none",
            where="header webhook-signature",
        )
    return f"{len(found)} messages verify"


@check("HOOK-04")
def test_the_timestamp_is_that_of_the_attempt(webhook_run: Probed) -> str:
    """Within 300 s of our clock."""
    found = [d for d in _all(webhook_run) if d.headers.get("webhook-timestamp", "").isdigit()]
    if not found:
        raise Inconclusive("no message has a timestamp: see HOOK-02")
    worst = max(abs(d.at - int(d.headers["webhook-timestamp"])) for d in found)
    must(
        worst <= CLOCKS,
        expected=f"within {CLOCKS:.0f} s of our clock",
        seen=f"{worst:.0f} s off",
        where="header webhook-timestamp",
    )
    return f"at most {worst:.1f} s off"


@check("HOOK-05")
def test_a_failed_delivery_is_repeated_under_its_id(webhook_run: Probed) -> str:
    """After a 500 the same webhook-id comes again, signed anew."""
    attempts = some(webhook_run, "failing")
    declared = _delays(webhook_run)
    if len(attempts) < 2 and not declared:
        raise NotTested(f"no retry within {_waited(webhook_run):.0f} s, and no delays are declared")
    if len(attempts) < 2 and declared[0] > _waited(webhook_run) - 1:
        raise NotTested(
            f"the first retry is declared for {declared[0]:.0f} s later, longer than the probe waits"
        )
    must(
        len(attempts) >= 2,
        expected=f"a second attempt within {_waited(webhook_run):.0f} s after a 500",
        seen="one attempt",
        where="deliveries",
    )
    ids = [d.headers.get("webhook-id") for d in attempts]
    must(len(set(ids)) == 1, expected="one webhook-id for all attempts", seen=ids, where="header webhook-id")
    for delivered in attempts:
        must(
            set(delivered.signatures) & set(delivered.expected),
            expected="a valid signature on every attempt",
            seen=" ".join(delivered.signatures),
            where="header webhook-signature",
        )
    return f"{len(attempts)} attempts with one id"


@check("HOOK-06")
def test_delays_between_attempts_grow(webhook_run: Probed) -> str:
    """Three attempts, the second delay longer than the first."""
    attempts = some(webhook_run, "failing")
    declared = _delays(webhook_run)
    if len(attempts) < 3 and sum(declared[:2]) > _waited(webhook_run) - 1:
        raise NotTested("the declared delays are longer than the probe waits")
    if not declared and len(attempts) < 3:
        raise NotTested(f"no third attempt within {_waited(webhook_run):.0f} s, and no delays are declared")
    must(len(attempts) >= 3, expected="three attempts", seen=len(attempts), where="deliveries")
    one, two = (b.at - a.at for a, b in itertools.pairwise(attempts))
    if len(declared) >= 2:
        must(
            declared[1] > declared[0],
            expected="declared delays that grow",
            seen=declared[:2],
            where="/capabilities/webhooks/retry_delays_seconds",
        )
        # A busy sender is late, never early: lateness of the first delay must not hide that the second grew.
        must(
            two >= SOONEST * declared[1],
            expected=f"a second delay of {declared[1]:g} s, as declared",
            seen=f"{two:.2f} s",
            where="deliveries",
        )
    elif two < GROWTH * one:
        if one < PLAIN:
            raise Inconclusive(f"delays of {one:.2f} s and {two:.2f} s are too short to be compared")
        must(
            False,
            expected=f"a second delay longer than the first, {one:.2f} s",
            seen=f"{two:.2f} s",
            where="deliveries",
        )
    return f"{one:.1f} s, then {two:.1f} s"


@check("HOOK-07")
def test_redirects_are_not_followed(webhook_run: Probed) -> str:
    """The trap behind a 302 stays empty."""
    some(webhook_run, "good", "second")
    trapped = [d for d in deliveries(webhook_run) if d.endpoint == "trap"]
    must(
        not trapped,
        expected="no request to the target of the redirect",
        seen=f"{len(trapped)}",
        where="deliveries",
    )
    return "the redirect was not followed"


@check("HOOK-09")
def test_a_rotated_secret_overlaps_with_the_old_one(webhook_run: Probed) -> str:
    """Two signatures, by the new and by the old secret."""
    found = some(webhook_run, "good", "second")[-1]
    if len(found.expected) < 2:
        raise Inconclusive("the rotation gave no second secret")
    for expected, which in zip(found.expected, ("new", "old"), strict=False):
        must(
            expected in found.signatures,
            expected=f"a signature by the {which} secret",
            seen=f"{len(found.signatures)} signature(s), none by it",
            where="header webhook-signature",
        )
    return f"{len(found.signatures)} signatures"


@check("HOOK-10")
def test_an_endpoint_that_is_gone_is_left_alone(webhook_run: Probed) -> str:
    """After 410 nothing more comes."""
    # The first message may be about a job of another probe, and is answered 410 all the same.
    came, after = deliveries(webhook_run, "gone"), about(webhook_run, "gone", "second")
    if not came or came[0] in after:
        raise Inconclusive(
            "no message came to the endpoint that answers 410 before the second job: see HOOK-01"
        )
    some(webhook_run, "good", "second")
    must(
        not after,
        expected="no message after a 410",
        seen=f"{len(after)} about the next job",
        where="deliveries",
    )
    return "nothing came after the 410"


@check("HOOK-11")
def test_a_message_is_never_ahead_of_the_api(webhook_run: Probed) -> str:
    """When the message has come, GET shows the state that it tells of."""
    some(webhook_run, "good")
    shown = decisive(webhook_run["first.shown"])
    expect(
        shown.ok and status(shown) in FINAL,
        expected="the end that the message told of",
        seen=said(shown) if shown.ok else brief(shown),
        at=shown,
        where="/status",
    )
    return f"told and shown: {said(shown)}"


@check("HOOK-12")
def test_a_secret_is_told_once(webhook_run: Probed) -> str:
    """The endpoint, read later, shows no secret."""
    reading = decisive(webhook_run["gone"])
    expect(reading.ok, expected="the webhook", seen=brief(reading), at=reading)
    secret = member(reading, "secret")
    expect(secret is None, expected="no secret", seen="there is one", at=reading, where="/secret")
    return "not told again"


def _all(probe: Probed) -> list[Delivered]:
    found = [d for d in deliveries(probe) if d.endpoint != "trap"]
    if not found:
        raise Inconclusive("no message came: see HOOK-01")
    return found


def _waited(probe: Probed) -> float:
    return float(probe.notes.get("retries_waited", 0))


def _delays(probe: Probed) -> list[float]:
    declared = probe.get("capabilities")
    value = None if declared is None else member(declared, "capabilities", "webhooks", "retry_delays_seconds")
    return [float(d) for d in value if isinstance(d, int | float)] if isinstance(value, list) else []
