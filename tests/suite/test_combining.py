"""Several peculiarities in one request; and apart where its answer does not show that each was taken as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from scripted_api import Answering, Asked, Reply, api

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence
from conformance.probes.combining import INVALID_TRACEPARENTS
from conformance.probes.http_edges import contract_edges
from conformance.probes.idempotency import idempotent_keys
from conformance.probes.synchronous import degenerate_inputs
from conformance.probes.trace import traceparent_invalid
from conformance.reading import Probed, probed, readings_of
from conformance.run import Run
from conformance.session import COMBINED, Session
from conformance.target import Target
from conformance.wire.http import Wire

DIALECT = load_dialect("contract")
TRACE = "0af7651916cd43dd8448eb211c80319c"
WRONG = ["/messages/0/role", "/temperature", "/max_output_tokens"]


def answered(asked: Asked, trace: str = TRACE) -> Reply:
    kept = (
        {"idempotency": {"expires_at": "2030-01-01T00:00:00Z"}}
        if asked.headers.get("idempotency-key")
        else {}
    )
    return Reply({"id": "c1", "metadata": {"trace_id": trace, **kept}})


def refused(*pointers: str) -> Reply:
    details = {"errors": [{"pointer": p, "message": "is wrong"} for p in pointers]}
    return Reply(
        {"error": {"code": "INVALID_REQUEST", "message": "no", "param": pointers[0], "details": details}}, 400
    )


def sent(probe: Callable[[Session], Awaitable[None]], answering: Answering) -> tuple[Probed, Evidence]:
    """What the probe has in hand in the end, and all that was sent."""

    async def gather(url: str) -> Evidence:
        async with Wire() as wire:
            run = Run(Target(url, "contract", model="m", keys={"main": "sk-main-key"}), DIALECT, wire)
            session = Session(run, probe.__name__)
            await probe(session)
            records = {probe.__name__: session.record("done")}
            return Evidence({}, "contract", 0.0, 1.0, records, tuple(run.exchanges))

    with api(answering) as (url, _):
        evidence = asyncio.run(gather(url))
    return probed(evidence, readings_of(evidence, DIALECT), probe.__name__), evidence


def apart(evidence: Evidence) -> list[str]:
    return sorted(e.role for e in evidence.exchanges if e.probe != COMBINED)


@pytest.mark.parametrize("probe", [traceparent_invalid, degenerate_inputs])
def test_nothing_is_asked_alone_of_a_server_that_takes_it_all(
    probe: Callable[[Session], Awaitable[None]],
) -> None:
    found, evidence = sent(probe, answered)
    assert apart(evidence) == (
        [] if probe is traceparent_invalid else ["classify:empty", "classify:one_char"]
    )
    assert len(list(found)) >= len(INVALID_TRACEPARENTS)
    assert all(r.ok for r in found)


def test_the_traceparent_that_is_refused_is_sent_alone() -> None:
    def strict(asked: Asked) -> Reply:
        given = asked.headers.get("traceparent")
        return refused("/traceparent") if given == INVALID_TRACEPARENTS["upper_case"] else answered(asked)

    found, evidence = sent(traceparent_invalid, strict)
    assert apart(evidence) == ["upper_case"]
    assert {r.role: r.status for r in found} == {
        "zero": 200,
        "upper_case": 400,
        "version_ff": 200,
        "short": 200,
    }


def test_the_traceparent_that_is_taken_over_is_sent_alone() -> None:
    def naive(asked: Asked) -> Reply:
        return answered(asked, (asked.headers.get("traceparent") or TRACE).split("-")[1].lower())

    _, evidence = sent(traceparent_invalid, naive)
    assert {"zero", "version_ff"} <= set(apart(evidence))


def test_the_longest_key_counts_only_where_it_is_honoured() -> None:
    _, evidence = sent(idempotent_keys, lambda asked: Reply({"id": "c1", "metadata": {}}))
    assert "longest" in apart(evidence)
    _, evidence = sent(idempotent_keys, answered)
    assert "longest" not in apart(evidence)


@pytest.mark.parametrize("listed", [WRONG, WRONG[:1]])
def test_fields_that_the_refusal_does_not_list_are_sent_alone(listed: list[str]) -> None:
    found, evidence = sent(contract_edges, lambda asked: refused(*listed) if asked.body else Reply({}, 404))
    alone = [role for role in apart(evidence) if role.startswith("invalid:/") and role != "invalid:/messages"]
    assert alone == sorted(f"invalid:{pointer}" for pointer in WRONG if pointer not in listed)
    assert "unknown_field" in apart(evidence)
    assert {f"invalid:{p}" for p in WRONG} <= {r.role for r in found}
