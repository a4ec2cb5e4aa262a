"""What the checks of agents share: the tool calls of an answer."""

from __future__ import annotations

from typing import Any

from conformance.checks.refusals import decisive
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, expect

Call = dict[str, Any]


def run_answer(probe: Probed, role: str) -> Reading:
    """The answered run of that role, or INCONCLUSIVE."""
    reading = probe[role]
    if not reading.ok or not isinstance(reading.body, dict):
        raise Inconclusive(f"'{role}' was answered {reading.status} ({reading.exchange.id})")
    return reading


def told_inside(probe: Probed, role: str) -> tuple[Reading, list[Call]]:
    """The run in which a call failed, and its calls: it is answered 200, with the failure inside."""
    reading = decisive(probe[role])
    expect(reading.status == 200, expected="200 with the failure inside", seen=reading.status, at=reading)
    return reading, some_calls(reading)


def expect_member(reading: Reading, name: str, wanted: str) -> None:
    """A member of the answer is this word."""
    seen = reading.body.get(name)
    expect(seen == wanted, expected=f"{name} {wanted}", seen=repr(seen), at=reading, where=f"/{name}")


def calls_of(reading: Reading) -> list[Call]:
    """`tool_calls` of an answer; a violation if they are no list of objects."""
    listed = reading.body.get("tool_calls")
    good = isinstance(listed, list) and all(isinstance(c, dict) for c in listed)
    expect(
        good,
        expected="a list of tool calls",
        seen="absent" if listed is None else listed,
        at=reading,
        where="/tool_calls",
    )
    return list(listed) if isinstance(listed, list) else []


def some_calls(reading: Reading) -> list[Call]:
    """At least one call, or INCONCLUSIVE: a model need not want one."""
    found = calls_of(reading)
    if not found:
        raise Inconclusive(f"the model wanted no tool in {reading.exchange.id}")
    return found


def summary(calls: list[Call]) -> str:
    """Names and statuses, for a verdict."""
    return ", ".join(f"{c.get('name')} {c.get('status')}" for c in calls) or "no tool call"


def ledger(probe: Probed, role: str) -> int:
    """How many entries of this run the ledger shows, read through a tool."""
    reading = run_answer(probe, role)
    results = [c.get("result") for c in calls_of(reading) if c.get("status") == "succeeded"]
    lists = [r for r in results if isinstance(r, list)]
    if not lists:
        raise Inconclusive(f"the ledger could not be read ({reading.exchange.id})")
    return len(lists[-1])


def tool_schemas(listed: Reading) -> dict[str, Call]:
    """The tools of a list by name."""
    data = listed.body.get("data") if isinstance(listed.body, dict) else None
    if not listed.ok or not isinstance(data, list):
        raise NotTested(f"the tools are not listed ({listed.exchange.id})")
    return {str(t["name"]): t for t in data if isinstance(t, dict) and "name" in t}
