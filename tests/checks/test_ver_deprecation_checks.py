"""Checks of deprecation, retirement and compatibility on recorded bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from building import BASE_URL, answer, gathered

from conformance.checks import test_ver_deprecation as ver
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation
from spec.document import load_document

OLD, NEW = "atlas-0-2025-09-01", "atlas-1-2026-06-01"
LISTED = {
    "data": [
        {"id": NEW, "deprecated_at": None, "sunset_at": None},
        {"id": OLD, "deprecated_at": "2026-08-01T00:00:00Z", "sunset_at": "2027-09-01T00:00:00Z"},
    ]
}
LINK = f'</models/{OLD}>; rel="deprecation", </models/{NEW}>; rel="successor-version"'
NOTICE = {"Deprecation": "@1785542400", "Sunset": "Wed, 01 Sep 2027 00:00:00 GMT", "Link": LINK}
TARGET = {"base_url": BASE_URL}


def pair(
    role: str, model: str, version: str = "2026-11-01", asked: str | None = None, **more: Any
) -> Reading:
    sent = {} if asked is None else {"API-Version": asked}
    body = {"metadata": {"model_version": model}}
    return answer(body, role=role, headers={"API-Version": version}, sent_headers=sent, **more)


def matrix(*changed: Reading) -> Probed:
    pairs = {f"pinned:{m}": pair(f"pinned:{m}", m) for m in "ab"}
    pairs |= {f"older:1:{m}": pair(f"older:1:{m}", m, "1", "1") for m in "ab"}
    pairs |= {r.role: r for r in changed}
    return gathered("model_versions", *pairs.values())


def test_ver_07_wants_each_pair() -> None:
    check = ver.test_interface_and_model_versions_are_independent
    assert check(matrix()) == "4 pairs"
    for bad in (
        pair("older:1:a", "b", "1", "1"),
        pair("older:1:a", "a", "2026-11-01", "1"),
        pair("pinned:b", "b", "1"),
        pair("older:1:b", "b", "1", "1", status=400),
    ):
        with pytest.raises(Violation):
            check(matrix(bad))
    with pytest.raises(NotTested):
        check(gathered("model_versions", pair("pinned:a", "a"), pair("pinned:b", "b")))
    with pytest.raises(NotTested):
        check(matrix(pair("older:1:a", "a", status=429)))


def deprecated(*links: Reading, listed: Any = LISTED, operation: Any = NOTICE, model: Any = NOTICE) -> Probed:
    return gathered(
        "deprecated",
        answer(listed, role="models", operation="models"),
        answer({"input_tokens": 3}, role="operation", operation="count_tokens", headers=operation),
        answer({"metadata": {"model_version": OLD}}, role="model", headers=model, params={"model": OLD}),
        *links,
    )


def link(status: int) -> Reading:
    return answer({}, status=status, role=f"link:{BASE_URL}/models/{NEW}", operation="raw")


def test_ver_12_wants_a_successor_and_links_that_lead_somewhere() -> None:
    check = ver.test_deprecations_link_to_their_successor
    check(deprecated(link(200), link(405)))
    bare = {k: v for k, v in NOTICE.items() if k != "Link"}
    for bad in (
        deprecated(link(404)),
        deprecated(link(410)),
        deprecated(model=bare),
        deprecated(operation={**bare, "Link": '</x>; rel="deprecation"'}),
    ):
        with pytest.raises(Violation):
            check(bad)
    with pytest.raises(NotTested):
        check(deprecated(operation={}, model={}))


def described(**operations: bool) -> Probed:
    paths = {f"/{name}": {"post": {"deprecated": old, "responses": {}}} for name, old in operations.items()}
    document = {"openapi": "3.2.0", "info": {"version": "1.0.0"}, "paths": paths}
    return gathered("self_description", answer(document, role="public:description", operation="description"))


def test_ver_13_wants_headers_and_description_to_agree() -> None:
    check = ver.test_the_description_and_the_headers_agree_on_deprecation
    description = described(count=True, chat=False)
    old = answer({"input_tokens": 3}, path="/count", headers=NOTICE)
    new = answer({"metadata": {"model_version": NEW}}, path="/chat")
    old_model = answer({"metadata": {"model_version": OLD}}, path="/chat", headers=NOTICE)
    refused = answer({"error": {}}, status=401, path="/count")
    check(description, deprecated(), (old, new, old_model, refused), TARGET)
    for bad in (
        answer({}, path="/count"),
        answer({}, path="/count", headers={"Deprecation": "@1785542400"}),
        answer({"metadata": {"model_version": NEW}}, path="/chat", headers=NOTICE),
    ):
        with pytest.raises(Violation):
            check(description, deprecated(), (old, new, bad), TARGET)
    with pytest.raises(NotTested):
        check(description, deprecated(), (new,), TARGET)
    with pytest.raises(Inconclusive):
        check(
            gathered("self_description", answer("<html>", role="public:description")),
            deprecated(),
            (old,),
            TARGET,
        )


def served(edit: Callable[[dict[str, Any]], Any] = lambda _: None) -> Probed:
    document = copy.deepcopy(load_document())
    edit(document)
    return gathered("self_description", answer(document, role="public:description", operation="description"))


def test_ver_14_wants_nothing_taken_away() -> None:
    check = ver.test_the_description_breaks_no_client_of_an_earlier_release
    assert "1.0.0" in check(served())
    check(served(lambda d: d["paths"].update({"/new": {"get": {"responses": {}}}})))
    for edit in (
        lambda d: d["paths"].pop("/estimate"),
        lambda d: d["components"]["schemas"]["Estimate"]["properties"].pop("exact"),
        lambda d: d["components"]["schemas"]["ChatRequest"]["required"].append("model"),
    ):
        with pytest.raises(Violation):
            check(served(edit))
    with pytest.raises(NotTested):
        check(served(lambda d: d["info"].update(version="2.0.0")))
    for unclear in (
        lambda d: d["info"].update(version="next"),
        lambda d: d["components"]["schemas"].pop("Estimate"),
    ):
        with pytest.raises(Inconclusive):
            check(served(unclear))


def test_ver_16_does_not_expect_the_models_of_another_server() -> None:
    check = ver.test_a_retired_model_is_refused_with_its_successor
    body = {"error": {"code": "MODEL_NOT_FOUND", "message": "words", "details": {}}}
    unknown = answer(body, status=404, role="retired_model")
    with pytest.raises(NotTested, match="provocation"):
        check(gathered("retired_model", unknown, notes={"named_by_tester": False}))
    with pytest.raises(Violation):
        check(gathered("retired_model", unknown, notes={"named_by_tester": True}))


def gone(role: str, code: str, status: int = 410, successor: Any = "/estimate") -> Probed:
    body = {"error": {"code": code, "message": "words", "details": {"successor": successor}}}
    return gathered(role, answer(body, status=status, role=role))


@pytest.mark.parametrize(
    ("check", "role", "code"),
    [
        (ver.test_a_retired_operation_is_gone_and_says_what_follows, "retired_operation", "GONE"),
        (ver.test_a_retired_model_is_refused_with_its_successor, "retired_model", "MODEL_RETIRED"),
    ],
)
def test_ver_15_and_16_want_410_with_a_successor(
    check: Callable[[Probed], str], role: str, code: str
) -> None:
    check(gone(role, code))
    for bad in (
        gone(role, code, status=404),
        gone(role, "NOT_FOUND"),
        gone(role, code, successor=None),
        gathered(role, answer({"metadata": {"model_version": NEW}}, role=role)),
    ):
        with pytest.raises(Violation):
            check(bad)


def test_ver_17_wants_the_dates_of_the_list() -> None:
    check = ver.test_a_deprecated_model_says_so_with_each_answer
    check(deprecated())
    exact = {"id": OLD, "deprecated_at": "2026-08-01T00:00:00.75Z", "sunset_at": "2027-09-01T00:00:00.25Z"}
    check(deprecated(listed={"data": [exact]}))
    for bad in (
        {},
        {"Deprecation": NOTICE["Deprecation"]},
        {**NOTICE, "Deprecation": "@1785542401"},
        {**NOTICE, "Sunset": "Thu, 02 Sep 2027 00:00:00 GMT"},
        {**NOTICE, "Deprecation": "true"},
        {**NOTICE, "Sunset": "soon"},
    ):
        with pytest.raises(Violation):
            check(deprecated(model=bad))
    with pytest.raises(NotOffered):
        check(gathered("deprecated", answer({"data": []}, role="models")))
