"""Mutants of context and estimates: what is remembered, what is left out, what is foretold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from reference_impl.engine.base import Message
from reference_impl.exchange import Exchange
from reference_impl.mutants.asked import Wrap, asking, edit_asked, given, whole_body
from reference_impl.mutants.edits import on_code, to_status
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.requests import answers, as_main, chat_metadata
from reference_impl.mutants.wire import Answer, edit_answers, without
from reference_impl.policies import Policies
from reference_impl.policies.context import Count, Fitted, HonestContext, Wish
from reference_impl.policies.limits import FixedWindows
from reference_impl.settings import BASE_PATH

Change = Callable[[Policies], Policies]
PAUSE_S = 0.02


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


def _emptied(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    return replace(answer, status=204, body=b"", headers=without(answer.headers, b"content-length"))


def _deletes_nothing(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "DELETE":
            scope = {**scope, "method": "GET"}
            await edit_answers(_emptied)(app)(scope, receive, send)
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
            body = await whole_body(receive)
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

                # A copy: routing writes into the scope.
                await app({**scope}, given(body, receive), hold)
                if passing:
                    return
                if f'"{code}"'.encode() not in b"".join(m.get("body", b"") for m in held):
                    break
                await asyncio.sleep(PAUSE_S)
                scope, body = asking(scope, change(json.loads(body)))
            for message in held:
                await send(message)

        return wrapped

    return wrap


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


class _ChargesEstimates(FixedWindows):
    async def admit_request(self, exchange: Exchange) -> None:
        await super().admit_request(exchange)
        if exchange.path.endswith("/estimate"):
            await self.charge(exchange, 40, 40)


def _context(policy: HonestContext) -> Change:
    return lambda policies: replace(policies, context=policy)


def _limits(make: Callable[[], FixedWindows]) -> Change:
    return lambda policies: replace(policies, limits=make())


def _guess(estimate: dict[str, Any]) -> dict[str, Any]:
    return {**estimate, "exact": False, "input_tokens": estimate["input_tokens"] + 2}


MUTANTS = (
    mutant("history-forgotten", "CTX-01", "a session_id has no effect", wrap=edit_asked(_without_session, "/chat")),
    mutant("session-of-anybody", "CTX-02", "whoever knows the id reads the session", wrap=as_main("/sessions")),
    mutant("context-cut-unasked", "CTX-03", "what does not fit is dropped unasked", policies=_context(_CutsUnasked())),
    mutant("context-cut-called-whole", "CTX-04", "a cut conversation is called whole", policies=_context(_CallsItWhole())),
    mutant("system-text-cut-first", "CTX-04", "the system text is the first to go", policies=_context(_SystemFirst())),
    mutant("fresh-session-for-unknown", "CTX-05", "an unknown session begins anew", wrap=_again("SESSION_NOT_FOUND", _without_session, 2)),
    mutant("deleted-session-answers", "CTX-06", "DELETE says 204 and deletes nothing", wrap=_deletes_nothing),
    mutant("busy-session-crashes", "CTX-07 ERR-02", "a second turn at once gives 500", wrap=on_code("SESSION_BUSY", to_status(500))),
    mutant("context-untold", "CTX-08", "metadata has no context", wrap=chat_metadata(lambda m: {k: v for k, v in m.items() if k != "context"})),
    mutant("session-with-hidden-prompt", "CTX-09", "sessions add an instruction that is charged for", wrap=edit_asked(_hidden_instruction, "/chat")),
    mutant("streamed-turns-forgotten", "CTX-10", "streamed answers are not kept", wrap=edit_asked(_streams_without_session, "/chat")),
    mutant("cut-called-summary", "CTX-11", "summarize only cuts", policies=_context(_CutCalledSummary())),
    mutant("estimate-charged", "DOC-04", "an estimate costs tokens", policies=_limits(_ChargesEstimates)),
    mutant("estimate-without-system", "DOC-05", "the estimate leaves the system text out", wrap=edit_asked(_without_system, "/estimate")),
    mutant("estimate-without-history", "DOC-05", "the estimate leaves the history out", wrap=edit_asked(_without_session, "/estimate")),
    mutant("estimate-too-cheap", "DOC-06", "the estimate leaves the output out", wrap=answers("/estimate", lambda e: {**e, "cost": {**e["cost"], "max": e["cost"]["min"]}})),
)  # fmt: skip

VARIANTS = (
    variant("turns-wait-in-line", "a second turn of a session waits for the first", wrap=_again("SESSION_BUSY", lambda p: p, 500)),
    variant("estimates-by-guess", "estimates are near and say so", wrap=answers("/estimate", _guess)),
)  # fmt: skip
