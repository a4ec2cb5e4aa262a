"""What a caller decides over calls that wait for an approval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_impl.api.agent_loop import Agent
from reference_impl.http.schema import invalid_request
from reference_impl.policies.errors import ContractError


def approved_calls(agent: Agent, payload: Mapping[str, Any]) -> frozenset[str]:
    """The ids of approved calls; INVALID_REQUEST unless exactly the pending ones are decided, each once."""
    pending = {call.id for call in agent.pending}
    decisions = payload["decisions"]
    faults = [
        {"pointer": f"/decisions/{n}/tool_call_id", "message": "is no call that waits for a decision"}
        for n, decision in enumerate(decisions)
        if decision["tool_call_id"] not in pending
    ]
    named = [decision["tool_call_id"] for decision in decisions]
    if len(set(named)) < len(named):
        faults.append({"pointer": "/decisions", "message": "decides over one call twice"})
    missing = pending - set(named)
    if missing:
        faults.append({"pointer": "/decisions", "message": f"lacks {', '.join(sorted(missing))}"})
    if faults:
        raise invalid_request(faults)
    return frozenset(d["tool_call_id"] for d in decisions if d["approve"])


def not_waiting() -> ContractError:
    """INVALID_REQUEST: another decision was first, or there is nothing to decide."""
    message = "is no call that waits for a decision"
    return invalid_request([{"pointer": "/decisions/0/tool_call_id", "message": message}])
