"""AGT: a model that uses tools, within limits, and honest about what failed."""

from __future__ import annotations

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from conformance.checks.tool_evidence import (
    calls_of,
    expect_member,
    run_answer,
    some_calls,
    summary,
    told_inside,
    tool_schemas,
)
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect
from conformance.wire.strict_json import NOT_JSON

RAN = ("succeeded", "failed")
LIMITS = {"loop_steps": "max_steps", "loop_calls": "max_tool_calls"}


@check("AGT-01")
def test_arguments_match_the_schema_or_the_call_failed(agent_tools: Probed) -> str:
    """A call that succeeded has arguments that its tool's published schema allows."""
    tools = tool_schemas(agent_tools["tools"])
    judged = 0
    for role in ("use", "wrong_arguments", "bad_json", "error"):
        if agent_tools.get(role) is None:
            continue
        reading = run_answer(agent_tools, role)
        for n, call in enumerate(calls_of(reading)):
            if call.get("status") != "succeeded":
                continue
            schema = tools.get(str(call.get("name")), {}).get("parameters")
            expect(
                isinstance(schema, dict),
                expected="a tool that is listed with its schema",
                seen=call.get("name"),
                at=reading,
                where=f"/tool_calls/{n}/name",
            )
            try:
                fits = Draft202012Validator(schema or {}).is_valid(call.get("arguments"))
            except SchemaError as error:
                raise Inconclusive(
                    f"the schema of {call.get('name')} cannot be used: {error.message}"
                ) from None
            expect(
                fits,
                expected=f"arguments that the schema of {call.get('name')} allows, or a failed call",
                seen=call.get("arguments"),
                at=reading,
                where=f"/tool_calls/{n}/arguments",
            )
            judged += 1
    if not judged:
        raise Inconclusive("no tool call succeeded")
    return f"{judged} successful calls have valid arguments"


@check("AGT-02")
def test_a_call_that_was_cut_off_is_not_run(agent_tools: Probed) -> str:
    """With too few output tokens for the call: `finish_reason` length, the call incomplete and without a result."""
    reading = run_answer(agent_tools, "cut")
    calls = calls_of(reading)
    ran = [c for c in calls if c.get("status") in RAN or c.get("result") is not None]
    expect(
        not ran,
        expected="no call is run that the model could not finish writing",
        seen=summary(calls),
        at=reading,
        where="/tool_calls",
    )
    expect_member(reading, "finish_reason", "length")
    open_ended = [c.get("status") for c in calls if c.get("status") != "incomplete"]
    expect(
        not open_ended,
        expected="a call that was cut off is incomplete",
        seen=summary(calls),
        at=reading,
        where="/tool_calls",
    )
    return f"length, {summary(calls)}"


@check("AGT-03")
def test_a_failure_without_consequences_is_told_inside_200(agent_tools: Probed) -> str:
    """A tool that fails once: 200, the failed attempt is in `tool_calls` with its error."""
    reading, calls = told_inside(agent_tools, "error")
    failed = [c for c in calls if c.get("status") == "failed"]
    expect(
        failed,
        expected="the failed attempt among the tool calls",
        seen=summary(calls),
        at=reading,
        where="/tool_calls",
    )
    error = failed[0].get("error")
    good = isinstance(error, dict) and bool(error.get("code")) and bool(error.get("message"))
    where = f"/tool_calls/{calls.index(failed[0])}/error"
    expect(good, expected="an error with code and message", seen=error, at=reading, where=where)
    return summary(calls)


@check("AGT-06")
def test_limits_end_the_run_with_their_name(agent_tools: Probed) -> str:
    """A model that never stops is stopped at `max_steps` and at `max_tool_calls`, and the answer says which."""
    told = []
    for role, limit in LIMITS.items():
        if agent_tools.get(role) is None:
            continue
        reading = run_answer(agent_tools, role)
        asked = int(reading.exchange.params[limit])
        calls, steps = calls_of(reading), reading.body.get("steps")
        seen = len(calls) if limit == "max_tool_calls" else steps
        expect(
            isinstance(seen, int) and seen <= asked,
            expected=f"at most {asked} ({limit})",
            seen=seen,
            at=reading,
            where="/tool_calls" if limit == "max_tool_calls" else "/steps",
        )
        expect_member(reading, "finish_reason", limit)
        told.append(f"{limit} after {seen}")
    if not told:
        raise NotTested("needs a provocation for 'tool_loop', which neither dialect nor target declares")
    return ", ".join(told)


@check("AGT-08")
def test_each_call_can_be_traced(agent_tools: Probed) -> str:
    """Every call that ran has id, name, times and latency, and appears in the metadata's trace under its id."""
    reading = run_answer(agent_tools, "use")
    calls = some_calls(reading)
    metadata = reading.body.get("metadata")
    trace = metadata.get("tool_trace") if isinstance(metadata, dict) else None
    traced = [t.get("tool_call_id") for t in trace if isinstance(t, dict)] if isinstance(trace, list) else []
    for n, call in enumerate(calls):
        for name in ("id", "name", "started_at", "finished_at"):
            value = call.get(name)
            expect(
                isinstance(value, str) and value,
                expected=f"{name} of a call",
                seen="absent" if value is None else value,
                at=reading,
                where=f"/tool_calls/{n}/{name}",
            )
        latency = call.get("latency_ms")
        expect(
            type(latency) is int and latency >= 0,
            expected="latency_ms of a call",
            seen=latency,
            at=reading,
            where=f"/tool_calls/{n}/latency_ms",
        )
        expect(
            call["id"] in traced,
            expected=f"{call['id']} in the trace",
            seen=traced,
            at=reading,
            where="/metadata/tool_trace",
        )
    return f"{len(calls)} calls traced"


@check("AGT-09")
def test_tool_choice_is_obeyed(agent_tools: Probed) -> str:
    """`none`: no call although the prompt asks for one. `required`: at least one, or a 4xx that says why not."""
    none = run_answer(agent_tools, "none")
    calls = calls_of(none)
    expect(
        not calls,
        expected="no tool call under tool_choice none",
        seen=summary(calls),
        at=none,
        where="/tool_calls",
    )
    required = agent_tools["required"]
    if required.status in (422, 424):
        return f"none: no call; required: refused with {required.status}"
    made = calls_of(run_answer(agent_tools, "required"))
    expect(
        made,
        expected="at least one tool call under tool_choice required",
        seen="none",
        at=required,
        where="/tool_calls",
    )
    return f"none: no call; required: {summary(made)}"


@check("AGT-12")
def test_a_call_of_an_unknown_tool_fails_and_the_run_goes_on(agent_tools: Probed) -> str:
    """A tool that does not exist: the call is failed, the run is answered."""
    reading, calls = told_inside(agent_tools, "unknown")
    tools = tool_schemas(agent_tools["tools"])
    unknown = [c for c in calls if str(c.get("name")) not in tools]
    if not unknown:
        raise Inconclusive(f"the model called no tool that does not exist: {summary(calls)}")
    expect(
        all(c.get("status") == "failed" for c in unknown),
        expected="the call of an unknown tool is failed",
        seen=summary(calls),
        at=reading,
        where="/tool_calls",
    )
    return summary(calls)


@check("AGT-17")
def test_calls_side_by_side_can_be_told_apart(agent_tools: Probed) -> str:
    """Several calls of one step have different ids, and each its own result."""
    reading = run_answer(agent_tools, "use")
    calls = some_calls(reading)
    steps = [c.get("step") for c in calls]
    if len(steps) == len(set(map(str, steps))):
        raise Inconclusive("the model made no two calls in one step")
    ids = [c.get("id") for c in calls]
    expect(
        len(set(map(str, ids))) == len(ids),
        expected="an id of its own for each call",
        seen=ids,
        at=reading,
        where="/tool_calls",
    )
    empty = [
        c for c in calls if c.get("status") == "succeeded" and c.get("result", NOT_JSON) in (None, NOT_JSON)
    ]
    expect(
        not empty,
        expected="a result for each successful call",
        seen=summary(empty),
        at=reading,
        where="/tool_calls",
    )
    return f"{len(calls)} calls, {len(set(map(str, steps)))} steps"
