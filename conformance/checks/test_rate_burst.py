"""RATE: running into the limit, and what came of doing as the server said."""

from __future__ import annotations

import re
from statistics import median

from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

DEFAULT_WINDOW = 60.0  # seconds, where a server names a limit but no window
FAST_MARGIN = (
    0.5  # seconds by which a refusal may be slower than the fastest answer: a busy server's own scheduling
)
LARGEST_LAG = 0.1  # seconds our own event loop may have stalled in a timing claim
STALLS = 3  # of the longest length that are allowed for in one exchange of a busy machine


@check("RATE-01")
def test_exceeding_the_request_limit_is_answered_with_429(limit_burst: Probed) -> str:
    """Above the limit the server says 429: it neither queues, nor fails, nor goes on."""
    burst = limit_burst.some("burst")
    refused = [r for r in burst if r.status == 429]
    if limit_burst.record.outcome == "skipped":
        raise NotTested(limit_burst.record.reason)
    if refused:
        return f"429 after {sum(r.ok for r in burst)} answers"
    at_limit = next((r for r in burst if r.facts["ratelimit.requests.remaining"].value == 0), None)
    broken = next((r for r in burst if r.status is not None and r.status >= 500), None)
    if at_limit and broken:
        expect(False, expected="429 when no requests are left", seen=f"status {broken.status}", at=broken)
    limit = next((f.value for r in burst if (f := r.facts["ratelimit.requests.limit"])), None)
    if limit is None:
        raise Inconclusive(f"no 429 in {len(burst)} calls, and no limit is advertised")
    ends = burst[0].exchange.started_at + _window(burst[0])
    inside = [r for r in burst if r.ok and r.exchange.started_at < ends]
    expect(
        len(inside) <= 2 * limit,  # twice: the burst may lie across two windows
        expected=f"429 beyond the advertised limit of {limit:g} requests",
        seen=f"{len(inside)} answers within one window and no 429",
        at=inside[-1] if inside else None,
    )
    raise Inconclusive(f"no 429 in {len(burst)} calls, which the advertised limit of {limit:g} may allow")


@check("RATE-04")
def test_after_retry_after_the_request_is_accepted(limit_burst: Probed) -> str:
    """Who waits as long as told is let in.

    Our clock begins at the arrival of the refusal, later than the server's, so the wait is never too short by our
    fault; a second refusal is asked for before the first is believed on a key that others may use.
    """
    after = limit_burst.get("after_wait")
    if after is None:
        raise NotTested(
            str(limit_burst.notes.get("wait") or limit_burst.record.reason or _no_429(limit_burst))
        )
    first = limit_burst["after_wait"]
    second = limit_burst.get("after_second_wait")
    shared_key = limit_burst.notes.get("principal") != "limited"
    if shared_key and first.status == 429 and (second is None or second.status != 429):
        raise Inconclusive("refused once more, but others may use the main key: give --limited-key")
    expect(
        first.status != 429,
        expected="the request is accepted after waiting all of Retry-After",
        seen="429 again",
        at=first,
    )
    if not first.ok:
        raise Inconclusive(f"the request after the wait was answered {first.status}")
    return "accepted after the wait that the server asked for"


@check("RATE-05")
def test_half_of_retry_after_is_too_early(limit_burst: Probed) -> str:
    """Retry-After is not longer than needed: half of it is still refused.

    The server may round up by a second, so waits of less than 3 s are not halved, and an answer counts only if it
    came a second or more before the wait was over. Windows that slide may let single calls in early: a SHOULD.
    """
    if "half_wait" in limit_burst.notes:
        raise Inconclusive(str(limit_burst.notes["half_wait"]))
    if limit_burst.get("half_wait") is None:
        raise NotTested(
            str(limit_burst.notes.get("wait") or limit_burst.record.reason or "no second 429 was reached")
        )
    half = limit_burst["half_wait"]
    late = _too_late(limit_burst, half)
    if half.status != 429 and late:
        raise Inconclusive(late)
    expect(
        half.status == 429,
        expected="429 at half of Retry-After: the wait is not longer than needed",
        seen=f"status {half.status}",
        at=half,
    )
    return "refused at half of Retry-After"


def _too_late(limit_burst: Probed, half: Reading) -> str:
    """Why an accepted call proves nothing: on a busy machine "half of the wait" may be nearly all of it, and up to
    a second of Retry-After is the server's own rounding up. Empty if the call was early enough."""
    waited_for = limit_burst.get("after_second_wait") or limit_burst.get("after_wait")
    since = waited_for.exchange.started_at if waited_for else 0.0
    refused = [r for r in limit_burst.all("burst") if r.status == 429 and r.exchange.started_at >= since]
    header = refused[0].header("Retry-After") or "" if refused else ""
    if not header.strip().isdecimal():
        return ""
    answered = half.exchange.started_at + (half.exchange.t_headers or 0.0)
    waited = answered - min(r.exchange.started_at for r in refused)
    late = waited > int(header) - 1
    return f"half of Retry-After: {header} became {waited:.1f} s, too long to prove anything" if late else ""


@check("RATE-14")
def test_one_principals_exhaustion_does_not_limit_another(limit_burst: Probed) -> str:
    """While one key is refused, another is served."""
    if limit_burst.get("bystander") is None:
        raise NotTested(_needs_limited(limit_burst, "a key to exhaust and another beside it: --limited-key"))
    bystander, still = limit_burst["bystander"], limit_burst["still"]
    if bystander.status == 429:
        own, theirs = (r.facts["ratelimit.requests.limit"] for r in (bystander, still))
        apart = own and theirs and own.value != theirs.value
        if bystander.dialect.name != "contract" and not apart:
            raise Inconclusive(
                "both keys are refused: they may belong to one account, which shares its limits"
            )
    expect(
        bystander.status != 429,
        expected="another principal is served while this one is at its limit",
        seen="429 for both",
        at=bystander,
    )
    if not bystander.ok or still.status != 429:
        raise Inconclusive("the limit did not hold long enough to compare")
    return "the other principal was served meanwhile"


@check("RATE-15")
def test_a_429_is_answered_at_once(limit_burst: Probed) -> str:
    """A refusal is not queued: it takes no longer than the fastest answer.

    By the median of the refusals, so that one slow packet decides nothing, and with 0.5 s in the server's favour.
    Stalls of our own loop of more than 0.1 s make it INCONCLUSIVE unless three of them could not explain the wait.
    """
    burst = limit_burst.some("burst")
    refused = [r for r in limit_burst.all() if r.status == 429]
    served = [r for r in burst if r.ok]
    if not refused:
        raise NotTested(_no_429(limit_burst))
    if not served:
        raise NotTested("no call of the burst was answered, to compare a refusal with")
    lag = max(r.exchange.lag for r in (*refused, *served))
    typical, fastest = median(_duration(r) for r in refused), min(_duration(r) for r in served)
    late = typical - fastest - FAST_MARGIN
    if lag > LARGEST_LAG and late <= STALLS * lag:
        raise Inconclusive("this machine was too busy to measure times")
    expect(
        late <= 0,
        expected=f"429 within {fastest + FAST_MARGIN:.2f} s (fastest answer {fastest:.2f} s)",
        seen=f"{typical:.2f} s (median of {len(refused)})",
        at=max(refused, key=_duration),
    )
    return f"median {typical * 1000:.0f} ms of {len(refused)} refusals"


@check("RATE-17")
def test_a_limited_stream_request_is_an_http_429(limit_burst: Probed) -> str:
    """A limit known before the first event is an HTTP status, not an event in a 200."""
    if limit_burst.get("stream_limited") is None:
        raise NotTested(limit_burst.record.reason or _no_429(limit_burst))
    stream = limit_burst["stream_limited"]
    if stream.status == 429:
        return "429 before any event"
    if stream.ok and stream.exchange.is_sse:
        codes = {facts.code for _, facts in stream.stream.errors}
        expect(
            not codes & {"RATE_LIMITED", "TOKEN_LIMIT_EXCEEDED"},
            expected="HTTP 429 for a stream request at the limit",
            seen="200 and an error event",
            at=stream,
        )
    raise Inconclusive(f"the limit did not hold for the stream request: status {stream.status}")


def _duration(reading: Reading) -> float:
    return reading.exchange.t_end or 0.0


def _window(reading: Reading) -> float:
    found = re.search(r'"requests"[^,]*;w=([0-9]+)', reading.header("RateLimit-Policy") or "")
    return float(found[1]) if found else DEFAULT_WINDOW


def _no_429(limit_burst: Probed) -> str:
    return limit_burst.record.reason or f"no 429 in a burst of {len(limit_burst.all('burst'))} calls"


def _needs_limited(limit_burst: Probed, what: str) -> str:
    return limit_burst.record.reason or f"needs {what}"
