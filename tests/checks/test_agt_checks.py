"""Each AGT and BOX check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_agt as agt
from conformance.checks import test_agt_actions as acts
from conformance.checks import test_box as box
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

SCHEMA = {"type": "object", "required": ["expression"], "properties": {"expression": {"type": "string"}}}
TOOLS = {"data": [{"name": "calculator", "parameters": SCHEMA, "granted": True}]}


def call(n: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "id": f"call_{n}", "name": "calculator", "arguments": {"expression": "1"}, "status": "succeeded", "step": 1,
        "attempt": 1, "result": {"value": "1"}, "error": None, "side_effects": "none",
        "started_at": "2026-11-24T12:00:00Z", "finished_at": "2026-11-24T12:00:00Z", "latency_ms": 1, **changed,
    }  # fmt: skip


def failed(n: int = 1, **changed: Any) -> dict[str, Any]:
    error = {"code": "EXECUTION_FAILED", "message": "No.", "retryable": True}
    return call(n, **{"status": "failed", "result": None, "error": error, **changed})


def run(
    role: str,
    *calls: dict[str, Any],
    finish: str = "stop",
    steps: int = 1,
    params: Any = None,
    **changed: Any,
) -> Reading:
    trace = [{"tool_call_id": c["id"], "name": c["name"]} for c in calls]
    body = {
        "id": "run_1", "status": "complete", "finish_reason": finish, "steps": steps, "tool_calls": list(calls),
        "metadata": {"tool_trace": trace}, **changed,
    }  # fmt: skip
    return answer(body, role=role, operation="agent_run", params=params or {})


def error(role: str, status: int, code: str, **details: Any) -> Reading:
    body = {"error": {"code": code, "message": "No.", "details": details, "retryable": False}}
    return answer(body, status=status, role=role, operation="agent_run")


def book(role: str, entries: int) -> Reading:
    return run(role, call(9, name="list_entries", result=[{"entry_id": str(n)} for n in range(entries)]))


def tools(*readings: Reading) -> Probed:
    return gathered("agent_tools", answer(TOOLS, role="tools", operation="tools"), *readings)


DETAILS = {"tool": "t", "tool_call_id": "call_1", "attempt": 1, "retryable": False, "side_effects": "none"}
WAIT = run(
    "waiting",
    call(1, status="pending_approval", result=None),
    finish="requires_action",
    status="requires_action",
)
DECISIONS = {
    "decisions": [{"tool_call_id": "call_1", "approve": True}, {"tool_call_id": "call_2", "approve": False}]
}
DENIED = failed(2, status="denied")


def approval(*changed: Reading) -> Probed:
    """An honest run with two calls; readings given replace those of the same role."""
    decided = run("decided", call(1, side_effects="committed"), DENIED, params=DECISIONS)
    again = run("decided_again", call(1, side_effects="committed"), DENIED, params=DECISIONS)
    honest = [
        WAIT, error("unknown_call", 400, "INVALID_REQUEST"),
        error("missing_decision", 400, "INVALID_REQUEST"), book("ledger_refused", 0), decided, again,
        book("ledger_after", 1), run("read"), error("read_by_other", 404, "RUN_NOT_FOUND"),
    ]  # fmt: skip
    roles = {r.role for r in changed}
    return gathered("agent_approval", *[r for r in honest if r.role not in roles], *changed)


def failure(told: str, entries: int, **changed: Any) -> Probed:
    return gathered(
        "agent_failure",
        error("terminal", 424, "TOOL_EXECUTION_FAILED", **{**DETAILS, **changed}),
        error("acted", 424, "TOOL_EXECUTION_FAILED", **{**DETAILS, "side_effects": told}),
        book("ledger", entries),
    )


def scopes(*calls: dict[str, Any], entries: int = 0, granted: bool = False, injected: Any = None) -> Probed:
    listed = {"data": [{"name": "record_entry", "parameters": {}, "granted": granted}]}
    return gathered(
        "agent_scopes",
        run(
            "injected",
            injected or call(1, name="search"),
            failed(2, name="record_entry", status="pending_approval"),
        ),
        answer(listed, role="tools_of_other", operation="tools"),
        run("unscoped", *calls),
        book("ledger_of_other", entries),
    )


def sandbox(names: Any, status: int = 400, code: str = "INVALID_REQUEST") -> Probed:
    body = {"capabilities": {"sandbox": {"scenarios": names}}}
    return gathered("sandbox", answer(body, role="capabilities"), error("unknown_scenario", status, code))


def provoked(status: int, code: str) -> tuple[Reading, ...]:
    reading = answer({"error": {"code": code}}, status=status, params={"sandbox": {"scenario": "slow"}})
    return (reading,)


STEPS = {"params": {"max_steps": 3}}
CALLS = {"params": {"max_tool_calls": 2}}
CUT = call(1, status="incomplete", result=None, arguments=None)
FORBIDDEN = failed(1, name="record_entry", status="denied")
GOOD: list[tuple[Any, Any]] = [
    (agt.test_arguments_match_the_schema_or_the_call_failed, tools(run("use", call()), run("bad_json", failed(arguments=None)))),
    (agt.test_a_call_that_was_cut_off_is_not_run, tools(run("cut", CUT, finish="length"))),
    (agt.test_a_call_that_was_cut_off_is_not_run, tools(run("cut", finish="length"))),
    (agt.test_a_failure_without_consequences_is_told_inside_200, tools(run("error", failed(), call(2)))),
    (agt.test_limits_end_the_run_with_their_name, tools(run("loop_steps", call(), finish="max_steps", steps=3, **STEPS), run("loop_calls", call(), call(2), finish="max_tool_calls", **CALLS))),
    (agt.test_each_call_can_be_traced, tools(run("use", call(), call(2)))),
    (agt.test_tool_choice_is_obeyed, tools(run("none"), run("required", call()))),
    (agt.test_tool_choice_is_obeyed, tools(run("none"), error("required", 422, "INVALID_REQUEST"))),
    (agt.test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on, tools(run("unknown", failed(name="no_such_tool")))),
    (agt.test_calls_side_by_side_can_be_told_apart, tools(run("use", call(), call(2)))),
    (acts.test_decisions_must_fit_the_calls_that_wait, approval()),
    (acts.test_nothing_acts_before_its_approval, approval()),
    (acts.test_a_repeated_request_acts_once, approval()),
    (acts.test_a_refused_call_is_denied_and_never_run, approval()),
    (acts.test_a_run_belongs_to_its_caller, approval()),
    (acts.test_a_failure_that_ends_the_run_is_424, failure("committed", 1)),
    *((acts.test_side_effects_are_admitted, failure(told, n)) for told, n in (("committed", 1), ("possible", 1), ("possible", 0), ("none", 0))),
    (acts.test_scopes_hold_at_the_tool, scopes(FORBIDDEN)),
    (acts.test_what_a_tool_brings_in_gives_no_rights, scopes(FORBIDDEN)),
    (box.test_scenarios_are_listed, sandbox(["slow", "fast"])),
    (box.test_an_unknown_scenario_is_refused, sandbox(["slow"])),
]  # fmt: skip
BAD: dict[str, tuple[Any, Any]] = {
    "arguments against the schema": (agt.test_arguments_match_the_schema_or_the_call_failed, tools(run("use", call(arguments={"expr": 1})))),
    "a tool that is not listed": (agt.test_arguments_match_the_schema_or_the_call_failed, tools(run("use", call(name="other")))),
    "half a call is run": (agt.test_a_call_that_was_cut_off_is_not_run, tools(run("cut", call(), finish="length"))),
    "half a call and stop": (agt.test_a_call_that_was_cut_off_is_not_run, tools(run("cut", CUT, finish="stop"))),
    "half a call waits": (agt.test_a_call_that_was_cut_off_is_not_run, tools(run("cut", call(status="pending_approval", result=None), finish="length"))),
    "a failure is hidden": (agt.test_a_failure_without_consequences_is_told_inside_200, tools(run("error", call()))),
    "a failure without error": (agt.test_a_failure_without_consequences_is_told_inside_200, tools(run("error", failed(error=None)))),
    "a failure is 500": (agt.test_a_failure_without_consequences_is_told_inside_200, tools(error("error", 500, "INTERNAL"))),
    "too many steps": (agt.test_limits_end_the_run_with_their_name, tools(run("loop_steps", call(), finish="max_steps", steps=4, **STEPS))),
    "too many calls": (agt.test_limits_end_the_run_with_their_name, tools(run("loop_calls", call(), call(2), call(3), finish="max_tool_calls", **CALLS))),
    "an unnamed limit": (agt.test_limits_end_the_run_with_their_name, tools(run("loop_steps", call(), steps=3, **STEPS))),
    "a call without times": (agt.test_each_call_can_be_traced, tools(run("use", call(started_at=None)))),
    "a call without latency": (agt.test_each_call_can_be_traced, tools(run("use", call(latency_ms="1")))),
    "a call without trace": (agt.test_each_call_can_be_traced, tools(run("use", call(), metadata={}))),
    "a call under none": (agt.test_tool_choice_is_obeyed, tools(run("none", call()), run("required", call()))),
    "no call under required": (agt.test_tool_choice_is_obeyed, tools(run("none"), run("required"))),
    "an unknown tool succeeds": (agt.test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on, tools(run("unknown", call(name="no_such_tool")))),
    "an unknown tool is 500": (agt.test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on, tools(error("unknown", 500, "INTERNAL"))),
    "one id for two calls": (agt.test_calls_side_by_side_can_be_told_apart, tools(run("use", call(), call()))),
    "no result": (agt.test_calls_side_by_side_can_be_told_apart, tools(run("use", call(), call(2, result=None)))),
    "a wrong decision is taken": (acts.test_decisions_must_fit_the_calls_that_wait, approval(run("unknown_call"))),
    "a missing decision is 500": (acts.test_decisions_must_fit_the_calls_that_wait, approval(error("missing_decision", 500, "INTERNAL"))),
    "acts without approval": (acts.test_nothing_acts_before_its_approval, approval(book("ledger_before", 1))),
    "acts on a refused decision": (acts.test_nothing_acts_before_its_approval, approval(book("ledger_refused", 1))),
    "does not wait": (acts.test_nothing_acts_before_its_approval, approval(run("waiting", call()))),
    "acts twice": (acts.test_a_repeated_request_acts_once, approval(book("ledger_after", 2))),
    "another answer": (acts.test_a_repeated_request_acts_once, approval(run("decided_again", call(3), params=DECISIONS))),
    "a refused call runs": (acts.test_a_refused_call_is_denied_and_never_run, approval(run("decided", call(1), call(2), params=DECISIONS))),
    "a refused call is lost": (acts.test_a_refused_call_is_denied_and_never_run, approval(run("decided", call(1), params=DECISIONS))),
    "a refused call left an entry": (acts.test_a_refused_call_is_denied_and_never_run, approval(book("ledger_after", 2))),
    "runs are open": (acts.test_a_run_belongs_to_its_caller, approval(run("read_by_other"))),
    "a failure is 200": (acts.test_a_failure_that_ends_the_run_is_424, gathered("p", run("terminal"))),
    "a failure is 502": (acts.test_a_failure_that_ends_the_run_is_424, gathered("p", error("terminal", 502, "TOOL_EXECUTION_FAILED", **DETAILS))),
    "side effects not declared": (acts.test_a_failure_that_ends_the_run_is_424, failure("none", 0, side_effects=None)),
    "nothing happened": (acts.test_side_effects_are_admitted, failure("none", 1)),
    "it happened": (acts.test_side_effects_are_admitted, failure("committed", 0)),
    "no scope, and it runs": (acts.test_scopes_hold_at_the_tool, scopes(call(name="record_entry"))),
    "denied in words": (acts.test_scopes_hold_at_the_tool, scopes(FORBIDDEN, entries=1)),
    "a document acts": (acts.test_what_a_tool_brings_in_gives_no_rights, scopes(FORBIDDEN, injected=call(name="record_entry", side_effects="committed"))),
    "no scenarios": (box.test_scenarios_are_listed, sandbox([])),
    "a scenario twice": (box.test_scenarios_are_listed, sandbox(["slow", "slow"])),
    "an unknown scenario is ignored": (box.test_an_unknown_scenario_is_refused, gathered("sandbox", answer({}, role="unknown_scenario"))),
}  # fmt: skip


@pytest.mark.parametrize(("check", "evidence"), GOOD)
def test_an_honest_server_passes(check: Any, evidence: Probed) -> None:
    assert check(evidence)


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Probed) -> None:
    with pytest.raises(Violation):
        check(evidence)


def test_listed_scenarios_have_to_work() -> None:
    assert box.test_listed_scenarios_are_accepted(sandbox(["slow"]), provoked(504, "MODEL_TIMEOUT"))
    with pytest.raises(Violation):
        box.test_listed_scenarios_are_accepted(sandbox(["slow"]), provoked(400, "INVALID_REQUEST"))
    with pytest.raises(NotTested):
        box.test_listed_scenarios_are_accepted(sandbox(["other"]), provoked(504, "MODEL_TIMEOUT"))


@pytest.mark.parametrize(
    ("check", "evidence", "signal"),
    [
        (agt.test_calls_side_by_side_can_be_told_apart, tools(run("use", call())), Inconclusive),
        (agt.test_each_call_can_be_traced, tools(run("use")), Inconclusive),
        (agt.test_limits_end_the_run_with_their_name, tools(), NotTested),
        (
            agt.test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on,
            tools(run("unknown", failed())),
            Inconclusive,
        ),
        (
            agt.test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on,
            tools(error("unknown", 503, "MODEL_OVERLOADED")),
            Inconclusive,
        ),
        (agt.test_arguments_match_the_schema_or_the_call_failed, tools(run("use", failed())), Inconclusive),
        (acts.test_a_run_belongs_to_its_caller, gathered("agent_approval", run("read")), NotTested),
        (
            acts.test_decisions_must_fit_the_calls_that_wait,
            gathered("agent_approval", run("waiting", call())),
            Inconclusive,
        ),
        (acts.test_a_repeated_request_acts_once, approval(book("ledger_after", 0)), Inconclusive),
        (
            acts.test_side_effects_are_admitted,
            gathered("agent_failure", error("acted", 503, "MODEL_OVERLOADED")),
            Inconclusive,
        ),
        (acts.test_side_effects_are_admitted, gathered("agent_failure"), NotTested),
        (acts.test_scopes_hold_at_the_tool, scopes(call(name="record_entry"), granted=True), NotTested),
    ],
)
def test_what_was_not_seen_is_not_judged(check: Any, evidence: Probed, signal: type[Exception]) -> None:
    with pytest.raises(signal):
        check(evidence)
