"""Each CACHE check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_cache as cache
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

ROLES = ("same_1", "same_2", "no_cache", "changed_system_seed", "changed_seed", "tenant")
HIT = {"Cache-Status": "ai-response; hit; ttl=1200"}


def completion(role: str, id_: str, headers: Any = (), **more: Any) -> Reading:
    body = {
        "id": id_,
        "object": "chat.completion",
        "model": "atlas-1-2026-06-01",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Light."}, "finish_reason": "stop"}
        ],
    }
    return answer({**body, **more}, role=role, headers=headers, speaks="openai-chat")


def repeated(**changed: Reading) -> Probed:
    honest = {role: completion(role, f"chatcmpl-{n}") for n, role in enumerate(ROLES)}
    return gathered("repeated_requests", *(honest | changed).values())


OTHER = gathered("baseline", completion("chat", "chatcmpl-other"))
EXECUTED, LABELLED, NO_CACHE, CHANGED, SEED, TENANT = (
    partial(cache.test_equal_requests_without_a_key_are_executed_each, baseline=OTHER),
    partial(cache.test_a_cached_answer_is_labelled, baseline=OTHER),
    partial(cache.test_no_cache_in_the_request_forces_an_execution, baseline=OTHER),
    partial(
        cache.test_a_changed_request_is_never_answered_from_the_cache,
        baseline=OTHER,
    ),
    cache.test_a_seed_is_accepted_and_the_model_version_returned,
    partial(cache.test_an_answer_never_crosses_tenants, baseline=OTHER),
)
BAD = {
    "cached": (EXECUTED, repeated(same_2=completion("same_2", "chatcmpl-0"))),
    "labelled, but nobody asked for it": (EXECUTED, repeated(same_2=completion("same_2", "chatcmpl-1", HIT))),
    "unlabelled": (LABELLED, repeated(same_2=completion("same_2", "chatcmpl-0"))),
    "labelled as a miss": (
        LABELLED,
        repeated(same_2=completion("same_2", "chatcmpl-0", {"Cache-Status": "ai; hit=?0; fwd=miss"})),
    ),
    "no-cache ignored": (NO_CACHE, repeated(no_cache=completion("no_cache", "chatcmpl-1"))),
    "system prompt not in the key": (
        CHANGED,
        repeated(changed_system_seed=completion("changed_system_seed", "chatcmpl-0")),
    ),
    "seed not in the key": (CHANGED, repeated(changed_seed=completion("changed_seed", "chatcmpl-3"))),
    "no version": (
        SEED,
        repeated(changed_system_seed=completion("changed_system_seed", "chatcmpl-3", model=None)),
    ),
    "seed refused": (
        SEED,
        repeated(
            changed_system_seed=answer({}, status=400, role="changed_system_seed", speaks="openai-chat")
        ),
    ),
    "shared": (TENANT, repeated(tenant=completion("tenant", "chatcmpl-0"))),
    "shared, renewed by no-cache": (TENANT, repeated(tenant=completion("tenant", "chatcmpl-2"))),
}


@pytest.mark.parametrize("check", [EXECUTED, NO_CACHE, CHANGED, SEED, TENANT])
def test_an_honest_server_passes(check: Any) -> None:
    assert check(repeated())


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Probed) -> None:
    with pytest.raises(Violation):
        check(evidence)


def test_where_equal_requests_are_executed_each_no_cache_need_not_be_asked_for() -> None:
    def without(**changed: Reading) -> Probed:
        probed = repeated(**changed)
        return gathered("repeated_requests", *(r for r in probed if r.role != "no_cache"))

    assert "executed each" in str(NO_CACHE(without()))
    for cached in (completion("same_2", "chatcmpl-0"), completion("same_2", "chatcmpl-1", HIT)):
        with pytest.raises(NotTested):
            NO_CACHE(without(same_2=cached))


def test_a_labelled_hit_is_allowed() -> None:
    assert LABELLED(repeated(same_2=completion("same_2", "chatcmpl-0", HIT)))
    assert LABELLED(repeated(same_2=completion("same_2", "chatcmpl-0", {"Age": "12"})))


def test_equal_text_is_no_cache_hit() -> None:
    """All answers above say the same; only the ids tell executions apart."""
    with pytest.raises(NotOffered):
        LABELLED(repeated())


def test_answers_without_an_id_prove_nothing() -> None:
    without = {role: completion(role, "x", id=None) for role in ROLES}
    with pytest.raises(Inconclusive):
        EXECUTED(repeated(**without))


@pytest.mark.parametrize("check", [EXECUTED, LABELLED, NO_CACHE, CHANGED, TENANT])
def test_an_id_that_every_answer_has_proves_nothing(check: Any) -> None:
    """LiteLLM's `mock_response` has one constant id on /v1/messages, whatever is asked."""
    constant = {role: completion(role, "msg_1") for role in ROLES}
    with pytest.raises(Inconclusive, match="different requests have the same id"):
        check(repeated(**constant), baseline=gathered("baseline", completion("chat", "msg_1")))


def test_without_a_second_key_tenants_are_not_tested() -> None:
    with pytest.raises(NotTested, match="--other-key"):
        TENANT(gathered("repeated_requests", completion("same_1", "a"), completion("same_2", "b")))


def test_a_refused_request_is_nothing_to_compare() -> None:
    with pytest.raises(Inconclusive):
        EXECUTED(repeated(same_2=answer({}, status=500, role="same_2", speaks="openai-chat")))


def test_one_change_at_a_time_is_seen_too() -> None:
    assert CHANGED(repeated(changed_temperature=completion("changed_temperature", "chatcmpl-9")))
    with pytest.raises(Violation):
        CHANGED(repeated(changed_temperature=completion("changed_temperature", "chatcmpl-0")))
