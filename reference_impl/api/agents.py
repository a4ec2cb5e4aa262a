"""POST /agent/runs: an answer that may take tools, with a person's approval where the tool demands one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from reference_impl.accounting import account, admit
from reference_impl.api.agent_decisions import approved_calls, not_waiting
from reference_impl.api.agent_journal import Journal, begun_calls, refuse_second_run
from reference_impl.api.agent_loop import WAITING, Agent, advance, agent_from, broken, decided
from reference_impl.api.failures import contract_error
from reference_impl.api.notices import note_model
from reference_impl.api.once import Kept, once, together
from reference_impl.api.prompts import chosen_model, refuse_over_window, scenario
from reference_impl.engine.base import EngineError, Message, ModelTimeoutError
from reference_impl.engine.models import Model
from reference_impl.engine.sandbox import refuse, stall
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode, json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.http.schema import invalid_request
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.policies.scopes import grants, model_scopes
from reference_impl.services import Services
from reference_impl.store.agent_runs import StoredRun
from reference_impl.store.ledger import StoredAnswer
from reference_impl.tools import TOOLS
from reference_impl.tools.model import Tool

MOST_STEPS = 32
MOST_TOOL_CALLS = 64
_MAX_STEPS = 8
_MAX_TOOL_CALLS = 16
_OUTPUT_TOKENS = 1024
_STATUSES = {WAITING: WAITING, "error": "failed", None: "running"}


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def list_tools(exchange: Exchange) -> Response:
        scopes = exchange.caller.scopes
        tools = [{**_described(tool), "granted": grants(scopes, tool.scope)} for tool in TOOLS.values()]
        return json_answer({"data": tools, "next_cursor": None})

    async def run_agent(exchange: Exchange, payload: dict[str, Any]) -> Response:
        agent = _agent(services, payload)
        model = _callers_model(services, exchange, agent)
        tokens = services.engine.count(agent.messages)
        if services.engine.exact:
            refuse_over_window(tokens, model)

        async def execute(ticket: Ticket | None) -> Kept:
            await refuse_second_run(services, ticket)
            await admit(services, exchange, model, tokens)
            await _rehearse(payload)
            going_on = advance(services, exchange, agent, Journal(services, agent.id, ticket))
            done = await _accounted(services, exchange, going_on, agent, payload.get("model"))

            async def keep() -> StoredAnswer:
                run = StoredRun(done.id, _status(done), done.stored())
                await services.agent_runs.add(run, exchange.caller.name, services.settings.agent_run_ttl_s)
                await services.agent_calls.settle(done.id)
                return _answer(services, exchange, done, done.usage, ticket)

            return await together(services, ticket, keep)

        return await once(services, exchange, payload, execute)

    async def get_agent_run(exchange: Exchange, run_id: str) -> Response:
        run = await _find(services, exchange, run_id)
        agent = agent_from(run.state)
        if agent.finish_reason == WAITING and run.status != WAITING:
            # Being carried on, or cut off by the end of a server while it was.
            if run.status == "running":
                agent = replace(agent, finish_reason=None)
            else:
                agent = broken(agent, await begun_calls(services, run_id))
        # Reading costs nothing; the run's usage was reported, and charged, when it was used.
        return json_answer(_content(services, exchange, agent, Usage(), None))

    async def decide_agent_run(exchange: Exchange, payload: dict[str, Any], run_id: str) -> Response:
        async def execute(ticket: Ticket | None) -> Kept:
            run = await _find(services, exchange, run_id)
            await refuse_second_run(services, ticket)
            agent = agent_from(run.state)
            approved = approved_calls(agent, payload)
            model = _callers_model(services, exchange, agent)
            await admit(services, exchange, model, services.engine.count(agent.messages))
            if not await services.agent_runs.take(run_id):
                raise not_waiting()
            try:
                journal = Journal(services, run_id, ticket, stored=True)
                going_on = decided(services, exchange, agent, journal, approved)
                after = await _accounted(services, exchange, going_on, agent)

                async def keep() -> StoredAnswer:
                    await services.agent_runs.save(run_id, _status(after), after.stored())
                    await services.agent_calls.settle(run_id)
                    return _answer(services, exchange, after, after.usage.since(agent.usage), ticket)

                return await together(services, ticket, keep)
            except BaseException as failure:
                await asyncio.shield(_cut_off(services, run, agent, failure))
                raise

        return await once(services, exchange, payload, execute)

    return {
        "listTools": list_tools,
        "runAgent": run_agent,
        "getAgentRun": get_agent_run,
        "decideAgentRun": decide_agent_run,
    }


def _status(agent: Agent) -> str:
    return WAITING if agent.finish_reason == WAITING else "complete"


async def _cut_off(services: Services, run: StoredRun, agent: Agent, failure: BaseException) -> None:
    """End a run that was being carried on; if nothing has acted and a retry may help, it waits again."""
    begun = await begun_calls(services, run.id)
    final = isinstance(failure, ContractError) and services.policies.idempotency.is_final(failure.code)
    if begun or final:
        await services.agent_runs.save(run.id, "failed", broken(agent, begun).stored())
    else:
        await services.agent_runs.save(run.id, run.status, run.state)


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "side_effects": tool.acts,
        "requires_approval": tool.requires_approval,
        "required_scope": tool.scope,
    }


def _agent(services: Services, payload: Mapping[str, Any]) -> Agent:
    offered = payload.get("tools")
    unknown = [n for n, name in enumerate(offered or ()) if name not in TOOLS]
    if unknown:
        message = "is no tool of this server; GET /tools lists them"
        raise invalid_request([{"pointer": f"/tools/{n}", "message": message} for n in unknown])
    return Agent(
        id=f"run_{secrets.token_hex(16)}",
        model=chosen_model(services.engine.catalogue, payload).id,
        messages=tuple(Message(item["role"], item["content"]) for item in payload["messages"]),
        offered=None if offered is None else tuple(offered),
        choice=payload.get("tool_choice", "auto"),
        max_steps=int(payload.get("max_steps", _MAX_STEPS)),
        max_tool_calls=int(payload.get("max_tool_calls", _MAX_TOOL_CALLS)),
        max_output_tokens=int(payload.get("max_output_tokens", _OUTPUT_TOKENS)),
        scenario=scenario(payload),
    )


def _model(services: Services, agent: Agent) -> Model:
    model = services.engine.catalogue.find(agent.model)
    if model is None:
        raise ContractError("MODEL_NOT_FOUND", "The model of this run is no longer served.", param="/model")
    return model


async def _rehearse(payload: Mapping[str, Any]) -> None:
    """The sandbox's behaviours that concern the model, not its tools."""
    wanted = scenario(payload)
    if wanted is None or wanted.name == "tool_failure":
        return
    try:
        refuse(wanted)
        await stall(wanted)
    except EngineError as failure:
        raise contract_error(failure) from failure


def _callers_model(services: Services, exchange: Exchange, agent: Agent) -> Model:
    """The model of a run, which the caller may call."""
    model = _model(services, agent)
    services.policies.scopes.require(exchange, *model_scopes(model))
    note_model(exchange, model)
    return model


async def _accounted(
    services: Services,
    exchange: Exchange,
    work: Coroutine[Any, Any, Agent],
    agent: Agent,
    requested: str | None = None,
) -> Agent:
    """Run the loop within its time; what it took is accounted for however it ends."""
    limit_s = services.settings.sync_max_seconds
    # What a run that breaks had read at least.
    least = services.engine.count(agent.messages)
    used, outcome = Usage(least, estimated=not services.engine.exact), "INTERNAL"
    try:
        async with asyncio.timeout(limit_s):
            done = await work
        used = done.usage.since(agent.usage)
        outcome = done.finish_reason or "stop"
        return done
    except ContractError as refusal:
        outcome = refusal.code
        raise
    except EngineError as failure:
        error = contract_error(failure)
        outcome = error.code
        raise error from failure
    except TimeoutError as late:
        error = contract_error(ModelTimeoutError(limit_s * 1000, exchange.elapsed_ms))
        outcome = error.code
        raise error from late
    finally:
        await account(
            services,
            exchange,
            _model(services, agent),
            used,
            operation="agent",
            outcome=outcome,
            requested=requested,
        )


async def _find(services: Services, exchange: Exchange, run_id: str) -> StoredRun:
    run = await services.agent_runs.find(run_id, exchange.caller.name)
    if run is None:
        raise ContractError("RUN_NOT_FOUND", "There is no such run.", param="run_id")
    return run


def _answer(
    services: Services, exchange: Exchange, agent: Agent, used: Usage, ticket: Ticket | None
) -> StoredAnswer:
    return StoredAnswer(200, JSON, encode(_content(services, exchange, agent, used, ticket)))


def _content(
    services: Services, exchange: Exchange, agent: Agent, used: Usage, ticket: Ticket | None
) -> dict[str, Any]:
    sources = dict.fromkeys(source for call in agent.calls for source in call.sources)
    trace = [
        {
            "tool_call_id": c.id,
            "name": c.name,
            "status": c.status,
            "span_id": c.span_id,
            "latency_ms": c.latency_ms,
        }
        for c in agent.calls
    ]
    extra: dict[str, Any] = {"sources_used": list(sources), "tool_trace": trace}
    if ticket is not None:
        extra["idempotency"] = ticket.metadata
    waiting = agent.finish_reason == WAITING
    return {
        "id": agent.id,
        "status": _STATUSES.get(agent.finish_reason, "complete"),
        "finish_reason": agent.finish_reason,
        "message": None if agent.text is None else {"role": "assistant", "content": agent.text},
        "steps": agent.steps,
        "tool_calls": [call.public() for call in agent.calls],
        "required_action": {"type": "approval", "tool_call_ids": [c.id for c in agent.pending]}
        if waiting
        else None,
        "metadata": services.policies.metadata.block(
            exchange, AnswerFacts(_model(services, agent), used, extra)
        ),
    }
