"""The interface between the contract and whatever generates text, in plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from reference_impl.engine.models import Catalogue, Model

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
    """What an engine says a generation took. `input` includes the cached, `output` the reasoning tokens.

    `estimated`: nobody has told it, the engine has guessed.
    """

    input: int
    output: int
    cached_input: int = 0
    reasoning_output: int = 0
    estimated: bool = False


@dataclass(frozen=True)
class Finish:
    """The last item of a generation: why it ended, and the counts where the pieces are not tokens."""

    reason: FinishReason
    counts: TokenCounts | None = None


ToolChoice = Literal["auto", "none", "required"]


@dataclass(frozen=True)
class Wish:
    """A tool call as the model wrote it: `arguments` is text, which may or may not be JSON."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Seen:
    """A call that was made, as the model sees it. `instruction` is the number of the step that asked for it, or of
    the line that did; `failure` says why there is no result.
    """

    instruction: int
    wish: Wish
    attempt: int
    succeeded: bool
    retryable: bool
    result: Any
    id: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Step:
    """The calls the model wants next, all at once; no calls: it has finished, and says `text`.

    `counts` is what the step took, None where whoever asked has to count. `cut`: the output limit ended it early.
    """

    instruction: int
    wishes: tuple[Wish, ...] = ()
    attempt: int = 1
    text: str = ""
    counts: TokenCounts | None = None
    cut: bool = False


@dataclass(frozen=True)
class OfferedTool:
    """A tool as a model is told of it; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """One look of a model at a conversation with tools. `max_output_tokens` is what is left of the run's limit.

    `loop`: the sandbox has it repeat its first step for ever.
    """

    model: Model
    messages: tuple[Message, ...]
    seen: tuple[Seen, ...]
    choice: ToolChoice
    tools: tuple[OfferedTool, ...]
    max_output_tokens: int
    loop: bool = False


class Planner(Protocol):
    """Decides what tools to use next."""

    async def next_step(self, asked: Asked) -> Step:
        """The next calls, or the answer. Raises an `EngineError` where the model fails."""
        ...


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


class Generation(Protocol):
    """The output piece by piece (one token each, unless the `Finish` has counts), then one `Finish`.

    Iterating raises an `EngineError` when the generation breaks. Closing it stops the work.
    """

    def __aiter__(self) -> AsyncIterator[str | Finish]: ...

    def aclose(self) -> Awaitable[None]:
        """Stop. Whoever was given a generation closes it, also one that was never iterated."""
        ...


class Engine(Protocol):
    """Generates text token by token."""

    @property
    def gauge(self) -> Gauge:
        """Counters that show whether the engine is really working, or has really stopped."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The models it has."""
        ...

    @property
    def exact(self) -> bool:
        """Whether `count` is what an answer will report, or only an estimate."""
        ...

    @property
    def planner(self) -> Planner | None:
        """How its models use tools; None if they cannot."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Input tokens of a conversation."""
        ...

    async def start(self, call: Call) -> Generation:
        """Begin a generation. Raises an `EngineError` for what can be known before the first token."""
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
