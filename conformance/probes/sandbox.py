"""The sandbox: what it says it can provoke, and what it does with a name that it does not know."""

from __future__ import annotations

from conformance.registry import probe
from conformance.session import Session

UNKNOWN_SCENARIO = "aiconform_no_such_scenario"


@probe(calls=1, operations=("chat", "capabilities"), tokens=20, shares=("capabilities",))
async def sandbox(session: Session) -> None:
    """The declared scenarios, and a request for another one."""
    await session.capabilities()
    await session.call(
        "chat",
        "unknown_scenario",
        prompt="Hello",
        max_output_tokens=4,
        sandbox={"scenario": UNKNOWN_SCENARIO},
    )
