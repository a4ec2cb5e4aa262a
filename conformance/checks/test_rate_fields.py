"""RATE: what the limit headers say, and whether they count honestly."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.checks.limit_fields import (
    FieldError,
    Level,
    Policy,
    levels,
    limited_operations,
    policies,
    too_many,
)
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect, fail

UNITS = ("requests", "tokens")
LARGE_CALLS = 3  # each of more than half the limit, so that two of them lie in one window
SHARE = 0.1  # of the usage by which a step of the token level may differ from it


@check("RATE-07")
def test_limit_fields_are_structured_lists_that_agree(exchanges: tuple[Reading, ...]) -> str:
    """Both fields parse as RFC 9651 lists, and each level belongs to a policy."""
    carrying = [
        r for r in exchanges if r.header("RateLimit") is not None or r.header("RateLimit-Policy") is not None
    ]
    if not carrying:
        raise NotTested("no answer carries RateLimit or RateLimit-Policy (see RATE-21)")
    for reading in carrying:
        try:
            known, told = policies(reading), levels(reading)
        except FieldError as error:
            fail(
                expected="RFC 9651 lists of named policies",
                seen=str(error),
                at=reading,
                where="header RateLimit",
            )
        for name, level in told.items():
            expect(
                name in known,
                expected=f"a policy for each level in RateLimit ({', '.join(known) or 'none'})",
                seen=name,
                at=reading,
                where="header RateLimit",
            )
            expect(
                level.remaining <= known[name].quota,
                expected=f"at most the quota of {known[name].quota} is left of {name}",
                seen=f"r={level.remaining}",
                at=reading,
                where="header RateLimit",
            )
    return f"{len(carrying)} answers with well-formed limit fields"


@check("RATE-08")
def test_the_remaining_quota_goes_down_by_what_was_used(quota_steps: Probed) -> str:
    """Requests by one for each call, tokens by about the reported usage."""
    level_0, keyed, level_1 = (quota_steps[r] for r in ("level_0", "keyed", "level_1"))
    stepped = 0
    for before, after in ((level_0, keyed), (keyed, level_1)):
        step = _step(before, after, "requests")
        if step < 0:  # a new window began
            continue
        stepped += 1
        expect(step == 1, expected="one request less after one call", seen=f"{step} less", at=after)
    usage = keyed.facts["usage.total"]
    step = _step(level_0, level_1, "tokens")
    if not usage or step < 0 or stepped == 0:
        raise Inconclusive("a window ended between the calls, or the usage is not reported")
    expect(
        abs(step - usage.value) <= SHARE * usage.value,
        expected=f"about {usage.value:g} tokens less, as the usage reports",
        seen=f"{step} less",
        at=level_1,
    )
    return f"one request per call; {step} tokens for a usage of {usage.value:g}"


@check("RATE-09")
def test_the_token_limit_refuses_while_requests_are_left(token_burst: Probed) -> str:
    """A few large requests exhaust the token policy, and the 429 names it."""
    large = token_burst.some("large")
    refused = next((r for r in large if r.status == 429), None)
    if refused is None:
        if not all(r.ok for r in large):
            raise Inconclusive(f"the large requests were answered {', '.join(str(r.status) for r in large)}")
        window = _policy(large[0], "tokens").window or 0
        if large[-1].exchange.started_at - large[0].exchange.started_at >= window:
            raise Inconclusive("the large requests took longer than the token window")
        # Of two, the first may have ended the window of calls before it, and the second begun a new one.
        if len(large) < LARGE_CALLS:
            raise Inconclusive(f"only {len(large)} large requests were sent")
        fail(expected="429 when the token limit is used up", seen=f"{len(large)} large answers", at=large[-1])
    left = refused.facts["ratelimit.requests.remaining"]
    if left and left.value == 0:
        raise Inconclusive("no requests were left either")
    expect(
        refused.error.code == "TOKEN_LIMIT_EXCEEDED" and refused.error.details.get("policy") == "tokens",
        expected="TOKEN_LIMIT_EXCEEDED of the policy tokens",
        seen=f"{refused.error.code} of the policy {refused.error.details.get('policy')}",
        at=refused,
        where="/error/code",
    )
    return f"the token limit refused while {left.value if left else 'some'} requests were left"


@check("RATE-12")
def test_retry_after_is_not_earlier_than_the_reset(exchanges: tuple[Reading, ...]) -> str:
    """Retry-After reaches at least to the reset of the policy that was violated."""
    compared = 0
    for reading in too_many(exchanges):
        name, wait = reading.error.details.get("policy"), (reading.header("Retry-After") or "").strip()
        level = _levels(reading).get(str(name))
        if level is None or level.reset is None or not wait.isdigit():
            continue
        compared += 1
        expect(
            int(wait) >= level.reset,
            expected=f"Retry-After >= {level.reset}, the reset of {name}",
            seen=wait,
            at=reading,
            where="header Retry-After",
        )
    if not compared:
        raise NotTested("no 429 has Retry-After, details.policy and the level of that policy")
    return f"{compared} answers of 429 agree with their reset"


@check("RATE-13")
def test_tiers_have_their_own_limits(exchanges: tuple[Reading, ...]) -> str:
    """Keys of different tiers show different policies, and a 429 names the tier."""
    seen: dict[str, list[Policy]] = {}
    shown: dict[str, Reading] = {}
    for reading in limited_operations(exchanges):
        found = _policies(reading)
        if found:
            seen[reading.exchange.principal] = sorted(found.values(), key=lambda p: p.name)
            shown[reading.exchange.principal] = reading
    if "limited" not in seen or len(seen) < 2:
        raise NotTested("needs keys of two tiers: --limited-key")
    main = next(seen[key] for key in ("main", "other", "budget") if key in seen)
    expect(
        main != seen["limited"],
        expected="the limited key shows smaller policies than the main key",
        seen=f"the same: {_show(main)}",
        at=shown["limited"],
        where="header RateLimit-Policy",
    )
    for reading in too_many(exchanges):
        tier = reading.error.details.get("tier")
        expect(
            isinstance(tier, str) and tier,
            expected="the tier by name",
            seen=tier,
            at=reading,
            where="/error/details/tier",
        )
    return f"{_show(main)} and {_show(seen['limited'])}"


@check("RATE-16")
def test_a_refused_request_takes_no_tokens(quota_steps: Probed) -> str:
    """A 4xx leaves the token quota as it was."""
    refused = quota_steps["refused"]
    if refused.status is None or not 400 <= refused.status < 500 or refused.status == 429:
        raise Inconclusive(f"the invalid request was answered {refused.status}")
    step = _step(quota_steps["level_2"], quota_steps["level_3"], "tokens")
    expect(
        step <= 0,
        expected="no token less after a refused request",
        seen=f"{step} less",
        at=quota_steps["level_3"],
    )
    return f"a {refused.status} took no tokens"


@check("RATE-19")
def test_the_alias_headers_agree_with_the_standard_ones(exchanges: tuple[Reading, ...]) -> str:
    """`x-ratelimit-*` says the same as `RateLimit` and `RateLimit-Policy`."""
    carrying = [r for r in exchanges if r.header("x-ratelimit-limit-requests") is not None and _levels(r)]
    if not carrying:
        raise NotOffered("no answer carries x-ratelimit-limit-requests beside RateLimit")
    for reading in carrying:
        known, told = _policies(reading), _levels(reading)
        for unit in (u for u in UNITS if u in known and u in told):
            for name, value in (("limit", known[unit].quota), ("remaining", told[unit].remaining)):
                alias = f"x-ratelimit-{name}-{unit}"
                expect(
                    reading.header(alias) == str(value),
                    expected=f"{value}, as in the standard field",
                    seen=str(reading.header(alias)),
                    at=reading,
                    where=f"header {alias}",
                )
    return f"{len(carrying)} answers with consistent aliases"


@check("RATE-21")
def test_every_authenticated_answer_carries_the_limit_fields(exchanges: tuple[Reading, ...]) -> str:
    """The fields are on success too: a client that learns of its limit from a 429 learns too late."""
    answers = [r for r in limited_operations(exchanges) if r.ok]
    if not answers:
        raise NotTested("no authenticated call was answered")
    for reading in answers:
        for field in ("RateLimit-Policy", "RateLimit"):
            expect(reading.header(field), expected=field, seen="none", at=reading, where=f"header {field}")
    return f"{len(answers)} answers carry both fields"


@check("RATE-22")
def test_limit_headers_are_plausible_numbers(exchanges: tuple[Reading, ...]) -> str:
    """Where a server tells limits: numbers >= 0, and never more left than the limit."""
    told = 0
    for reading in limited_operations(exchanges):
        for unit in UNITS:
            limit, left = (reading.facts[f"ratelimit.{unit}.{name}"] for name in ("limit", "remaining"))
            told += bool(limit) + bool(left)
            for fact in (f for f in (limit, left) if f):
                expect(
                    fact.value >= 0, expected="a number >= 0", seen=fact.value, at=reading, where=fact.where
                )
            if limit and left:
                expect(
                    left.value <= limit.value,
                    expected=f"at most the limit of {limit.value:g} is left",
                    seen=f"{left.value:g}",
                    at=reading,
                    where=left.where,
                )
    if not told:
        raise NotOffered("no answer tells a limit")
    return f"{told} limit values, all plausible"


@check("RATE-24")
def test_a_429_takes_no_tokens(limit_burst: Probed) -> str:
    """From one refusal to the next the remaining tokens stay the same."""
    refused = [r for r in limit_burst.all() if r.status == 429 and r.role in ("stream_limited", "still")]
    if len(refused) < 2:
        raise NotTested(limit_burst.record.reason or "fewer than two refusals in a row were reached")
    step = _step(refused[0], refused[1], "tokens")
    expect(step <= 0, expected="no token less after a refusal", seen=f"{step} less", at=refused[1])
    return "two refusals in a row took no tokens"


@check("RATE-25")
def test_a_limited_api_tells_what_is_left_before_it_refuses(exchanges: tuple[Reading, ...]) -> str:
    """Where there is a limit, successful answers tell how much of it is left."""
    answers = [r for r in limited_operations(exchanges) if r.ok and r.exchange.operation.startswith("chat")]
    telling = [r for r in answers if any(r.facts[f"ratelimit.{u}.remaining"] for u in UNITS)]
    if not answers:
        raise NotTested("no call of an authenticated principal was answered")
    if not (telling or too_many(exchanges)):
        raise NotTested("no limit was met, and no answer tells one")
    expect(telling, expected="what is left of the limit on successful answers", seen="nothing", at=answers[0])
    return f"{len(telling)} of {len(answers)} answers tell what is left"


def _step(before: Reading, after: Reading, unit: str) -> int:
    """By how much the remaining quota of a policy went down, by the standard field."""
    found = [_levels(r).get(unit) for r in (before, after)]
    if found[0] is None or found[1] is None:
        raise Inconclusive(f"the answers do not tell the remaining {unit}")
    return found[0].remaining - found[1].remaining


def _levels(reading: Reading) -> dict[str, Level]:
    try:
        return levels(reading)
    except FieldError:
        return {}  # RATE-07 says so


def _policies(reading: Reading) -> dict[str, Policy]:
    try:
        return policies(reading)
    except FieldError:
        return {}


def _policy(reading: Reading, name: str) -> Policy:
    found = _policies(reading).get(name)
    if found is None:
        raise Inconclusive(f"no policy {name} is advertised")
    return found


def _show(found: Iterable[Policy]) -> str:
    return ", ".join(f"{p.name} {p.quota} per {p.window} s" for p in found)
