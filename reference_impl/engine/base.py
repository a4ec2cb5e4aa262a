"""The interface between the contract and whatever generates text, in plain values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from reference_impl.engine.models import Model

FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True)
class Message:
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Scenario:
    """A provocation the caller declared (`sandbox` in the request); `delay_ms` None means its default."""

    name: str
    delay_ms: int | None = None


@dataclass(frozen=True)
class Call:
    """One generation, validated and with every default applied."""

    model: Model
    messages: tuple[Message, ...]
    input_tokens: int
    max_output_tokens: int
    temperature: float
    seed: int | None
    scenario: Scenario | None


@dataclass(frozen=True)
class TokenCounts:
    """What an engine says a generation took. `input` includes the cached, `output` the reasoning tokens."""

    input: int
    output: int
    cached_input: int = 0
    reasoning_output: int = 0


@dataclass(frozen=True)
class Finish:
    """The last item of a generation: why it ended, and the counts where the pieces are not tokens."""

    reason: FinishReason
    counts: TokenCounts | None = None


@dataclass
class Gauge:
    """Live counters of an engine: pieces generated since start, generations under way now."""

    generated: int = 0
    active: int = 0


@dataclass(frozen=True)
class Candidate:
    """One category with the probability mass the classifier gives it (0..1)."""

    category: str
    confidence: float


class Engine(Protocol):
    """Generates text token by token."""

    @property
    def gauge(self) -> Gauge:
        """Counters that show whether the engine is really working, or has really stopped."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Input tokens of a conversation."""
        ...

    async def admit(self, call: Call) -> None:
        """Raise an `EngineError` for what can be known before the first token."""
        ...

    def generate(self, call: Call) -> AsyncGenerator[str | Finish, None]:
        """Yield the output piece by piece (one token each, unless the `Finish` has counts), then one `Finish`.

        Closing it stops the work.

        Raises an `EngineError` when the generation breaks.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; nothing is generated afterwards."""
        ...


@dataclass(frozen=True)
class Calibration:
    """How far a classifier's confidences are from the share of right answers, and how that was measured.

    `ece` is the expected calibration error (0..1) over `samples` texts that the fit has not seen;
    `calibrated_at` is an RFC 3339 time.
    """

    ece: float
    accuracy: float
    samples: int
    calibration_set: str
    calibrated_at: str


class Classifier(Protocol):
    """Sorts a text into one of the published categories. `calibration` None: nothing was measured."""

    method: str
    calibrated: bool
    categories: tuple[str, ...]
    calibration: Calibration | None

    async def rank(self, text: str) -> tuple[Candidate, ...]:
        """All categories, most probable first; the confidences add up to 1."""
        ...


@dataclass(eq=False)
class EngineError(Exception):
    """The engine could not do what it was asked; subclasses say how."""


@dataclass(eq=False)
class OverloadedError(EngineError):
    """No capacity now; `retry_after_s` is when to come back."""

    retry_after_s: int = 1


@dataclass(eq=False)
class ModelTimeoutError(EngineError):
    """The model did not answer within `timeout_ms`."""

    timeout_ms: int
    elapsed_ms: int


@dataclass(eq=False)
class UpstreamBrokenError(EngineError):
    """The model's server failed or sent something unusable."""


@dataclass(eq=False)
class ContextExceededError(EngineError):
    """The input does not fit into the model's window, as only the engine could tell. Both are tokens."""

    input_tokens: int
    max_tokens: int


@dataclass(eq=False)
class InputFilteredError(EngineError):
    """The input was refused by the content policy."""

    categories: tuple[str, ...]


@dataclass(eq=False)
class ToolFailedError(EngineError):
    """A tool the model called failed, possibly after it had effects (`none`, `possible`, `committed`)."""

    tool: str
    tool_call_id: str
    attempt: int = 1
    retryable: bool = False
    side_effects: str = "none"
