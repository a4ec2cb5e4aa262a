"""How the builtin model uses tools: it does what it is told, line by line, whoever tells it.

A line `Call NAME {JSON}` is an instruction; several on one line, separated by ` && `, are calls in parallel. The
model obeys such lines in what tools return just as in what the user wrote: real models can be talked into
anything, so what keeps a caller safe must stand at the tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from reference_impl.engine.base import Asked, Message, Seen, Step, ToolChoice, Wish

_LINE = re.compile(r"^\s*Call [A-Za-z_]\w* ?\{.*\}\s*$")
_CALL = re.compile(r"Call ([A-Za-z_]\w*) ?(\{.*\})")
_ARITHMETIC = re.compile(r"(?:calculate|what is)\s++([-+*/(). 0-9]*[0-9][-+*/(). 0-9]*)", re.IGNORECASE)
_SEARCH = re.compile(r"^search (?:for )?(.+)$", re.IGNORECASE)
_MOST_ATTEMPTS = 2


class ObedientPlanner:
    """The builtin model with tools."""

    async def next_step(self, asked: Asked) -> Step:
        """What the lines of the conversation, and of the results so far, tell it to do."""
        return next_step(asked.messages, asked.seen, asked.choice, asked.loop)


def next_step(messages: Sequence[Message], seen: Sequence[Seen], choice: ToolChoice, loop: bool) -> Step:
    """What the model does next. `loop`: it never finishes, and repeats its first call."""
    lines = [] if choice == "none" else _instructions(messages, seen, choice)
    done = 1 + max((call.instruction for call in seen), default=-1)
    again = [c for c in seen if c.instruction == done - 1]
    if again and choice != "none":
        latest = max(c.attempt for c in again)
        failed = tuple(c.wish for c in again if c.attempt == latest and not c.succeeded and c.retryable)
        if failed and latest < _MOST_ATTEMPTS:
            return Step(done - 1, failed, latest + 1)
    if lines and loop:
        return Step(done, lines[0])
    if done < len(lines):
        return Step(done, lines[done])
    return Step(done, text=_summary(seen))


def truncated(wish: Wish) -> Wish:
    """The same call with its arguments cut off, as a model that stops too early writes it."""
    return Wish(wish.name, wish.arguments[: max(1, len(wish.arguments) // 2)])


def _instructions(
    messages: Sequence[Message], seen: Sequence[Seen], choice: ToolChoice
) -> list[tuple[Wish, ...]]:
    asked = messages[-1].content
    found = [_wishes(line) for line in asked.splitlines() if _LINE.match(line)]
    if not found:
        found = [(wish,) for wish in _understood(asked)]
    if not found and choice == "required":
        found = [(Wish("search_articles", json.dumps({"query": asked.strip()[:500] or "help"})),)]
    for call in seen:
        if call.succeeded:
            found += [
                _wishes(line)
                for text in _texts(call.result)
                for line in text.splitlines()
                if _LINE.match(line)
            ]
    return found


def _wishes(line: str) -> tuple[Wish, ...]:
    calls = (_CALL.fullmatch(part.strip()) for part in line.split(" && "))
    return tuple(Wish(call[1], call[2]) for call in calls if call)


def _understood(text: str) -> Iterator[Wish]:
    """Plain words for the two harmless tools."""
    if match := _ARITHMETIC.search(text):
        yield Wish("calculator", json.dumps({"expression": match[1].strip(" .")}))
    elif match := _SEARCH.match(text.strip()):
        yield Wish("search_articles", json.dumps({"query": match[1][:500]}))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _summary(seen: Sequence[Seen]) -> str:
    if not seen:
        return "No tool was needed."
    told = []
    for call in seen:
        if call.succeeded:
            told.append(f"{call.wish.name}: {json.dumps(call.result, ensure_ascii=False)}")
        else:
            told.append(f"{call.wish.name} did not succeed.")
    return " ".join(told)
