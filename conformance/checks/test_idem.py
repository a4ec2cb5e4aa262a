"""IDEM: a retried request must not be executed a second time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from conformance.checks.sameness import (
    answered,
    error_status,
    expect_own_execution,
    expect_replay,
    identity,
    replayed,
)
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail

SHORTEST_TTL = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=2)


@check("IDEM-01")
def test_the_same_request_with_its_key_is_answered_with_the_stored_answer(idempotent_replay: Probed) -> str:
    """Same key and payload after completion: same status, same body, though sampling is on."""
    first = idempotent_replay["first"]
    expect_replay(first, idempotent_replay["replay"], "the same key and payload")
    return f"the repeated request got {identity(first)} again"


@check("IDEM-02")
def test_only_the_replay_is_marked_as_one(idempotent_replay: Probed) -> str:
    """`Idempotency-Replayed: true` on the replay, no such mark on the first answer."""
    first, replay = answered(idempotent_replay["first"]), answered(idempotent_replay["replay"])
    mark = first.header("Idempotency-Replayed")
    expect(not replayed(first), expected="no replay mark on the first answer", seen=mark, at=first)
    expect(
        replay.header("Idempotency-Replayed") == "true",
        expected="Idempotency-Replayed: true on the replay",
        seen=str(replay.header("Idempotency-Replayed")),
        at=replay,
        where="header Idempotency-Replayed",
    )
    return "the replay is marked, the first answer is not"


@check("IDEM-03")
def test_a_replay_takes_no_tokens_from_the_quota(quota_steps: Probed) -> str:
    """The token quota is the same before and after the replay."""
    keyed, replay = answered(quota_steps["keyed"]), answered(quota_steps["keyed_replay"])
    if identity(keyed) != identity(replay):
        raise Inconclusive("the request was executed again, see IDEM-01: there is no replay to weigh")
    before = quota_steps["level_1"].facts["ratelimit.tokens.remaining"]
    for later in (replay, quota_steps["level_2"]):
        after = later.facts["ratelimit.tokens.remaining"]
        if not (before and after):
            raise Inconclusive("the answers do not tell the remaining tokens")
        expect(
            after.value >= before.value,  # more only if a new window began in between
            expected=f"{before.value:.0f} tokens remain after the replay, as before it",
            seen=f"{after.value:.0f} remain",
            at=later,
            where=after.where,
        )
    return f"{before.value:.0f} tokens remain before and after the replay"


@check("IDEM-04")
def test_a_key_reused_with_another_payload_is_refused(idempotent_replay: Probed) -> str:
    """Other payload: 422 IDEMPOTENCY_KEY_REUSED, and the stored answer stays."""
    first = answered(idempotent_replay["first"])
    error_status(
        idempotent_replay["other_payload"], 422, "IDEMPOTENCY_KEY_REUSED", "the same key with another payload"
    )
    after = idempotent_replay["replay"]
    expect_replay(first, after, "the original request after a refused mismatch")
    return "refused with 422, and the stored answer is intact"


@check("IDEM-05")
def test_order_and_whitespace_of_the_json_do_not_make_another_payload(idempotent_replay: Probed) -> str:
    """Reordered members and other whitespace are the same payload."""
    expect_replay(
        idempotent_replay["first"], idempotent_replay["reordered"], "the same payload in another order"
    )
    return "reordered JSON got the stored answer"


@check("IDEM-06")
def test_concurrent_duplicates_are_executed_once(idempotent_race: Probed) -> str:
    """Of several requests at once one is executed; the others get 409 with Retry-After, or its answer."""
    twins = idempotent_race.some("twin")
    ok = [t for t in twins if t.ok]
    executions = {identity(t) for t in ok}
    expect(
        len(executions) <= 1,
        expected=f"one execution for {len(twins)} concurrent requests with one key",
        seen=f"{len(executions)} different answers: {', '.join(sorted(executions)[:3])}",
        at=ok[-1] if ok else None,
    )
    for refused in (t for t in twins if not t.ok):
        error_status(refused, 409, "IDEMPOTENCY_IN_PROGRESS", "a duplicate of a request in flight")
        expect(
            refused.header("Retry-After"),
            expected="Retry-After on the 409, so that clients know when to ask again",
            seen="none",
            at=refused,
            where="header Retry-After",
        )
    if not ok:
        raise Inconclusive("none of the concurrent requests was executed")
    if not _overlap(twins):
        raise Inconclusive("the requests did not overlap in time: the answer came too fast to race")
    return f"{len(twins)} concurrent requests, one execution, {len(twins) - len(ok)} told to wait"


@check("IDEM-07")
def test_a_key_in_progress_later_gives_the_stored_answer(idempotent_race: Probed) -> str:
    """After the execution ended, the key that was answered 409 gives its result."""
    twins = idempotent_race.some("twin")
    first = next((t for t in twins if t.ok), None)
    waiting = [t for t in twins if t.status == 409]
    if first is None:
        raise Inconclusive("none of the concurrent requests was executed")
    expect_replay(first, idempotent_race["later"], "the key after its execution ended")
    if not waiting:
        raise NotTested("no request was told that its key is in progress: all waited for the answer")
    return f"{len(waiting)} answers of 409 turned into {identity(first)}"


@check("IDEM-08")
def test_another_principal_with_the_same_key_gets_its_own_execution(idempotent_scopes: Probed) -> str:
    """The key of one principal never opens the answer of another."""
    if idempotent_scopes.get("other") is None:
        raise NotTested(idempotent_scopes.record.reason or "needs a second credential: --other-key")
    other = idempotent_scopes["other"]
    expect_own_execution(idempotent_scopes["main"], other, "the same key from another principal")
    return "two principals, two executions"


@check("IDEM-09")
def test_the_same_key_on_another_operation_is_another_key(idempotent_scopes: Probed) -> str:
    """A key used on one operation neither replays nor blocks on another."""
    other = idempotent_scopes["classify"]
    if other.status == 404:
        raise NotTested("there is no second operation with a key: /classify is not found")
    expect_own_execution(idempotent_scopes["main"], other, "the same key on /classify")
    return "the same key on two operations gave two executions"


@check("IDEM-10")
def test_header_and_body_key_are_one_key_and_must_agree(idempotent_scopes: Probed) -> str:
    """The body field is the same key as the header; two different ones are refused."""
    main = idempotent_scopes["main"]
    expect_replay(main, idempotent_scopes["body_key"], "the key in the body instead of the header")
    expect_replay(main, idempotent_scopes["both_equal"], "the same key in header and body")
    error_status(
        idempotent_scopes["both_differ"], 400, "IDEMPOTENCY_KEY_CONFLICT", "two different keys in one request"
    )
    return "header and body name the same key; a conflict is refused"


@check("IDEM-11")
def test_a_quoted_and_a_bare_key_are_the_same(idempotent_replay: Probed) -> str:
    """`"k"` (the draft's structured string) and `k` (what most clients send) are one key."""
    first = idempotent_replay["first"]
    expect_replay(first, idempotent_replay["quoted"], "the key in quotes")
    expect_replay(first, idempotent_replay["replay"], "the key without quotes")
    return "both spellings got the stored answer"


@check("IDEM-12")
def test_keys_are_1_to_255_printable_characters(idempotent_keys: Probed) -> str:
    """255 characters are accepted; 256, or a control character, are refused with 400."""
    longest = idempotent_keys["longest"]
    expect(
        longest.ok,
        expected="a key of 255 characters is accepted",
        seen=f"status {longest.status}",
        at=longest,
    )
    bad = idempotent_keys.some("bad_")
    for reading in bad:
        error_status(reading, 400, "IDEMPOTENCY_KEY_INVALID", f"the key of '{reading.role}'")
    return f"255 characters accepted, {len(bad)} malformed keys refused"


@check("IDEM-13")
def test_the_answer_tells_until_when_its_key_is_kept(idempotent_replay: Probed) -> str:
    """`metadata.idempotency.expires_at` is at least 24 hours after the answer."""
    first = answered(idempotent_replay["first"])
    found = first.facts["idempotency.expires_at"]
    expect(
        found,
        expected="an expiry of the key",
        seen="none",
        at=first,
        where="/metadata/idempotency/expires_at",
    )
    try:
        expires = datetime.fromisoformat(str(found.value))
    except ValueError:
        fail(expected="an RFC 3339 time", seen=found.value, at=first, where=found.where)
    expect(
        expires.tzinfo,
        expected="an RFC 3339 time with its offset",
        seen=found.value,
        at=first,
        where=found.where,
    )
    kept = expires - _answered_at(first)
    expect(
        kept >= SHORTEST_TTL - CLOCK_TOLERANCE,
        expected="the key is kept for 24 hours or longer",
        seen=f"{kept.total_seconds() / 3600:.1f} hours",
        at=first,
        where=found.where,
    )
    return f"kept for {kept.total_seconds() / 3600:.1f} hours"


@check("IDEM-15")
def test_retryable_failures_are_not_stored(idempotent_failures: Probed) -> str:
    """The retry of a failed request is a new attempt: no replay of the failure, no key left in progress."""
    failed = [
        r
        for r in idempotent_failures.some()
        if r.role.endswith(".first") and r.status in (429, 502, 503, 504)
    ]
    if not failed:
        raise Inconclusive("no provocation led to a retryable failure")
    for first in failed:
        retry = idempotent_failures[first.role.replace(".first", ".retry")]
        what = f"a retry after {first.status} is a new attempt"
        expect(not replayed(retry), expected=what, seen="the failure marked as a replay", at=retry)
        expect(retry.status != 409, expected=what, seen="409: the key is still in progress", at=retry)
        one, two = first.error.request_id, retry.error.request_id
        same = one and two and one.value == two.value
        expect(
            not same,
            expected=what,
            seen=f"the failure of request {one.value} again",
            at=retry,
            where=two.where,
        )
    return f"{len(failed)} retryable failures were attempted again"


@check("IDEM-19")
def test_a_replay_has_its_own_request_id_and_the_stored_trace(idempotent_replay: Probed) -> str:
    """`X-Request-Id` names this request; `metadata.trace_id` names the execution."""
    first, replay = answered(idempotent_replay["first"]), answered(idempotent_replay["replay"])
    ids = [r.header("X-Request-Id") for r in (first, replay)]
    expect(
        ids[0] and ids[1] and ids[0] != ids[1],
        expected="a request id of its own on the replay",
        seen=f"{ids[1]} after {ids[0]}",
        at=replay,
        where="header X-Request-Id",
    )
    traces = [r.facts["trace_id"] for r in (first, replay)]
    expect(
        traces[0] and traces[0].value == traces[1].value,
        expected=f"the stored trace id {traces[0].value}",
        seen=str(traces[1].value),
        at=replay,
        where=traces[1].where,
    )
    return "new request id, stored trace id"


def _overlap(readings: list[Reading]) -> bool:
    """Whether another request came while the execution was under way."""
    executed = next((r for r in readings if r.ok and not replayed(r)), None)
    if executed is None:
        return False
    ends = executed.exchange.started_at + (executed.exchange.t_end or 0.0)
    return any(r is not executed and r.exchange.started_at < ends for r in readings)


def _answered_at(reading: Reading) -> datetime:
    """The server's own clock if it tells it, else ours."""
    date = reading.header("Date")
    if date is not None:
        try:
            return parsedate_to_datetime(date)
        except ValueError:
            pass
    return datetime.fromtimestamp(reading.exchange.started_at, UTC)
