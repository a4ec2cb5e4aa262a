"""What an agent's tools do that cannot be undone: written down before and after, so that no retry does it again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from reference_impl.api.agent_calls import CallRecord, failed, restored
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.services import Services
from reference_impl.store.agent_calls import BegunCall
from reference_impl.tools import TOOLS


@dataclass(frozen=True)
class Journal:
    """The journal of one run. `stored`: it is one that was kept before, and is carried on now."""

    services: Services
    run_id: str
    ticket: Ticket | None
    stored: bool = False

    async def begin(self, call: CallRecord) -> None:
        """In one transaction: the run and the key are still ours, and the call may have acted from now on.

        Raises:
            OutageError: it must not be begun.
        """
        services, ticket = self.services, self.ticket
        kept_until = time.time() + services.settings.agent_run_ttl_s
        if ticket is not None:
            # As long as a repetition may come.
            kept_until = max(kept_until, ticket.expires_at)
        async with services.database.transaction():
            if self.stored:
                await services.agent_runs.hold(self.run_id)
            if ticket is not None:
                await services.policies.idempotency.mark(services.ledger, ticket, self.run_id)
            await services.agent_calls.begin(self.run_id, call.id, call.stored(), kept_until)

    async def end(self, call: CallRecord) -> None:
        """What became of it. One that has certainly not acted is as if it had never been begun."""
        if call.side_effects == "none":
            await self.services.agent_calls.withdraw(call.id)
        else:
            await self.services.agent_calls.end(call.id, call.stored())


async def begun_calls(services: Services, run_id: str) -> tuple[CallRecord, ...]:
    """The calls that have acted, or may have, since the run was kept for the last time."""
    return tuple(_as_known(services, call) for call in await services.agent_calls.of(run_id))


async def refuse_second_run(services: Services, ticket: Ticket | None) -> None:
    """Raise TOOL_EXECUTION_FAILED if an execution under this key had no end, and a tool may have acted in it."""
    if ticket is None or ticket.begun is None:
        return
    calls = await begun_calls(services, ticket.begun)
    if not calls:
        return
    # What nobody knows is the worst that can be said.
    worst = next((call for call in calls if call.side_effects == "possible"), calls[0])
    raise ContractError(
        "TOOL_EXECUTION_FAILED",
        "An earlier attempt under this idempotency key ended after a tool had been started; it is not started again.",
        details={
            "tool": worst.name,
            "tool_call_id": worst.id,
            "attempt": worst.attempt,
            "retryable": False,
            "side_effects": worst.side_effects,
        },
    )


def _as_known(services: Services, call: BegunCall) -> CallRecord:
    if call.outcome is not None:
        return restored(call.outcome)
    record = failed(restored(call.call), "EXECUTION_FAILED", "The run ended while this call was under way.")
    left = services.policies.tools.side_effects(TOOLS[record.name], committed=False)
    return replace(record, side_effects=left)
