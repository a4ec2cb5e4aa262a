"""What a tool is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jsonschema_rs

from reference_impl.store.entries import Entries


@dataclass(frozen=True)
class ToolContext:
    """In whose name a tool acts. `call_id` is unique per intended action, so that acting twice can be noticed."""

    principal: str
    run_id: str
    call_id: str
    entries: Entries


@dataclass(frozen=True)
class ToolResult:
    """`value` goes back to the model; `sources` are ids of documents it was taken from."""

    value: Any
    sources: tuple[str, ...] = ()


class ToolError(Exception):
    """The tool could not do it, and has not acted. The message is for the model; nothing secret in it."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


Run = Callable[[ToolContext, Mapping[str, Any]], Awaitable[ToolResult]]


@dataclass(frozen=True)
class Tool:
    """`parameters` is the JSON Schema of the arguments. `acts`: it has side effects."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Run = field(repr=False)
    acts: bool = False
    requires_approval: bool = False

    @property
    def scope(self) -> str:
        """The scope that allows calling it."""
        return f"actions:{self.name}:execute"

    def fault(self, arguments: Any) -> str | None:
        """Why these arguments do not match the schema, or None."""
        error = next(iter(self._validator.iter_errors(arguments)), None)
        if error is None:
            return None
        pointer = "".join(f"/{part}" for part in error.instance_path)
        return f"{pointer or 'the arguments'}: {error.message}"

    @cached_property  # a frozen dataclass without slots keeps it in its __dict__
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(dict(self.parameters), mask="the value")
