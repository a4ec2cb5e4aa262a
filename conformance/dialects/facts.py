"""The closed list of facts that a dialect can find in an answer, and the shapes they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FactState = Literal["present", "absent", "unsupported"]

#: Facts of one complete answer. ``usage.input`` includes cached tokens; times are as named.
ANSWER_FACTS = (
    "text",
    "finish_reason",  # mapped: stop, length, content_filter, tool_call, error, timeout, other
    "response_id",
    "model_version",
    "trace_id",
    "latency_ms",
    "usage.input",
    "usage.output",
    "usage.total",
    "usage.cached_input",
    "usage.reasoning_output",
    "sources",
    "category",
    "confidence",
    "idempotency.expires_at",
    "job.id",
    "job.status",  # mapped: queued, processing, requires_action, complete, failed, cancelled, expired, other
    "job.progress",  # 0..1
    "job.result",
    "job.error",
)

#: Facts of the response headers, or of the body where a vendor puts them there. Times are seconds (float).
HEADER_FACTS = (
    "request_id",
    "api_version",
    "replayed",
    "retry_after",
    "ratelimit.requests.limit",
    "ratelimit.requests.remaining",
    "ratelimit.requests.reset",
    "ratelimit.tokens.limit",
    "ratelimit.tokens.remaining",
    "ratelimit.tokens.reset",
)

ERROR_FACTS = ("code", "message", "type", "param", "request_id", "retryable", "docs_url", "details")
STREAM_FACTS = (
    "text_delta",
    "finish_reason",
    "response_id",
    "model_version",
    "trace_id",
    "sequence_number",
    "usage.input",
    "usage.output",
    "usage.total",
)


#: Facts of one entry in a list of models. ``context_window`` is in tokens.
MODEL_FACTS = ("id", "context_window")


@dataclass(frozen=True, slots=True)
class Fact:
    """A value and where it was found: a JSON Pointer, or ``header NAME``.

    ``absent``: the dialect has a place for it, this answer does not; ``where`` says which place.
    ``unsupported``: the vendor's format has none; ``where`` is the dialect's reason.
    """

    value: Any
    where: str
    state: FactState = "present"

    def __bool__(self) -> bool:
        return self.state == "present"


Facts = Mapping[str, Fact]  # every name of ANSWER_FACTS and HEADER_FACTS has an entry


@dataclass(frozen=True, slots=True)
class Placed:
    """A fact of a stream and the index (in ``exchange.sse.events``) of the event that carried it."""

    event: int
    value: Any
    t: float


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One entry of a list of models; ``context_window`` in tokens, None if the vendor does not publish it."""

    id: str
    context_window: int | None = None


@dataclass(frozen=True)
class ErrorFacts:
    """An error in the contract's words.

    ``code`` is the contract's code or None if no rule of the dialect matched; ``raw_code`` is the vendor's.
    ``details`` hold the vendor's own details, then what classification captured.
    """

    code: str | None
    raw_code: Fact
    message: Fact
    type: Fact
    param: Fact
    request_id: Fact
    retryable: Fact
    docs_url: Fact
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamFacts:
    """A stream in the contract's words. Indices refer to ``exchange.sse.events``.

    ``terminals``: events that match the dialect's terminal (for ``eof_after`` grammars: the finish event).
    ``invalid``: events whose data is neither JSON nor a declared sentinel, with the parser's message.
    ``ignored``: events the dialect does not know or declares ignorable. ``deltas`` are never empty.
    ``usage`` (``input``, ``output``, ``total`` as far as reported) is final by the dialect's ``take`` rule;
    ``usages`` holds such a mapping for every event with a non-null usage.
    """

    text: str
    deltas: tuple[Placed, ...]
    finishes: tuple[Placed, ...]
    usages: tuple[Placed, ...]
    usage: Mapping[str, int]
    response_ids: tuple[Placed, ...]
    model_versions: tuple[Placed, ...]
    trace_ids: tuple[Placed, ...]
    sequence_numbers: tuple[Placed, ...]
    errors: tuple[tuple[int, ErrorFacts], ...]
    terminals: tuple[int, ...]
    invalid: tuple[tuple[int, str], ...]
    ignored: tuple[int, ...]
    terminal_name: str
    unsupported: frozenset[str] = frozenset()

    @property
    def finish_reason(self) -> str | None:
        return self.finishes[-1].value if self.finishes else None
