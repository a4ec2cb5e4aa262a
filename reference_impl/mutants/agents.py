"""Mutants of agents: tools that act unasked, failures that are hidden, limits that are not there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from reference_impl.exchange import Exchange
from reference_impl.mutants.asked import edit_asked, edit_scope
from reference_impl.mutants.edits import on_status, to_status
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.requests import as_main
from reference_impl.mutants.wire import Answer, edit_answers, without
from reference_impl.policies import Policies
from reference_impl.policies.tools import LimitReason, Progress, ToolGate, Tools
from reference_impl.tools.model import Tool

Body = dict[str, Any]
Call = dict[str, Any]


class _ScopesInThePrompt(ToolGate):
    """Trusts that the model was told what it may do."""

    def authorize(self, exchange: Exchange, tool: Tool) -> None:
        return


class _NoApproval(ToolGate):
    def needs_approval(self, tool: Tool) -> bool:
        return False


class _Endless(ToolGate):
    """Knows only a limit of its own."""

    def exhausted(self, progress: Progress) -> LimitReason | None:
        return super().exhausted(replace(progress, max_steps=12, max_tool_calls=12))


class _NothingHappened(ToolGate):
    def side_effects(self, tool: Tool, *, committed: bool) -> str:
        return "none"


def _gate(make: Callable[[], Tools]) -> Callable[[Policies], Policies]:
    return lambda policies: replace(policies, tools=make())


def _runs(change: Callable[[Body], Body]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite every answered run."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or "/agent/runs" not in answer.scope["path"]:
            return answer
        return answer.with_json(change(answer.json))

    return edit_answers(edit)


def _calls(change: Callable[[Call], Call], only: Collection[str] = ()) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite every tool call, or those of some statuses."""
    return _runs(
        lambda b: {
            **b,
            "tool_calls": [change(c) if not only or c["status"] in only else c for c in b["tool_calls"]],
        }
    )


def _hidden(body: Body) -> Body:
    """Failed attempts are left out."""
    return {**body, "tool_calls": [c for c in body["tool_calls"] if c["status"] != "failed"]}


def _swallowed(answer: Answer) -> Answer:
    """A terminal failure reads like an answer."""
    if answer.status != 424:
        return answer
    text = {"role": "assistant", "content": "Done."}
    body = {
        "id": "run_0", "status": "complete", "finish_reason": "stop", "message": text, "steps": 1, "tool_calls": [],
        "required_action": None, "metadata": {},
    }  # fmt: skip
    return answer.with_json(body, status=200)


def _approve_all(request: Body) -> Body:
    decisions = request.get("decisions")
    if not isinstance(decisions, list):
        return request
    return {**request, "decisions": [{**d, "approve": True} for d in decisions]}


def _without_choice(request: Body) -> Body:
    return {k: v for k, v in request.items() if k != "tool_choice"}


def _no_keys(scope: Any) -> Any:
    """Idempotency keys have no effect on decisions."""
    if not scope["path"].endswith("/approvals"):
        return scope
    return {**scope, "headers": without(scope["headers"], b"idempotency-key")}


def _unknown_as_500(answer: Answer) -> Answer:
    if answer.status == 200 and b'"UNKNOWN_TOOL"' in answer.body:
        error = {"code": "INTERNAL", "message": "The server failed.", "details": {}}
        return answer.with_json({"error": error}, status=500)
    return answer


def _decisions_crash(answer: Answer) -> Answer:
    if answer.status == 400 and answer.scope["path"].endswith("/approvals"):
        return replace(answer, status=500)
    return answer


def _scenarios(change: Callable[[list[str]], Any]) -> Callable[[ASGIApp], ASGIApp]:
    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or not answer.scope["path"].endswith("/capabilities"):
            return answer
        body = answer.json
        offered = body["capabilities"]
        box = {**offered["sandbox"], "scenarios": change(offered["sandbox"]["scenarios"])}
        return answer.with_json({**body, "capabilities": {**offered, "sandbox": box}})

    return edit_answers(edit)


def _scenario_ignored(request: Body) -> Body:
    box = request.get("sandbox")
    if isinstance(box, dict) and str(box.get("scenario", "")).startswith("aiconform"):
        return {k: v for k, v in request.items() if k != "sandbox"}
    return request


def _scenario_removed(request: Body) -> Body:
    box = request.get("sandbox")
    if isinstance(box, dict) and box.get("scenario") == "slow_tokens":
        return {**request, "sandbox": {**box, "scenario": "removed"}}
    return request


MUTANTS = (
    mutant("scope-in-the-prompt", "AGT-10", "scopes are told to the model and not enforced", policies=_gate(_ScopesInThePrompt)),
    mutant("approval-skipped", "AGT-05 AGT-11", "tools act without approval", policies=_gate(_NoApproval)),
    mutant("step-limit-ignored", "AGT-06", "only a limit of its own ends a run", policies=_gate(_Endless)),
    mutant("agent-limit-unnamed", "AGT-06", "a run that was ended by a limit says stop", wrap=_runs(lambda b: {**b, "finish_reason": b["finish_reason"] if b["finish_reason"] in ("length", "requires_action") else "stop"})),
    mutant("side-effects-not-declared", "AGT-14", "a failed tool never had effects", policies=_gate(_NothingHappened)),
    mutant("side-effects-missing", "AGT-13", "424 without side_effects", wrap=edit_answers(lambda a: a.with_json({"error": {**a.json["error"], "details": {}}}) if a.status == 424 else a)),
    mutant("terminal-failure-as-200", "AGT-13", "a terminal failure reads like an answer", wrap=edit_answers(_swallowed)),
    mutant("terminal-failure-as-500", "AGT-13", "a terminal failure gives 500", wrap=on_status(424, to_status(500))),
    mutant("tool-failure-hidden", "AGT-03", "failed attempts are left out", wrap=_runs(_hidden)),
    mutant("tool-failure-as-success", "AGT-01 AGT-03 AGT-12", "failed calls are reported as successful", wrap=_calls(lambda c: {**c, "status": "succeeded", "error": None, "result": {}}, ("failed",))),
    mutant("cut-call-run", "AGT-02", "a call that was cut off is reported as run", wrap=_calls(lambda c: {**c, "status": "succeeded", "result": {"value": "0"}}, ("incomplete",))),
    mutant("unknown-tool-as-500", "AGT-12", "an unknown tool gives 500", wrap=edit_answers(_unknown_as_500)),
    mutant("decisions-crash", "AGT-04", "a wrong decision gives 500", wrap=edit_answers(_decisions_crash)),
    mutant("decision-for-all", "AGT-15", "one approval counts for every call", wrap=edit_asked(_approve_all, "/approvals")),
    mutant("action-repeated", "AGT-07", "a repeated approval is not recognised", wrap=edit_scope(_no_keys)),
    mutant("calls-untraced", "AGT-08", "calls have no times", wrap=_calls(lambda c: {**c, "started_at": None})),
    mutant("calls-share-an-id", "AGT-17", "one id for all calls", wrap=_calls(lambda c: {**c, "id": "call_1"})),
    mutant("tool-choice-ignored", "AGT-09", "tool_choice has no effect", wrap=edit_asked(_without_choice, "/agent/runs")),
    mutant("runs-open", "AGT-16", "anybody reads any run", wrap=as_main("/agent/runs")),
    mutant("scenarios-unlisted", "BOX-01", "the sandbox lists nothing", wrap=_scenarios(lambda _: [])),
    mutant("scenario-ignored", "BOX-02", "an unknown scenario is ignored", wrap=edit_asked(_scenario_ignored, "/chat")),
    mutant("scenario-removed", "BOX-03", "a listed scenario is refused", wrap=edit_asked(_scenario_removed, "/chat")),
)  # fmt: skip

VARIANTS = (
    variant("more-scenarios", "a sandbox with scenarios of its own", wrap=_scenarios(lambda names: [*names, "x_meteor"])),
    variant("tool-calls-with-more-fields", "tool calls with fields of a later version", wrap=_calls(lambda c: {**c, "x_region": "eu-1"})),
)  # fmt: skip
