"""What is advertised is held against what was seen."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from conformance.claims import DOCUMENT, LIST, TESTER, Claim, claims_of, document_claims
from conformance.dialects.model import load_dialect
from conformance.evidence import Chunk, Evidence, Exchange, ProbeRecord, Sent
from conformance.judge import judge
from conformance.registry import CHECKS, load_all
from conformance.verdict import Result, Verdict
from spec.catalogue import requirements
from spec.document import load_document

load_all()
CONTRACT, OPENAI = load_dialect("contract"), load_dialect("openai-chat")


def told(operation: str, body: Any, number: int = 1) -> Exchange:
    return Exchange(
        f"x{number:04}", "self_description", f"public:{operation}", operation, "none", {},
        Sent("GET", f"http://127.0.0.1/{operation}"), time.time(), 200, "HTTP/1.1",
        (("Content-Type", "application/json"),), 0.1, (Chunk(0.1, json.dumps(body).encode()),), 0.1,
    )  # fmt: skip


def evidence(*exchanges: Exchange, dialect: str = "contract", declared: Any = None) -> Evidence:
    target = {
        "base_url": "http://127.0.0.1",
        **({"declared": {"capabilities": declared}} if declared else {}),
    }
    return Evidence(
        target, dialect, 0.0, 0.0, {"self_description": ProbeRecord("self_description", "done")}, exchanges
    )


def verdicts(changes: dict[str, Result], rest: Result = Result.NOT_TESTED) -> list[Verdict]:
    return [
        Verdict(r.id, r.level, r.capability, changes.get(r.id, rest), "so", check="t")
        for r in requirements().values()
    ]


def claim(found: tuple[Claim, ...], name: str) -> Claim | None:
    return next((c for c in found if c.capability == name), None)


def capabilities(*names: str) -> Exchange:
    return told("capabilities", {"capabilities": {key: {} for key in ("core", *names)}})


def test_one_listed_and_broken_is_not_kept() -> None:
    found = claims_of(
        evidence(capabilities("streaming")), CONTRACT, verdicts({"SSE-04": Result.FAIL}), requirements()
    )
    streaming = claim(found, "streaming")
    assert streaming == Claim("streaming", (LIST,), "not kept", "SSE-04 failed")


def test_one_listed_and_kept() -> None:
    found = claims_of(
        evidence(capabilities("streaming")), CONTRACT, verdicts({"SSE-04": Result.PASS}), requirements()
    )
    streaming = claim(found, "streaming")
    assert streaming is not None
    assert streaming.state == "kept"


def test_one_declared_by_the_tester_that_no_answer_shows_fails() -> None:
    seen = {r.id: Result.NOT_OFFERED for r in requirements().values() if r.capability == "usage"}
    found = claims_of(
        evidence(dialect="openai-chat", declared={"usage": "offered"}), OPENAI, verdicts(seen), requirements()
    )
    usage = claim(found, "usage")
    assert usage is not None
    assert (usage.sources, usage.state, usage.unshown) == ((TESTER,), "not kept", True)


def test_what_was_not_tested_accuses_nobody() -> None:
    found = claims_of(evidence(capabilities("idempotency")), CONTRACT, verdicts({}), requirements())
    idempotency = claim(found, "idempotency")
    assert idempotency is not None
    assert (idempotency.state, idempotency.unshown) == ("not judged", False)


def test_what_only_our_own_format_can_show_accuses_no_vendor() -> None:
    """The vendor's document names an Idempotency-Key; the requirements of it are our contract's own."""
    document = {"paths": {"/chat": {"post": {"parameters": [{"name": "Idempotency-Key", "in": "header"}]}}}}
    found = claims_of(
        evidence(dialect="openai-chat"),
        OPENAI,
        verdicts({}, Result.NOT_OFFERED),
        requirements(),
        document,
    )
    idempotency = claim(found, "idempotency")
    assert idempotency is not None
    assert (idempotency.sources, idempotency.state, idempotency.unshown) == ((DOCUMENT,), "not judged", False)


def test_the_testers_word_against_the_targets_accuses_nobody() -> None:
    found = claims_of(
        evidence(capabilities("streaming"), declared={"streaming": "not_offered"}),
        CONTRACT,
        verdicts({}, Result.NOT_OFFERED),
        requirements(),
    )
    streaming = claim(found, "streaming")
    assert streaming is not None
    assert (streaming.state, streaming.unshown) == ("not judged", False)


def test_one_kept_and_not_listed_is_noted() -> None:
    limited = told("capabilities", {"capabilities": {"core": {}}})
    headers = (
        ("Content-Type", "application/json"),
        ("RateLimit-Policy", '"req";q=60;w=60'),
        ("RateLimit", '"req";r=59;t=60'),
    )
    answers = tuple(
        Exchange(
            f"x1{i:03}", "baseline", "chat", "chat", "main", {}, Sent("POST", "http://127.0.0.1/chat"),
            time.time(), 200, "HTTP/1.1", headers, 0.1, (Chunk(0.1, b"{}"),), 0.1,
        )
        for i in range(2)
    )  # fmt: skip
    found = evidence(limited, *answers)
    judged = judge(found, CONTRACT, requirements().values(), CHECKS)
    assert {v.result for v in judged if v.capability == "rate_limits"} == {Result.NOT_OFFERED}
    noted = claim(claims_of(found, CONTRACT, judged, requirements()), "rate_limits")
    assert noted is not None
    assert (noted.state, noted.sources) == ("not advertised", ())


def test_a_target_that_advertises_nowhere_has_no_claims() -> None:
    found = claims_of(
        evidence(dialect="openai-chat"), OPENAI, verdicts({"SSE-04": Result.PASS}), requirements()
    )
    assert found == ()


def test_the_contracts_own_document_promises_what_it_describes() -> None:
    assert set(document_claims(load_document())) == {
        "idempotency",
        "rate_limits",
        "streaming",
        "trace",
        "versioning",
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"paths": None},
        {"paths": {"/x": {"get": None, "post": 3}}},
        {"paths": {"/x": {"get": {"responses": {"200": {"$ref": "#/a"}}}}}, "a": {"$ref": "#/a"}},
        {"paths": {"/x": {"get": {"parameters": [{"$ref": "http://127.0.0.1/x"}, 3, {"name": 4}]}}}},
        {"paths": [1]},
    ],
)
def test_a_damaged_document_promises_nothing(document: dict[str, Any]) -> None:
    assert document_claims(document) == ()
