"""The models this server publishes, and how a requested name becomes one of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

PRICE_VERSION = "2026-06-01"
CURRENCY = "USD"


@dataclass(frozen=True)
class Model:
    """One concrete model. Windows are tokens; prices are USD per million tokens."""

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

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The price of one answer in USD, exact."""
        return (self.input_price * input_tokens + self.output_price * output_tokens) / 1_000_000


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
MODELS = (ATLAS, ATLAS_MINI, ATLAS_0)
DEFAULT_MODEL = ATLAS


@dataclass(frozen=True)
class RetiredModel:
    """A model that is gone. Its names stay reserved, so that no other model ever answers under them."""

    id: str
    retired_at: str
    successor: str


RETIRED = {"atlas-beta-2025-01-15": RetiredModel("atlas-beta-2025-01-15", "2026-02-01T00:00:00Z", ATLAS.id)}

_BY_NAME = {name: model for model in MODELS for name in (model.id, model.alias)}


def find_model(name: str) -> Model | None:
    """The model with this id or alias."""
    return _BY_NAME.get(name)
