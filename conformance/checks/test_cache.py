"""CACHE: an answer that was not computed for this request must say so."""

from __future__ import annotations

from conformance.checks.sameness import answered, identity
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect


@check("CACHE-01")
def test_equal_requests_without_a_key_are_executed_each(repeated_requests: Probed, baseline: Probed) -> str:
    """Without idempotency key and opt-in, two equal requests are two executions."""
    first, second = _answers(repeated_requests, "same_1", "same_2")
    _ids_tell_executions_apart(first, baseline)
    expect(
        _id(first) != _id(second) and not _says_hit(second),
        expected="an execution for each of two equal requests",
        seen=f"{_id(second)} twice" if _id(first) == _id(second) else "an answer marked as a cache hit",
        at=second,
    )
    return "two equal requests, two executions"


@check("CACHE-02")
def test_a_cached_answer_is_labelled(repeated_requests: Probed, baseline: Probed) -> str:
    """An answer from a cache says so in `Cache-Status` (RFC 9211), `X-Cache` or `Age`."""
    answers = [r for r in repeated_requests.some() if r.ok]
    if answers:
        _ids_tell_executions_apart(answers[0], baseline)
    seen: dict[str, Reading] = {}
    cached = []
    for reading in answers:
        if _says_hit(reading) or _id(reading) in seen:
            cached.append(reading)
        seen.setdefault(_id(reading), reading)
    if not cached:
        raise NotOffered(f"none of {len(answers)} answers came from a cache")
    for reading in cached:
        expect(
            _says_hit(reading) or reading.header("Age") is not None,
            expected="a label on an answer that was given before (Cache-Status with hit)",
            seen=f"{_id(reading)} again, unlabelled",
            at=reading,
            where="header Cache-Status",
        )
    return f"{len(cached)} cached answers, all labelled"


@check("CACHE-03")
def test_no_cache_in_the_request_forces_an_execution(repeated_requests: Probed, baseline: Probed) -> str:
    """`Cache-Control: no-cache` is answered by a new execution."""
    first, second = _answers(repeated_requests, "same_1", "same_2")
    _ids_tell_executions_apart(first, baseline)
    if repeated_requests.get("no_cache") is None and _id(first) != _id(second) and not _says_hit(second):
        return "equal requests are executed each without it, too"
    (fresh,) = _answers(repeated_requests, "no_cache")
    expect(
        _id(fresh) not in (_id(first), _id(second)) and not _says_hit(fresh),
        expected="a new execution for a request with Cache-Control: no-cache",
        seen=f"the answer {_id(fresh)} given before",
        at=fresh,
    )
    return "no-cache was answered by a new execution"


@check("CACHE-04")
def test_a_changed_request_is_never_answered_from_the_cache(
    repeated_requests: Probed, baseline: Probed
) -> str:
    """Another system prompt, seed or temperature is another request."""
    equal = _answers(repeated_requests, "same_1", "same_2")
    _ids_tell_executions_apart(equal[0], baseline)
    given = {_id(r) for r in equal}
    changed = [r for r in repeated_requests.some("changed_") if r.ok]
    if not changed:
        raise Inconclusive("no changed request was answered")
    for reading in changed:
        expect(
            _id(reading) not in given,
            expected=f"an execution of its own ({reading.role.replace('_', ' ')})",
            seen=f"the answer {_id(reading)} given before the change",
            at=reading,
        )
        given.add(_id(reading))
    return f"{len(changed)} changed requests, each executed"


@check("CACHE-05")
def test_a_seed_is_accepted_and_the_model_version_returned(repeated_requests: Probed) -> str:
    """A seed is taken, and the answer names what computed it, so that a change can be seen."""
    seeded = repeated_requests["changed_system_seed"]
    if not answered(repeated_requests["same_1"]).ok or seeded.status == 429:
        raise Inconclusive("the request without a seed was not answered either")
    expect(seeded.ok, expected="a request with a seed is answered", seen=f"status {seeded.status}", at=seeded)
    version = seeded.facts["model_version"]
    if version.state == "unsupported":
        raise NotOffered("the vendor's format has no model version")
    expect(version, expected="the model version beside a seed", seen="none", at=seeded, where=version.where)
    return f"the seed was accepted by {version.value}"


@check("CACHE-06")
def test_an_answer_never_crosses_tenants(repeated_requests: Probed, baseline: Probed) -> str:
    """The same request of another principal is executed for it."""
    if repeated_requests.get("tenant") is None:
        raise NotTested(repeated_requests.record.reason or "needs a second credential: --other-key")
    first, _ = _answers(repeated_requests, "same_1", "same_2")
    _ids_tell_executions_apart(first, baseline)
    own = {_id(r) for r in repeated_requests.all() if r.ok and r.role != "tenant"}
    (tenant,) = _answers(repeated_requests, "tenant")
    expect(
        _id(tenant) not in own,
        expected="an execution of its own for another principal",
        seen=f"the answer {_id(tenant)} of the first",
        at=tenant,
    )
    return "another principal got another execution"


def _answers(probed: Probed, *roles: str) -> list[Reading]:
    return [answered(probed[role]) for role in roles]


def _ids_tell_executions_apart(reading: Reading, baseline: Probed) -> None:
    """Some servers give every answer the same id, whatever was asked: then an id that comes again is no cache."""
    other = baseline.get("chat")
    if other is not None and other.ok and other.facts["response_id"] and identity(other) == _id(reading):
        raise Inconclusive(
            f"answers to different requests have the same id, {_id(reading)}: it proves nothing"
        )


def _id(reading: Reading) -> str:
    if not reading.facts["response_id"]:
        raise Inconclusive("the answers have no id, so a repeated text proves nothing")
    return identity(reading)


def _says_hit(reading: Reading) -> bool:
    """A cache's own words: ``Cache-Status: …; hit`` (RFC 9211 section 2.1) or ``X-Cache: HIT``."""
    status = (reading.header("Cache-Status") or "").lower().replace(" ", "")
    marked = any(";hit" in member and ";hit=?0" not in member for member in status.split(","))
    return marked or "hit" in (reading.header("X-Cache") or "").lower()
