"""AUTH: each check of scopes on evidence that keeps its sentence, and on evidence that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_auth_scopes as scopes
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, Violation

SCOPED = 'Bearer realm="api", error="insufficient_scope", scope="models:b:invoke"'


def forbidden(role: str, challenge: str | None = SCOPED, status: int = 403, **error: Any) -> Reading:
    body = {
        "error": {"code": "INSUFFICIENT_SCOPE", "details": {"required_scopes": ["models:b:invoke"]}} | error
    }
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return answer(body, role=role, status=status, headers=headers, principal="narrow")


def narrow(**changes: Reading) -> Probed:
    good = {
        "me": answer({"principal": "n", "tier": "t", "scopes": ["models:a:invoke"]}, role="me"),
        "list": forbidden("list"),
        "a1": answer({}, role="model:a-1"),
        "a": answer({}, role="model:a"),
        "b1": forbidden("model:b-1"),
        "b": forbidden("model:b"),
    }
    return gathered("narrow_key", *(good | changes).values(), notes={"models": [["a-1", "a"], ["b-1", "b"]]})


@pytest.mark.parametrize("place", ["list", "b1", "b"])
def test_auth_03_wants_403_with_the_missing_scopes(place: str) -> None:
    check, role = (
        scopes.test_a_missing_scope_is_403_and_named,
        {"list": "list", "b1": "model:b-1", "b": "model:b"}[place],
    )
    check(narrow())
    for bad in (
        answer({}, role=role),
        forbidden(role, status=401),
        forbidden(role, status=404),
        forbidden(role, code="FORBIDDEN"),
        forbidden(role, details={}),
        forbidden(role, details={"required_scopes": []}),
        forbidden(role, details=None),
    ):
        with pytest.raises(Violation):
            check(narrow(**{place: bad}))


def test_auth_37_wants_the_scope_in_the_challenge() -> None:
    check = scopes.test_a_missing_scope_is_in_the_challenge
    check(narrow())
    for bad in (
        None,
        "Basic realm=x",
        'Bearer error="invalid_token", scope="x"',
        'Bearer error="insufficient_scope"',
    ):
        with pytest.raises(Violation):
            check(narrow(b=forbidden("model:b", bad)))


def test_auth_07_wants_every_name_to_be_the_same_model() -> None:
    check = scopes.test_a_model_that_is_not_allowed_is_refused_by_every_name
    check(narrow())
    for bad in (
        {"b": answer({}, role="model:b")},
        {"a1": forbidden("model:a-1")},
        {"b1": answer({}, role="model:b-1")},
    ):
        with pytest.raises(Violation):
            check(narrow(**bad))
    everything = answer({"scopes": ["models:*:invoke"]}, role="me")
    free = {"b": answer({}, role="model:b"), "b1": answer({}, role="model:b-1")}
    with pytest.raises(Inconclusive, match="--narrow-key"):
        check(narrow(me=everything, **free))
    with pytest.raises(Inconclusive, match="AUTH-19"):
        check(narrow(me=answer({}, role="me")))


def test_a_key_that_may_do_everything_shows_nothing() -> None:
    free = {name: answer({}, role=f"model:{name}") for name in ("a-1", "a", "b-1", "b")}
    me = answer({"scopes": ["models:*:invoke", "models:read"]}, role="me")
    probe = gathered("narrow_key", me, *free.values(), notes={"models": [["a-1", "a"], ["b-1", "b"]]})
    for check in (
        scopes.test_a_missing_scope_is_403_and_named,
        scopes.test_a_missing_scope_is_in_the_challenge,
    ):
        with pytest.raises(Inconclusive, match="--narrow-key"):
            check(probe)


def test_auth_19_wants_the_caller_to_be_told() -> None:
    def run(body: dict[str, Any], status: int = 200) -> str:
        return scopes.test_the_caller_can_learn_who_it_is(
            gathered("caller", answer(body, role="me", status=status))
        )

    good = {"principal": "demo", "tier": "production", "scopes": []}
    run(good)
    for bad in ({"principal": ""}, {"tier": None}, {"scopes": None}, {"scopes": [1]}):
        with pytest.raises(Violation):
            run(good | bad)
    with pytest.raises(Violation):
        run(good, 404)
