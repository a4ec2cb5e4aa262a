"""One tool call of an agent: checked, executed, and written down whatever happened."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from reference_impl.engine.base import Scenario, Seen, ToolFailedError, Wish
from reference_impl.exchange import Exchange
from reference_impl.policies.errors import ContractError
from reference_impl.services import Services
from reference_impl.store.webhooks import timestamp
from reference_impl.tools import TOOLS
from reference_impl.tools.model import Tool, ToolContext, ToolError, ToolResult

_log = logging.getLogger("aiconform.reference")

Status = Literal["succeeded", "failed", "denied", "pending_approval", "incomplete"]


@dataclass(frozen=True)
class CallRecord:
    """A tool call as the caller sees it, and which instruction of the model it came from.

    `arguments` is None where what the model wrote is no JSON object. Times are RFC 3339; they are None for a call
    that was never started.
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    status: Status
    step: int
    attempt: int
    instruction: int
    written: str
    result: Any = None
    error: dict[str, Any] | None = None
    side_effects: str = "none"
    sources: tuple[str, ...] = ()
    span_id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    latency_ms: int | None = None

    def seen(self) -> Seen:
        """What the model learns of it."""
        return Seen(
            instruction=self.instruction,
            wish=Wish(self.name, self.written),
            attempt=self.attempt,
            succeeded=self.status == "succeeded",
            retryable=self.error is not None and self.error["retryable"],
            result=self.result,
            id=self.id,
            failure="" if self.error is None else self.error["message"],
        )

    def stored(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def public(self) -> dict[str, Any]:
        """What an answer shows."""
        hidden = ("instruction", "written", "sources", "span_id")
        return {name: value for name, value in asdict(self).items() if name not in hidden}


def restored(raw: dict[str, Any]) -> CallRecord:
    """A record from the store."""
    return CallRecord(**{**raw, "sources": tuple(raw["sources"])})


def examined(
    services: Services, wish: Wish, step: int, attempt: int, instruction: int, offered: Collection[str] | None
) -> CallRecord:
    """The record of a call before it runs: `pending_approval` if all is well, else already `failed`.

    Every fault here is the model's: it is told, and may correct itself.
    """
    arguments = _parsed(wish.arguments)
    record = CallRecord(
        id=f"call_{secrets.token_hex(16)}",
        name=wish.name,
        arguments=arguments if isinstance(arguments, dict) else None,
        status="pending_approval",
        step=step,
        attempt=attempt,
        instruction=instruction,
        written=wish.arguments,
    )
    tool = TOOLS.get(wish.name)
    if tool is None:
        return failed(record, "UNKNOWN_TOOL", "There is no tool with this name.")
    if not services.policies.tools.allowed(tool, offered):
        return failed(record, "TOOL_NOT_ALLOWED", "The request does not offer this tool.")
    fault = "the arguments are not JSON" if arguments is None else tool.fault(arguments)
    if fault is not None:
        return failed(record, "INVALID_ARGUMENTS", fault, retryable=True)
    return record


def failed(
    record: CallRecord, code: str, message: str, *, retryable: bool = False, status: Status = "failed"
) -> CallRecord:
    """The record of a call that did not do what it should, and left nothing behind."""
    error = {"code": code, "message": message, "retryable": retryable}
    return replace(record, status=status, error=error)


class Diary(Protocol):
    """Where calls that act are written down (`agent_journal.py`)."""

    @property
    def run_id(self) -> str:
        """The run that they are made for."""
        ...

    async def begin(self, call: CallRecord) -> None:
        """It acts from now on, as far as anybody knows. What cannot be written down must not be begun."""
        ...

    async def end(self, call: CallRecord) -> None:
        """What became of it."""
        ...


async def perform(
    services: Services, exchange: Exchange, diary: Diary, record: CallRecord, scenario: Scenario | None
) -> CallRecord:
    """Authorize and run a call. Raises `ToolFailedError` for a failure after which nobody may go on."""
    tool = TOOLS[record.name]
    try:
        services.policies.tools.authorize(exchange, tool)
    except ContractError as refusal:
        return failed(record, refusal.code, refusal.message, status="denied")
    context = ToolContext(exchange.caller.name, diary.run_id, record.id, services.entries)
    if tool.acts:
        await diary.begin(record)
    began, clock = timestamp(time.time()), time.perf_counter()
    try:
        result = await _disturbed(services, tool, context, record, scenario)
    except ToolError as problem:
        record = failed(record, "EXECUTION_FAILED", problem.message, retryable=problem.retryable)
    except ToolFailedError as failure:
        if tool.acts:
            broken = failed(record, "EXECUTION_FAILED", "The tool failed after it was started.")
            await diary.end(replace(broken, side_effects=failure.side_effects))
        raise
    except Exception as problem:
        # A bug in a tool: the model may go on without a tool that only reads, and without no other.
        _log.exception("the tool %s failed in request %s", tool.name, exchange.request_id)
        if tool.acts:
            raise _terminal(services, tool, record, committed=False) from problem
        record = failed(record, "EXECUTION_FAILED", "The tool failed.")
    else:
        side_effects = "committed" if tool.acts else "none"
        record = replace(
            record, status="succeeded", result=result.value, sources=result.sources, side_effects=side_effects
        )
    record = replace(
        record,
        span_id=secrets.token_hex(8),
        started_at=began,
        finished_at=timestamp(time.time()),
        latency_ms=round((time.perf_counter() - clock) * 1000),
    )
    if tool.acts:
        await diary.end(record)
    return record


async def _disturbed(
    services: Services, tool: Tool, context: ToolContext, record: CallRecord, scenario: Scenario | None
) -> ToolResult:
    """The tool's run, with what the sandbox was asked to do to it."""
    name = None if scenario is None else scenario.name
    if name == "tool_error" and record.attempt == 1:
        raise ToolError("The sandbox made this attempt fail; the next one will not.", retryable=True)
    result = await tool.run(context, record.arguments or {})
    if name == "tool_failure":
        # The answer of the tool is lost after it has acted: the worst moment there is.
        raise _terminal(services, tool, record, committed=tool.acts)
    return result


def _terminal(services: Services, tool: Tool, record: CallRecord, *, committed: bool) -> ToolFailedError:
    left = services.policies.tools.side_effects(tool, committed=committed)
    return ToolFailedError(tool.name, record.id, record.attempt, not tool.acts, left)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
