"""Mutants of context, cost, usage and retirement: what is remembered, charged, told and announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from reference_impl.engine.base import Message
from reference_impl.exchange import Exchange
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.wire import (
    Answer,
    Headers,
    edit_answers,
    edit_heads,
    edit_requests,
    read_request,
    replaying,
    with_header,
    without,
)
from reference_impl.policies import Policies
from reference_impl.policies.context import Count, Fitted, HonestContext, Wish
from reference_impl.policies.errors import PROBLEM
from reference_impl.policies.limits import FixedWindows
from reference_impl.settings import BASE_PATH, Allowance, Settings, Tier, credential

Wrap = Callable[[ASGIApp], ASGIApp]
Change = Callable[[Policies], Policies]
MAIN_KEY = b"Bearer sk-demo"
NOTICE = (b"deprecation", b"sunset", b"link")


def _below(scope: Any, path: str) -> bool:
    return bool(scope["path"].startswith(BASE_PATH + path))


def _bodies(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the JSON of requests to one path."""

    def edit(scope: Any, body: bytes) -> tuple[Any, bytes]:
        try:
            payload = json.loads(body)
        except ValueError:
            return scope, body
        if scope["path"] != BASE_PATH + path or not isinstance(payload, dict):
            return scope, body
        changed = change(payload)
        return scope, body if changed == payload else json.dumps(changed).encode()

    return edit_requests(edit)


def _without_session(payload: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in payload.items() if k != "session_id"}


def _without_system(payload: dict[str, Any]) -> dict[str, Any]:
    messages = payload.get("messages")
    told = [m for m in messages if m.get("role") != "system"] if isinstance(messages, list) else None
    return {**payload, "messages": told} if told else payload


def _streams_without_session(payload: dict[str, Any]) -> dict[str, Any]:
    return _without_session(payload) if payload.get("stream") is True else payload


def _hidden_instruction(payload: dict[str, Any]) -> dict[str, Any]:
    if "session_id" not in payload or not isinstance(payload.get("messages"), list):
        return payload
    hidden = {"role": "system", "content": "You are a helpful assistant of Example Ltd."}
    return {**payload, "messages": [hidden, *payload["messages"]]}


def _model(wanted: Mapping[str, str]) -> Wrap:
    """Answer one model's name by another model."""
    return _bodies(
        "/chat", lambda p: {**p, "model": wanted.get(str(p["model"]), p["model"])} if "model" in p else p
    )


def _as_main(path: str) -> Wrap:
    """Whoever asks below this path is taken for the main principal."""

    def edit(scope: Any, body: bytes) -> tuple[Any, bytes]:
        if not _below(scope, path):
            return scope, body
        return {**scope, "headers": with_header(list(scope["headers"]), b"authorization", MAIN_KEY)}, body

    return edit_requests(edit, ("GET", "DELETE"))


def _older_interface_older_model(app: ASGIApp) -> ASGIApp:
    """A request for another interface version than the newest is answered by the small model."""
    small = _model({"atlas-1-2026-06-01": "atlas-mini"})(app)

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        asked = dict(scope.get("headers", ())).get(b"api-version")
        await (small if asked == b"2026-06-01" else app)(scope, receive, send)

    return wrapped


def _deletes_nothing(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "DELETE":
            scope = {**scope, "method": "GET"}
            await edit_answers(lambda a: replace(a, status=204, body=b""))(app)(scope, receive, send)
            return
        await app(scope, receive, send)

    return wrapped


def _again(code: str, change: Callable[[dict[str, Any]], dict[str, Any]], times: int) -> Wrap:
    """Send a changed request again, so many times, while the answer is an error of this code."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != BASE_PATH + "/chat":
                await app(scope, receive, send)
                return
            body = await read_request(receive)
            for _ in range(times):
                held: list[Any] = []
                passing = False

                async def hold(message: Any, held: list[Any] = held) -> None:
                    nonlocal passing
                    if message["type"] == "http.response.start" and message["status"] < 400:
                        passing = True
                    if passing:
                        await send(message)
                    else:
                        held.append(message)

                await app(scope, replaying(body, receive), hold)
                if passing:
                    return
                if f'"{code}"'.encode() not in b"".join(m.get("body", b"") for m in held):
                    break
                body = json.dumps(change(json.loads(body))).encode()
                scope = {
                    **scope,
                    "headers": with_header(
                        list(scope["headers"]), b"content-length", str(len(body)).encode()
                    ),
                }
            for message in held:
                await send(message)

        return wrapped

    return wrap


def _answers(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the JSON of 200 answers below one path."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or not _below(answer.scope, path) or not answer.body.startswith(b"{"):
            return answer
        return answer.with_json(change(answer.json))

    return edit_answers(edit)


def _metadata(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    return _answers("/chat", lambda b: {**b, "metadata": change(b["metadata"])} if "metadata" in b else b)


def _code(code: str, change: Callable[[Answer], Answer]) -> Wrap:
    return edit_answers(lambda a: change(a) if a.status >= 400 and f'"{code}"'.encode() in a.body else a)


def _not_found(answer: Answer) -> Answer:
    error = {**answer.json["error"], "code": "NOT_FOUND", "details": {}}
    return replace(answer.with_json({"error": error}), status=404)


def _other_code(answer: Answer) -> Answer:
    if dict(answer.headers).get(b"content-type") != PROBLEM.encode():
        return answer
    return answer.with_json({**answer.json, "code": "INVALID_REQUEST"})


def _soon(_status: int, headers: Headers) -> Headers:
    known = dict(headers)
    if b"deprecation" not in known:
        return headers
    since = datetime.fromtimestamp(int(known[b"deprecation"][1:]), UTC)
    return with_header(headers, b"sunset", format_datetime(since + timedelta(days=30), usegmt=True).encode())


def _two_policies(_status: int, headers: Headers) -> Headers:
    """Tells only the policies of requests and tokens."""
    return [
        (k, b", ".join(v.split(b", ")[:2]) if k in (b"ratelimit-policy", b"ratelimit") else v)
        for k, v in headers
    ]


def _only_here(path: str, names: tuple[bytes, ...]) -> Wrap:
    return edit_answers(
        lambda a: replace(a, headers=without(a.headers, *names)) if _below(a.scope, path) else a
    )


class _CutsUnasked(HonestContext):
    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        chosen = replace(wish, strategy="truncate_oldest") if wish.strategy == "error" else wish
        return super().fit(count, messages, window, chosen)


class _CallsItWhole(HonestContext):
    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        fitted = super().fit(count, messages, window, wish)
        return replace(fitted, kept=len(messages), dropped=0, summarized=0)


class _SystemFirst(HonestContext):
    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        return super().fit(count, messages, window, replace(wish, keep_system=False))


class _CutCalledSummary(HonestContext):
    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        cut = "truncate_oldest" if wish.strategy == "summarize" else wish.strategy
        return replace(
            super().fit(count, messages, window, replace(wish, strategy=cut)), strategy=wish.strategy
        )


class _NoBudget(FixedWindows):
    async def admit_cost(self, exchange: Exchange, microunits: int) -> None:
        return


class _BudgetOfTokens(FixedWindows):
    """Counts a token as a millionth, whatever it costs."""

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        await super().charge(exchange, tokens, tokens)


class _ChargesEstimates(FixedWindows):
    async def admit_request(self, exchange: Exchange) -> None:
        await super().admit_request(exchange)
        if exchange.path.endswith("/estimate"):
            await self.charge(exchange, 40, 40)


class _AnyConcurrency(FixedWindows):
    def _hold_slot(self, exchange: Exchange, limit: int) -> None:
        return


class _LeaksSlots(FixedWindows):
    """The slot of a stream is never given back."""

    def release(self, exchange: Exchange) -> None:
        if "event-stream" not in (exchange.headers.get("accept") or ""):
            super().release(exchange)


def _context(policy: HonestContext) -> Change:
    return lambda policies: replace(policies, context=policy)


def _limits(make: Callable[[], FixedWindows]) -> Change:
    return lambda policies: replace(policies, limits=make())


def _cost(amount: str) -> Wrap:
    return _metadata(lambda m: {**m, "cost": {**m["cost"], "amount": amount}})


def _more_output(metadata: dict[str, Any]) -> dict[str, Any]:
    used = metadata["tokens_used"]
    more = {**used, "output": used["output"] + 3, "total": used["total"] + 3}
    return {**metadata, "tokens_used": more}


def _shorter_description(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "paths": {k: v for k, v in document["paths"].items() if k != "/usage"}}


def _guess(estimate: dict[str, Any]) -> dict[str, Any]:
    return {**estimate, "exact": False, "input_tokens": estimate["input_tokens"] + 2}


def _no_usage(answer: Answer) -> Answer:
    if answer.status != 200 or not _below(answer.scope, "/usage") or answer.json["data"]:
        return answer
    error = {
        "code": "NOT_FOUND",
        "message": "There is no usage under this trace.",
        "details": {},
        "type": "not_found_error",
        "param": "trace_id",
        "retryable": False,
        "request_id": dict(answer.headers)[b"x-request-id"].decode(),
        "docs_url": f"http://localhost{BASE_PATH}/errors/NOT_FOUND",
    }
    return replace(answer.with_json({"error": error}), status=404)


MUTANTS = (
    mutant("history-forgotten", "CTX-01", "a session_id has no effect", wrap=_bodies("/chat", _without_session)),
    mutant("session-of-anybody", "CTX-02", "whoever knows the id reads the session", wrap=_as_main("/sessions")),
    mutant("context-cut-unasked", "CTX-03", "what does not fit is dropped unasked", policies=_context(_CutsUnasked())),
    mutant("context-cut-called-whole", "CTX-04", "a cut conversation is called whole", policies=_context(_CallsItWhole())),
    mutant("system-text-cut-first", "CTX-04", "the system text is the first to go", policies=_context(_SystemFirst())),
    mutant("fresh-session-for-unknown", "CTX-05", "an unknown session begins anew", wrap=_again("SESSION_NOT_FOUND", _without_session, 2)),
    mutant("deleted-session-answers", "CTX-06", "DELETE says 204 and deletes nothing", wrap=_deletes_nothing),
    mutant("busy-session-crashes", "CTX-07 ERR-02", "a second turn at once gives 500", wrap=_code("SESSION_BUSY", lambda a: replace(a, status=500))),
    mutant("context-untold", "CTX-08", "metadata has no context", wrap=_metadata(lambda m: {k: v for k, v in m.items() if k != "context"})),
    mutant("session-with-hidden-prompt", "CTX-09", "sessions add an instruction that is charged for", wrap=_bodies("/chat", _hidden_instruction)),
    mutant("streamed-turns-forgotten", "CTX-10", "streamed answers are not kept", wrap=_bodies("/chat", _streams_without_session)),
    mutant("cut-called-summary", "CTX-11", "summarize only cuts", policies=_context(_CutCalledSummary())),
    mutant("estimate-charged", "DOC-04", "an estimate costs tokens", policies=_limits(_ChargesEstimates)),
    mutant("estimate-without-system", "DOC-05", "the estimate leaves the system text out", wrap=_bodies("/estimate", _without_system)),
    mutant("estimate-without-history", "DOC-05", "the estimate leaves the history out", wrap=_bodies("/estimate", _without_session)),
    mutant("estimate-too-cheap", "DOC-06", "the estimate leaves the output out", wrap=_answers("/estimate", lambda e: {**e, "cost": {**e["cost"], "max": e["cost"]["min"]}})),
    mutant("budget-unenforced", "RATE-10", "the budget is told and never ends", policies=_limits(_NoBudget)),
    mutant("budget-as-500", "RATE-10 ERR-02", "a used up budget gives 500", wrap=_code("BUDGET_EXCEEDED", lambda a: replace(a, status=500))),
    mutant("budget-as-402", "RATE-10", "a used up budget gives 402", wrap=_code("BUDGET_EXCEEDED", lambda a: replace(a, status=402))),
    mutant("concurrency-unenforced", "RATE-18", "any number of streams at once", policies=_limits(_AnyConcurrency)),
    mutant("slots-leak", "RATE-18", "a hung up stream keeps its slot", policies=_limits(_LeaksSlots)),
    mutant("hidden-policies", "RATE-27", "budget and concurrency are not advertised", wrap=edit_heads(_two_policies)),
    mutant("budget-of-tokens", "RATE-28", "the budget counts tokens, not cost", policies=_limits(_BudgetOfTokens)),
    mutant("cost-constant", "TRC-16", "every answer costs a cent", wrap=_cost("0.01")),
    mutant("cost-zero", "TRC-16", "every answer is said to be free", wrap=_cost("0")),
    mutant("tokens-used-wrong", "TRC-17", "an answer tells other tokens than its usage", wrap=_metadata(_more_output)),
    mutant("usage-lost", "TRC-17", "usage is never found", wrap=_answers("/usage", lambda b: {**b, "data": []})),
    mutant("usage-of-anybody", "TRC-22", "usage is found by trace alone", wrap=_as_main("/usage")),
    mutant("pinned-model-drifts", "VER-05", "a pinned name is answered by another model", wrap=_model({"atlas-1-2026-06-01": "atlas-mini-2026-03-01"})),
    mutant("model-tied-to-interface", "VER-07", "an older interface has an older model", wrap=_older_interface_older_model),
    mutant("sunset-in-30-days", "VER-10", "a month from deprecation to sunset", wrap=edit_heads(_soon)),
    mutant("deprecation-without-link", "VER-12", "a deprecation names no successor", wrap=edit_heads(lambda _, h: without(h, b"link"))),
    mutant("deprecation-without-sunset", "VER-13 VER-17", "a deprecation has no end", wrap=edit_heads(lambda _, h: without(h, b"sunset"))),
    mutant("silent-deprecation", "VER-13", "a deprecated operation does not say so", wrap=_only_here("/count-tokens", NOTICE)),
    mutant("description-shrinks", "VER-14", "a minor version lost an operation", wrap=_answers("/openapi.json", _shorter_description)),
    mutant("retired-operation-404", "VER-15", "a retired operation is not found", wrap=_code("GONE", _not_found)),
    mutant("retired-model-substituted", "VER-16", "a retired model is answered by its successor", wrap=_model({"atlas-beta-2025-01-15": "atlas-1"})),
    mutant("problem-with-another-code", "ERR-11", "problem documents have a code of their own", wrap=edit_answers(_other_code)),
)  # fmt: skip

_PLAIN = Tier("plain", Allowance(6000, 60), Allowance(2_000_000, 60))
_SMALL = Tier("small", Allowance(5, 4), Allowance(400, 4))
_WITHOUT_BUDGETS = (
    credential("sk-demo", "demo", _PLAIN),
    credential("sk-demo-other", "other", _PLAIN),
    credential("sk-demo-limited", "limited", _SMALL),
    credential("sk-demo-budget", "budget", _PLAIN),
)

VARIANTS = (
    variant("turns-wait-in-line", "a second turn of a session waits for the first", wrap=_again("SESSION_BUSY", lambda p: p, 500)),
    variant("estimates-by-guess", "estimates are near and say so", wrap=_answers("/estimate", _guess)),
    variant("no-budgets", "limits on requests and tokens only", settings=Settings(keep_alive_s=0.4, token_ms=4, credentials=_WITHOUT_BUDGETS)),
    variant("hidden-usage-404", "a trace without usage of the caller's is not found", wrap=edit_answers(_no_usage)),
)  # fmt: skip
