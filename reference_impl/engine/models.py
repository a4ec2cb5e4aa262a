"""The models an engine publishes, and how a requested name becomes one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

CURRENCY = "USD"
PRICE_VERSION = "2026-06-01"
NO_PRICE = "none"
"""The version of a price that nobody has told the server."""


@dataclass(frozen=True)
class Model:
    """One concrete model. Windows are tokens; prices are USD per million tokens, 0 where no price is known.

    `alias` equals `id` where there is no other name. `pinned`: the id will never mean another model.
    """

    id: str
    alias: str
    context_window: int
    max_output_tokens: int
    input_price: Decimal
    output_price: Decimal
    capabilities: tuple[str, ...]
    released_at: str
    deprecated_at: str | None = None
    sunset_at: str | None = None
    successor: str | None = None
    price_version: str = PRICE_VERSION
    pinned: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """What it can be asked for by."""
        return (self.id,) if self.alias == self.id else (self.id, self.alias)

    @property
    def priced(self) -> bool:
        """Whether its price is known."""
        return self.price_version != NO_PRICE

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The price of one answer in USD, exact; 0 where no price is known."""
        return (self.input_price * input_tokens + self.output_price * output_tokens) / 1_000_000


@dataclass(frozen=True)
class RetiredModel:
    """A model that is gone. Its names stay reserved, so that no other model ever answers under them."""

    id: str
    retired_at: str
    successor: str


@dataclass(frozen=True)
class Catalogue:
    """The models of one engine. The first is the default; `retired` are those that are gone, by name."""

    models: tuple[Model, ...]
    retired: Mapping[str, RetiredModel] = field(default_factory=dict)

    @property
    def default(self) -> Model:
        """The model of a request that names none."""
        return self.models[0]

    @property
    def priced(self) -> bool:
        """Whether every price is known, so that a budget can be kept."""
        return all(model.priced for model in self.models)

    def find(self, name: str) -> Model | None:
        """The model with this id or alias."""
        return self._by_name.get(name)

    def offers(self, capability: str) -> bool:
        """Whether any model has this capability."""
        return any(capability in model.capabilities for model in self.models)

    @cached_property  # a frozen dataclass without slots keeps it in its __dict__
    def _by_name(self) -> dict[str, Model]:
        return {name: model for model in self.models for name in model.names}


ATLAS = Model(
    id="atlas-1-2026-06-01",
    alias="atlas-1",
    context_window=32_768,
    max_output_tokens=4_096,
    input_price=Decimal("1.00"),
    output_price=Decimal("4.00"),
    capabilities=("chat", "streaming", "classify"),
    released_at="2026-06-01T00:00:00Z",
)
ATLAS_MINI = Model(
    id="atlas-mini-2026-03-01",
    alias="atlas-mini",
    context_window=2_048,
    max_output_tokens=512,
    input_price=Decimal("0.10"),
    output_price=Decimal("0.40"),
    capabilities=("chat", "streaming", "classify"),
    released_at="2026-03-01T00:00:00Z",
)
ATLAS_0 = Model(
    id="atlas-0-2025-09-01",
    alias="atlas-0",
    context_window=8_192,
    max_output_tokens=1_024,
    input_price=Decimal("2.00"),
    output_price=Decimal("8.00"),
    capabilities=("chat", "streaming", "classify"),
    released_at="2025-09-01T00:00:00Z",
    deprecated_at="2026-08-01T00:00:00Z",
    sunset_at="2027-09-01T00:00:00Z",
    successor=ATLAS.id,
)
BUILTIN = Catalogue(
    (ATLAS, ATLAS_MINI, ATLAS_0),
    {"atlas-beta-2025-01-15": RetiredModel("atlas-beta-2025-01-15", "2026-02-01T00:00:00Z", ATLAS.id)},
)
"""The models of the embedded engine."""
