"""A dialect as the suite uses it: every rule compiled, every reference checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal

from conformance.dialects.paths import Path
from conformance.dialects.rules import Rule
from conformance.evidence import Principal
from conformance.target import Target

OfferState = Literal["offered", "not_offered", "detected"]


class DialectError(ValueError):
    """A dialect cannot be found or is not valid; the message is one line: where, what, and what to do."""


@dataclass(frozen=True)
class Offer:
    """Whether the vendor offers a capability. ``detected``: judged only where the evidence shows it."""

    state: OfferState
    note: str = ""


@dataclass(frozen=True)
class Operation:
    """How one abstract operation is called. ``body`` and ``query`` are templates, None for none."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Auth:
    """Where the credential goes: ``value`` holds ``{key}``."""

    header: str
    value: str


@dataclass(frozen=True)
class Classification:
    """One rule that maps an error onto a contract code. All conditions given must hold.

    ``code`` is ``same`` where the vendor's code is the contract's. ``details``: names and where their values are.
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
        return bool(self.raw_codes or self.types or self.when or self.match)


@dataclass(frozen=True)
class ErrorRules:
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
        return event in self.events or (self.when is not None and bool(self.when.find(document)))


@dataclass(frozen=True)
class Terminal:
    """How a whole stream ends. Exactly one is set."""

    data: str | None = None
    event: str | None = None
    eof_after: Path | None = None


@dataclass(frozen=True)
class StreamRules:
    """``known``: the named events that carry facts (empty: all). ``ignore``: named events without meaning."""

    facts: Mapping[str, Rule]
    terminal: Terminal
    sentinels: frozenset[str]
    ignore: frozenset[str]
    known: frozenset[str]
    error: StreamError | None
    unsupported: frozenset[str]


@dataclass(frozen=True)
class Dialect:
    """A vendor's wire format in the contract's words. ``name`` identifies it in reports."""

    name: str
    version: str
    title: str
    written_for: Mapping[str, str]
    auth: Auth
    capabilities: Mapping[str, Offer]
    operations: Mapping[str, Operation]
    answer: Mapping[str, Rule]
    headers: Mapping[str, Rule]
    error: ErrorRules
    stream: StreamRules
    provocations: Mapping[str, Mapping[str, Any]]

    def offer(self, capability: str) -> Offer:
        """The offer of a capability, or of its parent (``rate_limits`` for ``rate_limits.tokens``)."""
        name = capability
        while name:
            if name in self.capabilities:
                return self.capabilities[name]
            name = name.rpartition(".")[0]
        return Offer("offered") if capability == "core" else Offer("not_offered")

    def auth_headers(self, target: Target, principal: Principal) -> tuple[tuple[str, str], ...]:
        """The credential's header; empty for ``none`` and for a principal without a key."""
        key = target.keys.get(principal)
        return ((self.auth.header, self.auth.value.replace("{key}", key)),) if key else ()


def builtin_dialects() -> list[str]:
    """Names of the dialects that ship with the suite."""
    folder = FilePath(__file__).parent
    return sorted(p.stem for p in folder.glob("*.yaml"))


def load_dialect(name_or_path: str) -> Dialect:
    """A built-in dialect by name, or one from a YAML file.

    Raises:
        DialectError: there is none, or it is not valid.
    """
    from conformance.dialects.load import read_dialect

    if name_or_path in builtin_dialects():
        return read_dialect(FilePath(__file__).parent / f"{name_or_path}.yaml")
    path = FilePath(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return read_dialect(path)
    raise DialectError(
        f"there is no dialect '{name_or_path}': choose {', '.join(builtin_dialects())}, or name a .yaml file"
    )
