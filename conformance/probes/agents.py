"""Agents and tools: what a model may do with tools, and what it does when they fail."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import Session

NEVER_ENOUGH_STEPS = 3
NEVER_ENOUGH_CALLS = 2
CUT_TOKENS = 3
MISUSES = 2
"""Calls that `tool_misuse` asks for: one of a tool that there is not, and one with wrong arguments."""


@probe(calls=12, operations=("agent_run", "tools"), tokens=1500)
async def agent_tools(session: Session) -> None:
    """The list of tools, and runs that use them: well, wrongly, endlessly, and cut off."""
    await session.call("tools", "tools")

    async def run(role: str, name: str, **more: Any) -> None:
        declared = session.dialect.provocations.get(name)
        if declared is not None:
            await session.call("agent_run", role, **{**declared, **more})

    async def misused() -> None:
        """A call of no tool and one with wrong arguments: in one run, if it tells of both; else in a run for each."""
        declared = session.dialect.provocations.get("tool_misuse")
        if declared is not None:
            both = await session.combined("agent_run", **declared)
            if both.ok and calls_told(both) >= MISUSES:
                session.also(both, "unknown", "wrong_arguments")
                return
        await run("unknown", "tool_unknown")
        await run("wrong_arguments", "tool_wrong_arguments")

    await asyncio.gather(
        run("use", "tool_use"),
        misused(),
        run("none", "tool_use", tool_choice="none"),
        session.call("agent_run", "required", prompt="Hello.", tool_choice="required"),
        run("bad_json", "tool_bad_json"),
        run("error", "tool_error"),
        run("loop_steps", "tool_loop", max_steps=NEVER_ENOUGH_STEPS),
        run("loop_calls", "tool_loop", max_tool_calls=NEVER_ENOUGH_CALLS),
        run("cut", "tool_use", max_output_tokens=CUT_TOKENS),
    )


@probe(calls=9, operations=("agent_run", "agent_decide"), tokens=1500)
async def agent_approval(session: Session) -> None:
    """An action that needs an approval: wrong decisions, the right one twice with one key, a refusal.

    The ledger is read in between and after, through a tool of its own.
    """
    marker = session.notes["marker"] = f"aiconform-{secrets.token_hex(6)}"
    action, look = session.need_provocation("tool_two_actions"), session.need_provocation("tool_ledger")
    started = await session.call("agent_run", "waiting", **_marked(action, marker))
    waiting = pending(started)
    run_id = run_of(started)
    if run_id is None or len(waiting) < 2:
        await session.call("agent_run", "ledger_before", **_marked(look, marker))
        return
    unknown = [{"tool_call_id": "call_aiconform_unknown", "approve": True}]
    await session.call("agent_decide", "unknown_call", run_id=run_id, decisions=unknown)
    first = [{"tool_call_id": waiting[0], "approve": True}]
    await session.call("agent_decide", "missing_decision", run_id=run_id, decisions=first)
    await session.call("agent_run", "ledger_refused", **_marked(look, marker))
    # One is approved, the other refused; then the same once more, as a client does that got no answer.
    both = [*first, *({"tool_call_id": call, "approve": False} for call in waiting[1:])]
    key = secrets.token_hex(12)
    for role in ("decided", "decided_again"):
        await session.call("agent_decide", role, run_id=run_id, decisions=both, idempotency_key=key)
    await session.call("agent_run", "ledger_after", **_marked(look, marker))
    if "agent_read" in session.dialect.operations:
        await session.call("agent_read", "read", run_id=run_id)
        if session.has_key("other"):
            await session.call("agent_read", "read_by_other", principal="other", run_id=run_id)


@probe(calls=4, operations=("agent_run",), tokens=400)
async def agent_failure(session: Session) -> None:
    """Failures after which nobody may go on: of a tool that only reads, and of one that had acted already."""
    terminal = session.need_provocation("tool_terminal")
    await session.call("agent_run", "terminal", **terminal)
    acting = session.dialect.provocations.get("tool_action_fails")
    look = session.dialect.provocations.get("tool_ledger")
    if acting is None or look is None or "agent_decide" not in session.dialect.operations:
        return
    marker = session.notes["marker"] = f"aiconform-{secrets.token_hex(6)}"
    started = await session.call("agent_run", "acting", **_marked(acting, marker))
    run_id, waiting = run_of(started), pending(started)
    if run_id is not None and waiting:
        decisions = [{"tool_call_id": call, "approve": True} for call in waiting]
        await session.call("agent_decide", "acted", run_id=run_id, decisions=decisions)
    await session.call("agent_run", "ledger", **_marked(look, marker))


@probe(calls=4, operations=("agent_run", "tools"), tokens=400)
async def agent_scopes(session: Session) -> None:
    """A caller whose scopes do not allow a tool asks for it; and a document tells the model to act."""
    injection = session.need_provocation("tool_injection")
    await session.call("agent_run", "injected", **injection)
    session.need_key("other")
    action = session.need_provocation("tool_action")
    marker = session.notes["marker"] = f"aiconform-{secrets.token_hex(6)}"
    await session.call("tools", "tools_of_other", principal="other")
    await session.call("agent_run", "unscoped", principal="other", **_marked(action, marker))
    look = session.need_provocation("tool_ledger")
    await session.call("agent_run", "ledger_of_other", principal="other", **_marked(look, marker))


def calls_told(reading: Reading) -> int:
    """How many calls of tools an answer tells of."""
    listed = reading.body.get("tool_calls") if isinstance(reading.body, dict) else None
    return len(listed) if isinstance(listed, list) else 0


def pending(reading: Reading) -> list[str]:
    """The ids of calls that an answer says wait for an approval."""
    action = reading.body.get("required_action") if isinstance(reading.body, dict) else None
    ids = action.get("tool_call_ids") if isinstance(action, dict) else None
    return [i for i in ids if isinstance(i, str)] if isinstance(ids, list) else []


def run_of(reading: Reading) -> str | None:
    """The id of a run."""
    found = reading.body.get("id") if isinstance(reading.body, dict) else None
    return found if isinstance(found, str) and found else None


def _marked(provocation: Mapping[str, Any], marker: str) -> dict[str, Any]:
    prompt = provocation.get("prompt")
    marked = {"prompt": prompt.replace("MARKER", marker)} if isinstance(prompt, str) else {}
    return {**provocation, **marked}
