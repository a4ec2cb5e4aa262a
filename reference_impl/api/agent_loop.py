"""The loop of an agent: the model wishes, the gate decides, the tools act, until one of them says stop."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from reference_impl.api.agent_calls import CallRecord, Diary, examined, failed, perform, restored
from reference_impl.engine.base import (
    Asked,
    Message,
    OfferedTool,
    Planner,
    Scenario,
    Step,
    TokenCounts,
    ToolChoice,
)
from reference_impl.engine.planner import truncated
from reference_impl.engine.tokens import count_messages, count_text
from reference_impl.exchange import Exchange
from reference_impl.policies.errors import ContractError
from reference_impl.policies.metadata import Usage
from reference_impl.policies.tools import Progress
from reference_impl.services import Services
from reference_impl.tools import TOOLS

WAITING = "requires_action"


@dataclass(frozen=True)
class Agent:
    """A run and how far it is. `finish_reason` is None while it can go on."""

    id: str
    model: str
    messages: tuple[Message, ...]
    offered: tuple[str, ...] | None
    choice: ToolChoice
    max_steps: int
    max_tool_calls: int
    max_output_tokens: int
    scenario: Scenario | None
    steps: int = 0
    calls: tuple[CallRecord, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    text: str | None = None

    @property
    def pending(self) -> tuple[CallRecord, ...]:
        """Calls that wait for an approval."""
        return tuple(call for call in self.calls if call.status == "pending_approval")

    def stored(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "messages": [[m.role, m.content] for m in self.messages],
            "scenario": None if self.scenario is None else [self.scenario.name, self.scenario.delay_ms],
            "calls": [call.stored() for call in self.calls],
            "usage": list(astuple(self.usage)),
        }


_PLAIN = (
    "id", "model", "offered", "choice", "max_steps", "max_tool_calls", "max_output_tokens", "steps",
    "finish_reason", "text",
)  # fmt: skip


def agent_from(state: dict[str, Any]) -> Agent:
    """A run from the store."""
    offered, scenario = state["offered"], state["scenario"]
    return Agent(
        **{
            **{name: state[name] for name in _PLAIN},
            "messages": tuple(Message(role, content) for role, content in state["messages"]),
            "offered": None if offered is None else tuple(offered),
            "scenario": None if scenario is None else Scenario(*scenario),
            "calls": tuple(restored(call) for call in state["calls"]),
            "usage": Usage(*state["usage"]),
        }
    )


def broken(agent: Agent, begun: Sequence[CallRecord]) -> Agent:
    """A run that has ended on the way. `begun` are the calls that have acted, or may have; no other has."""
    acted = {call.id: call for call in begun}

    def known(call: CallRecord) -> CallRecord:
        if call.id in acted:
            return acted.pop(call.id)
        if call.status != "pending_approval":
            return call
        return failed(call, "EXECUTION_FAILED", "The run ended before this call was begun.")

    calls = tuple(known(call) for call in agent.calls)
    return replace(agent, calls=(*calls, *acted.values()), finish_reason="error")


async def advance(services: Services, exchange: Exchange, agent: Agent, diary: Diary) -> Agent:
    """Go on until the model has finished, a limit is reached, or a person is needed."""
    planner = _planner(services)
    while True:
        step = await planner.next_step(_asked(services, agent))
        if not step.wishes:
            return _finished(agent, step)
        progress = Progress(agent.steps, len(agent.calls), agent.max_steps, agent.max_tool_calls)
        reason = services.policies.tools.exhausted(progress)
        if reason is not None:
            return replace(agent, finish_reason=reason)
        agent = _wished(services, agent, step)
        if agent.finish_reason is not None:
            return agent
        agent = await _run_those(services, exchange, agent, diary, approved=None)
        if agent.pending:
            return replace(agent, finish_reason=WAITING)


async def decided(
    services: Services, exchange: Exchange, agent: Agent, diary: Diary, approved: frozenset[str]
) -> Agent:
    """Go on after a person has decided over every pending call."""
    agent = replace(agent, finish_reason=None)
    agent = await _run_those(services, exchange, agent, diary, approved)
    return await advance(services, exchange, agent, diary)


def _planner(services: Services) -> Planner:
    if services.engine.planner is None:
        raise RuntimeError("an agent was run on an engine without tools")  # the operation is not offered
    return services.engine.planner


def _asked(services: Services, agent: Agent) -> Asked:
    model = services.engine.catalogue.find(agent.model)
    if model is None:
        raise ContractError("MODEL_NOT_FOUND", "The model of this run is no longer served.", param="/model")
    tools = (tool for tool in TOOLS.values() if services.policies.tools.allowed(tool, agent.offered))
    return Asked(
        model=model,
        messages=agent.messages,
        seen=tuple(call.seen() for call in agent.calls),
        choice=agent.choice,
        tools=tuple(OfferedTool(tool.name, tool.description, tool.parameters) for tool in tools),
        max_output_tokens=max(1, agent.max_output_tokens - agent.usage.output),
        loop=_is(agent, "tool_loop"),
    )


def _wished(services: Services, agent: Agent, asked: Step) -> Agent:
    """The run with the calls the model has just written, and what writing them took."""
    step = agent.steps + 1
    wishes = asked.wishes[: agent.max_tool_calls - len(agent.calls)]
    calls: list[CallRecord] = []
    output = agent.usage.output
    cut = False
    for number, wish in enumerate(wishes, 1):
        if asked.counts is None:
            output += count_text(f"{wish.name} {wish.arguments}")
        if output > agent.max_output_tokens or (asked.cut and number == len(asked.wishes)):
            # The model was stopped in the middle of this call: what there is of it must not run.
            output, cut = min(output, agent.max_output_tokens), True
            said = truncated(wish) if asked.counts is None else wish
            record = examined(services, said, step, asked.attempt, asked.instruction, agent.offered)
            calls.append(replace(record, arguments=None, status="incomplete", error=None))
            break
        bad = _is(agent, "tool_bad_arguments") and asked.attempt == 1
        said = truncated(wish) if bad else wish
        record = examined(services, said, step, asked.attempt, asked.instruction, agent.offered)
        # What the model meant is what it writes again.
        calls.append(replace(record, written=wish.arguments))
    return replace(
        agent,
        steps=step,
        calls=(*agent.calls, *calls),
        usage=_after(agent, asked.counts, _read(agent), output - agent.usage.output),
        finish_reason="length" if cut else None,
    )


def _after(agent: Agent, told: TokenCounts | None, read: int, written: int) -> Usage:
    """The run's usage after a step, by what the model's server told, else by what was counted here."""
    used, counts = agent.usage, told or TokenCounts(read, written)
    return Usage(
        used.input + counts.input,
        used.output + counts.output,
        used.cached_input + counts.cached_input,
        used.reasoning_output + counts.reasoning_output,
        used.estimated or counts.estimated,
    )


async def _run_those(
    services: Services, exchange: Exchange, agent: Agent, diary: Diary, approved: frozenset[str] | None
) -> Agent:
    """Run the calls that may run, those of one step side by side. `approved` None: nobody was asked yet."""

    async def one(call: CallRecord) -> CallRecord:
        if call.status != "pending_approval":
            return call
        if approved is None and services.policies.tools.needs_approval(TOOLS[call.name]):
            # A caller who may not run it need not be asked whether it should.
            return _refused(services, exchange, call)
        if approved is not None and call.id not in approved:
            return failed(call, "APPROVAL_DENIED", "The caller did not approve this call.", status="denied")
        return await perform(services, exchange, diary, call, agent.scenario)

    done = await asyncio.gather(*(one(call) for call in agent.calls), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return replace(agent, calls=tuple(call for call in done if isinstance(call, CallRecord)))


def _refused(services: Services, exchange: Exchange, call: CallRecord) -> CallRecord:
    """The call as `denied` if the caller may not run it anyway, else still waiting."""
    try:
        services.policies.tools.authorize(exchange, TOOLS[call.name])
    except ContractError as refusal:
        return failed(call, refusal.code, refusal.message, status="denied")
    return call


def _read(agent: Agent) -> int:
    """Input tokens of one more look at the conversation and all results."""
    return count_messages(agent.messages) + sum(count_text(str(c.result)) for c in agent.calls)


def _finished(agent: Agent, step: Step) -> Agent:
    text = step.text
    if step.counts is not None:
        usage = _after(agent, step.counts, 0, 0)
        return replace(agent, text=text, usage=usage, finish_reason="length" if step.cut else "stop")
    output = agent.usage.output + count_text(text)
    cut = output > agent.max_output_tokens
    if cut:
        words = text.split(" ")
        room = agent.max_output_tokens - agent.usage.output
        numbers = range(len(words) + 1)
        most = bisect_right(numbers, room, key=lambda number: count_text(" ".join(words[:number]))) - 1
        text, output = " ".join(words[:most]), agent.max_output_tokens
    return replace(
        agent,
        text=text,
        usage=Usage(agent.usage.input + _read(agent), output),
        finish_reason="length" if cut else "stop",
    )


def _is(agent: Agent, scenario: str) -> bool:
    return agent.scenario is not None and agent.scenario.name == scenario
