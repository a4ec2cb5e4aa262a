"""Tools through an OpenAI-compatible server: the conversation so far is told anew at every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from reference_impl.engine.base import Asked, Seen, Step, TokenCounts, UpstreamBrokenError, Wish
from reference_impl.engine.tokens import estimate_messages, estimate_text
from reference_impl.engine.upstream import Asking, Chunk, choice_of, counts_of, member, text_of


class UpstreamPlanner:
    """Lets the upstream's model decide. It is trusted with nothing: every call it writes is examined like any other."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def next_step(self, asked: Asked) -> Step:
        """The model's next calls, or its answer, with the tokens that the server reports."""
        number = 1 + max((call.instruction for call in asked.seen), default=-1)
        if asked.loop and asked.seen:
            return Step(number, tuple(call.wish for call in asked.seen if call.instruction == 0))
        request = _request(asked, self._asking.upstream.output_limit)
        size = estimate_messages(asked.messages) + sum(estimate_text(str(call.result)) for call in asked.seen)
        written: dict[int, dict[str, str]] = {}
        said: list[str] = []
        reason = ""
        counts: TokenCounts | None = None
        chunks = self._asking.chunks(asked.model, size, request)
        try:
            async for chunk in chunks:
                if chunk is not None:
                    counts = counts_of(chunk) or counts
                    choice = choice_of(chunk)
                    reason = text_of(choice, "finish_reason") or reason
                    said.append(text_of(member(choice, "delta"), "content"))
                    _collect(written, member(choice, "delta"))
        finally:
            await chunks.aclose()
        if not reason:
            raise UpstreamBrokenError  # cut off: half a call must not run
        wishes = tuple(Wish(call["name"], call["arguments"]) for _, call in sorted(written.items()))
        text = "".join(said)
        guess = estimate_text(text) + sum(estimate_text(f"{w.name} {w.arguments}") for w in wishes)
        return Step(
            number,
            wishes,
            _attempt(wishes, asked.seen, number),
            text,
            counts or TokenCounts(size, guess, estimated=True),
            cut=reason == "length",
        )


def _request(asked: Asked, output_limit: str) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": _conversation(asked), output_limit: asked.max_output_tokens}
    if asked.tools:
        request["tools"] = [
            {
                "type": "function",
                "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
            }
            for t in asked.tools
        ]
        # Once a tool was used, the demand is met; repeated, it would never let the model answer.
        met = asked.choice == "required" and asked.seen
        request["tool_choice"] = "auto" if met else asked.choice
    return request


def _conversation(asked: Asked) -> list[dict[str, Any]]:
    """The caller's messages, then each step: the calls of the model, and what came of them."""
    told: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in asked.messages]
    for _, step in groupby(asked.seen, key=lambda call: (call.instruction, call.attempt)):
        calls = list(step)
        written = [
            {
                "id": c.id,
                "type": "function",
                "function": {"name": c.wish.name, "arguments": c.wish.arguments},
            }
            for c in calls
        ]
        told.append({"role": "assistant", "content": None, "tool_calls": written})
        told += [{"role": "tool", "tool_call_id": c.id, "content": _outcome(c)} for c in calls]
    return told


def _outcome(call: Seen) -> str:
    told = call.result if call.succeeded else {"error": call.failure or "the call was not made"}
    return json.dumps(told, ensure_ascii=False)


def _collect(written: dict[int, dict[str, str]], delta: Chunk) -> None:
    """Lay the fragments of a chunk to what is there of their calls: names come whole, arguments in pieces."""
    fragments = delta.get("tool_calls")
    for place, fragment in enumerate(fragments if isinstance(fragments, list) else ()):
        if not isinstance(fragment, dict):
            raise UpstreamBrokenError
        index = fragment.get("index")
        call = written.setdefault(index if isinstance(index, int) else place, {"name": "", "arguments": ""})
        function = member(fragment, "function")
        call["name"] = call["name"] or text_of(function, "name")
        call["arguments"] += text_of(function, "arguments")


def _attempt(wishes: Sequence[Wish], seen: Sequence[Seen], number: int) -> int:
    """1, or one more than the attempt before: the model repeats a call that failed and may be repeated."""
    names = {wish.name for wish in wishes}
    before = [c for c in seen if c.instruction == number - 1 and not c.succeeded and c.retryable]
    return 1 + max((c.attempt for c in before if c.wish.name in names), default=0)
