"""What stands between a model that wants to act and the tool that acts.

Nothing here reads the conversation: a prompt, or text that a tool has brought in, cannot change what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from reference_impl.exchange import Exchange
from reference_impl.policies.scopes import require_scope
from reference_impl.tools.model import Tool

LimitReason = Literal["max_steps", "max_tool_calls"]


@dataclass(frozen=True)
class Progress:
    """How far a run is, and how far it may go."""

    steps: int
    calls: int
    max_steps: int
    max_tool_calls: int


class Tools(Protocol):
    """Decides over each call, at the tool."""

    def allowed(self, tool: Tool, asked: Collection[str] | None) -> bool:
        """Whether the request offered this tool to the model; None offers every tool."""
        ...

    def authorize(self, exchange: Exchange, tool: Tool) -> None:
        """Raise INSUFFICIENT_SCOPE unless the caller may have this tool act."""
        ...

    def needs_approval(self, tool: Tool) -> bool:
        """Whether a person has to agree first."""
        ...

    def exhausted(self, progress: Progress) -> LimitReason | None:
        """The limit that ends the run now."""
        ...

    def side_effects(self, tool: Tool, *, committed: bool) -> str:
        """What a failed call is declared to have left behind: `none`, `possible` or `committed`."""
        ...


class ToolGate:
    """Every rule as the contract has it."""

    def allowed(self, tool: Tool, asked: Collection[str] | None) -> bool:
        """By name."""
        return asked is None or tool.name in asked

    def authorize(self, exchange: Exchange, tool: Tool) -> None:
        """The scope `actions:NAME:execute` of the caller's credential."""
        require_scope(exchange, tool.scope)

    def needs_approval(self, tool: Tool) -> bool:
        """What the tool says of itself."""
        return tool.requires_approval

    def exhausted(self, progress: Progress) -> LimitReason | None:
        """Whichever is reached first."""
        if progress.calls >= progress.max_tool_calls:
            return "max_tool_calls"
        return "max_steps" if progress.steps >= progress.max_steps else None

    def side_effects(self, tool: Tool, *, committed: bool) -> str:
        """A tool that acts and failed somewhere may have acted."""
        if committed:
            return "committed"
        return "possible" if tool.acts else "none"
