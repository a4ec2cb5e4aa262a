"""Find out with a handful of calls how a target speaks, which model it has and what it lacks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from conformance.dialects.model import Dialect, load_dialect
from conformance.dialects.request import UnsupportedOperation, build_request
from conformance.evidence import NOT_JSON, Exchange
from conformance.reading import Reading
from conformance.target import Limits, Target
from conformance.wire.http import Wire

MOST_CALLS = 10
MODELS_TRIED = 3
LIMITS = Limits(connect=5.0, headers=20.0, total=30.0)
_NOT_THERE = (404, 405, 501)


@dataclass(frozen=True)
class Vendor:
    """``variable``: the environment variable in which its users keep the key."""

    dialect: str
    variable: str


#: Whose API it is, by the end of the host's name.
HOSTS: Mapping[str, Vendor] = {
    "api.openai.com": Vendor("openai", "OPENAI_API_KEY"),
    "openai.azure.com": Vendor("azure-openai", "AZURE_OPENAI_API_KEY"),
    "api.anthropic.com": Vendor("anthropic-messages", "ANTHROPIC_API_KEY"),
    "generativelanguage.googleapis.com": Vendor("gemini", "GEMINI_API_KEY"),
    "api.cohere.com": Vendor("cohere-v2", "CO_API_KEY"),
    "api.cohere.ai": Vendor("cohere-v2", "CO_API_KEY"),
    "api.mistral.ai": Vendor("mistral", "MISTRAL_API_KEY"),
}
ORDER = ("openai-chat", "anthropic-messages", "gemini", "cohere-v2", "openai-responses")


class NotDiscovered(Exception):  # noqa: N818 - a signal
    """No dialect was understood; the message says what was seen."""


@dataclass
class Discovered:
    """What a target turned out to be. ``capabilities``: those of the dialect that it does not have."""

    dialect: str
    model: str | None = None
    capabilities: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    calls: int = 0


class _Questions:
    """The calls, counted."""

    def __init__(self, wire: Wire, target: Target) -> None:
        self.wire, self.target = wire, target
        self.calls = 0
        self.seen: list[str] = []

    async def ask(self, dialect: Dialect, operation: str, **params: Any) -> Reading | None:
        """One answer; None if it cannot be asked for, or nothing is left to ask with."""
        if self.calls >= MOST_CALLS or operation not in dialect.operations:
            return None
        target = replace(self.target, dialect=dialect.name)
        try:
            sent = build_request(dialect, operation, params, target, "main")
        except UnsupportedOperation:
            return None
        self.calls += 1
        started = time.time()
        recorded = await self.wire.send(sent, LIMITS)
        exchange = Exchange(
            f"x{self.calls:04d}", "init", operation, operation, "main", params, recorded.sent, started,
            **recorded.response(),
        )  # fmt: skip
        failed = exchange.failure.detail if exchange.failure else exchange.status
        self.seen.append(f"{sent.method} {urlsplit(sent.url).path}: {failed}")
        return Reading(exchange, dialect)


async def discover(target: Target, dialect: str | None = None) -> Discovered:
    """Speak to the target in one dialect after the other until one is understood.

    Raises:
        NotDiscovered: none was, within :data:`MOST_CALLS` calls.
    """
    async with Wire(verify=target.ca_bundle or target.verify) as wire:
        ask = _Questions(wire, target)
        if dialect is None and await _is_contract(ask):
            dialect = "contract"
        vendor = vendor_of(target.base_url)
        first = dialect or (vendor.dialect if vendor else None)
        listed = await _listing(ask, first)
        for name in [first] if first else _candidates(listed):
            found = await _speaks(ask, load_dialect(name), listed)
            if found is not None:
                return replace(found, calls=ask.calls)
    answers = "; ".join(ask.seen)
    raise NotDiscovered(f"no dialect was understood ({answers}): give --dialect, --model or --key-env")


async def _is_contract(ask: _Questions) -> bool:
    told = await ask.ask(load_dialect("contract"), "capabilities")
    if told is None:
        return False
    failure = told.exchange.failure
    if failure is not None and failure.kind in ("connect", "tls"):
        raise NotDiscovered(f"cannot reach {ask.target.base_url}: {failure.detail}")
    body = told.body
    return told.ok and isinstance(body, dict) and "contract_version" in body


def vendor_of(base_url: str) -> Vendor | None:
    """Whose API a URL is, as far as it is known."""
    host = urlsplit(base_url).hostname or ""
    return next((vendor for end, vendor in HOSTS.items() if host == end or host.endswith("." + end)), None)


async def _listing(ask: _Questions, name: str | None) -> Reading | None:
    """The list of models. Without a dialect, OpenAI's place and credential are tried, and the shape tells more."""
    return await ask.ask(load_dialect(name or "openai-chat"), "models")


def _candidates(listed: Reading | None) -> Iterator[str]:
    """Dialects to try, the likeliest first: a list of models has the shape of its vendor."""
    body: Any = listed.body if listed is not None and listed.exchange.json is not NOT_JSON else {}
    entries = body.get("data") if isinstance(body, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    likely = "openai-chat"
    if isinstance(body, dict) and isinstance(body.get("models"), list):
        likely = "gemini"
    elif isinstance(first, dict) and first.get("type") == "model" and "display_name" in first:
        likely = "anthropic-messages"
    elif (
        isinstance(first, dict)
        and isinstance(first.get("capabilities"), dict)
        and "completion_chat" in first["capabilities"]
    ):
        likely = "mistral"
    yield likely
    yield from (name for name in ORDER if name != likely)


async def _speaks(ask: _Questions, dialect: Dialect, listed: Reading | None) -> Discovered | None:
    """What the target is, if it answers a plain call in this dialect."""
    found = Discovered(dialect.name)
    own = Reading(listed.exchange, dialect) if listed is not None and listed.ok else None
    asked = listed is not None and listed.dialect.name == dialect.name
    if not (own and own.models) and not asked and ask.target.model is None:
        own, asked = await ask.ask(dialect, "models"), True
    models = [m.id for m in own.models] if own is not None and own.ok else []
    wanted: list[str | None] = [ask.target.model] if ask.target.model else [*models[:MODELS_TRIED]] or [None]
    for model in wanted:
        answer = await ask.ask(
            dialect, "chat", prompt="Name three colours.", max_output_tokens=16, model=model
        )
        if answer is None:
            return None
        if answer.ok and _is_answer(answer):
            found.model = model
            break
        error = answer.error
        if (error.raw_code.value, error.param.value) == ("unsupported_parameter", "max_tokens"):
            return await _speaks(ask, load_dialect("openai"), listed)
        if answer.status in (*_NOT_THERE, 401, 403) and error.code != "MODEL_NOT_FOUND":
            return None
    else:
        return None
    await _streams(ask, dialect, found)
    if not models and not asked:
        own = await ask.ask(dialect, "models")
        models = [m.id for m in own.models] if own is not None and own.ok else []
    if "models" in dialect.operations and not models:
        found.capabilities["models"] = "not_offered"
        found.notes.append("no list of models was found")
    return found


def _is_answer(answer: Reading) -> bool:
    return bool(answer.facts["text"] or answer.facts["finish_reason"])


async def _streams(ask: _Questions, dialect: Dialect, found: Discovered) -> None:
    """Whether the target streams at all; a stream with faults is for the checks to judge."""
    stream = await ask.ask(dialect, "chat_stream", prompt="Say yes.", max_output_tokens=16, model=found.model)
    if stream is not None and stream.status in _NOT_THERE:
        found.capabilities["streaming"] = "not_offered"
        found.notes.append(f"a streaming call was answered {stream.status}")
