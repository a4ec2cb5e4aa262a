"""A dialect as the suite uses it: every rule compiled, every reference checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Literal

from conformance.budget import Price
from conformance.dialects.paths import Path
from conformance.dialects.rules import Rule
from conformance.evidence import Principal
from conformance.target import Target

OfferState = Literal["offered", "not_offered", "detected"]

#: What a caller may say about one call, and so the names that may stand in a template.
PARAMETERS = (
    "prompt",  # one user message
    "system",  # the instruction before it
    "messages",  # the whole conversation, instead of the two
    "model",
    "max_output_tokens",
    "temperature",
    "seed",
    "idempotency_key",  # as the vendor's header
    "idempotency_key_body",  # as a field of the body
    "sandbox",
    "text",
    "min_confidence",
    "turn_id",
    "code",
    "document",
    "job_id",
    "status",
    "limit",
    "cursor",
    "action_id",
    "decision",
    "webhook_id",
    "url",
    "events",
    "tools",  # names of tools the model may call
    "tool_choice",
    "max_steps",
    "max_tool_calls",
    "run_id",
    "decisions",  # which waiting tool calls may run
    "message_id",  # names a message of a WebSocket
    "session_id",
    "context_policy",
    "ttl_seconds",
    "trace_id",
)


class DialectError(ValueError):
    """A dialect cannot be found or is not valid; the message is one line: where, what, and what to do."""


@dataclass(frozen=True)
class Offer:
    """Whether the vendor offers a capability. ``detected``: judged only where the evidence shows it."""

    state: OfferState
    note: str = ""


@dataclass(frozen=True)
class Operation:
    """How one abstract operation is called: templates of path, query, headers and body (None: no body)."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Auth:
    """Where the credential goes: into a header or a query parameter, exactly one; ``value`` holds ``{key}``."""

    value: str
    header: str | None = None
    query: str | None = None


@dataclass(frozen=True)
class Parameter:
    """What the vendor demands of a call parameter: a value where the call gives none, and the least it takes."""

    default: Any = None
    minimum: float | None = None


@dataclass(frozen=True)
class ModelRules:
    """Where a list of models has its entries (``each``), and the facts of one (every name of ``MODEL_FACTS``)."""

    each: Path
    facts: Mapping[str, Rule]


@dataclass(frozen=True)
class Messages:
    """How a conversation is written.

    ``item``: the template of one message, None if it is the contract's ``{role, content}``.
    ``roles``: what the vendor calls ``system``, ``user`` or ``assistant`` where it differs.
    ``apart``: the system text is no message; the templates place it themselves as ``{system}``.
    """

    item: Mapping[str, Any] | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    apart: bool = False


@dataclass(frozen=True)
class Classification:
    """One rule that maps an error onto a contract code. All conditions given must hold.

    ``code`` is ``same`` where the vendor's code is the contract's.
    ``match`` searches the message; what its named groups capture becomes a detail, and so does what the paths
    of ``details`` select.
    """

    code: str
    statuses: frozenset[int] = frozenset()
    raw_codes: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    when: Path | None = None
    match: re.Pattern[str] | None = None
    details: tuple[tuple[str, Path], ...] = ()

    @property
    def looks_at_body(self) -> bool:
        """Whether it has a condition other than the status."""
        return bool(self.raw_codes or self.types or self.when or self.match)


@dataclass(frozen=True)
class ErrorRules:
    """Where the facts of an error are (every name of ``ERROR_FACTS``), and the ordered classification."""

    facts: Mapping[str, Rule]
    classify: tuple[Classification, ...]


@dataclass(frozen=True)
class StreamError:
    """Which events are errors, and how to read them. ``status`` finds an HTTP status inside the event."""

    rules: ErrorRules
    when: Path | None = None
    events: frozenset[str] = frozenset()
    status: Rule | None = None

    def applies(self, event: str, document: Any) -> bool:
        """Whether an event is an error, by its name or because ``when`` selects something other than null."""
        return event in self.events or (self.when is not None and self.when.has_value(document))


@dataclass(frozen=True)
class Terminal:
    """How a whole stream ends. Exactly one is set; of ``events``, any one is the end."""

    data: str | None = None
    events: tuple[str, ...] = ()
    eof_after: Path | None = None


@dataclass(frozen=True)
class StreamRules:
    """The grammar of a stream and where its facts are (every name of ``STREAM_FACTS``).

    ``sentinels``: data that is no JSON but belongs to the format. ``error`` None: there is no error event.
    ``known``: names of the events that must carry JSON (empty: all). ``ignore``: events without meaning.
    ``name``: where the data has the name of its event, if that counts and not the ``event`` field of SSE.
    """

    facts: Mapping[str, Rule]
    terminal: Terminal
    sentinels: frozenset[str]
    ignore: frozenset[str]
    known: frozenset[str]
    error: StreamError | None
    unsupported: frozenset[str]
    name: Path | None = None


@dataclass(frozen=True)
class Dialect:
    """A vendor's wire format in the contract's words.

    ``answer`` and ``headers`` have a rule for every name of ``ANSWER_FACTS`` and ``HEADER_FACTS``.
    ``provocations``: call parameters (:data:`PARAMETERS`) that trigger a rare behaviour.
    ``oauth``: form parameters that make an authorization server do what is rare.
    """

    name: str
    version: str
    title: str
    written_for: Mapping[str, str]
    auth: Auth
    messages: Messages
    request_headers: Mapping[str, str]
    capabilities: Mapping[str, Offer]
    operations: Mapping[str, Operation]
    answer: Mapping[str, Rule]
    headers: Mapping[str, Rule]
    error: ErrorRules
    stream: StreamRules
    provocations: Mapping[str, Mapping[str, Any]]
    models: ModelRules
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    price: Price | None = None
    oauth: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def offer(self, capability: str) -> Offer:
        """The offer of a capability, or of its parent (``rate_limits`` for ``rate_limits.tokens``)."""
        name = capability
        while name:
            if name in self.capabilities:
                return self.capabilities[name]
            name = name.rpartition(".")[0]
        return Offer("offered") if capability == "core" else Offer("not_offered")

    def auth_headers(self, target: Target, principal: Principal) -> tuple[tuple[str, str], ...]:
        """The credential's header; empty for ``none``, for a principal without a key, and if it goes elsewhere."""
        found = self._credential(target, principal)
        return ((self.auth.header, found),) if found and self.auth.header else ()

    def auth_query(self, target: Target, principal: Principal) -> tuple[tuple[str, str], ...]:
        """The credential as query parameter, if that is where the vendor wants it."""
        found = self._credential(target, principal)
        return ((self.auth.query, found),) if found and self.auth.query else ()

    def _credential(self, target: Target, principal: Principal) -> str | None:
        key = target.keys.get(principal)
        return self.auth.value.replace("{key}", key) if key else None


def builtin_dialects() -> list[str]:
    """Names of the dialects that ship with the suite."""
    shipped = (entry.name for entry in files("conformance.dialects").iterdir())
    return sorted(name.removesuffix(".yaml") for name in shipped if name.endswith(".yaml"))


def load_dialect(name_or_path: str) -> Dialect:
    """A built-in dialect by name, or one from a YAML file (``*.yaml``, ``*.yml``).

    Raises:
        DialectError: there is none, or it is not valid.
    """
    from conformance.dialects.load import builtin_dialect, read_dialect  # it builds on this module

    if name_or_path in builtin_dialects():
        return builtin_dialect(name_or_path)
    if name_or_path.endswith((".yaml", ".yml")):
        return read_dialect(FilePath(name_or_path))
    raise DialectError(
        f"there is no dialect '{name_or_path}': choose {', '.join(builtin_dialects())}, or name a .yaml file"
    )
