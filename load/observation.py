"""What one request came to, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from load.ledger import Broken


@dataclass(slots=True)
class Observation:
    """One finished request. Times in seconds; the clock starts at the *intended* start.

    ``lag``: by how much the action began later than intended (None in a closed loop). ``code``: the contract's
    error code, the vendor's, ``HTTP 500``, or the kind of failure (``reset``); empty for a success.
    ``gaps``: between receives that brought text. ``coalesced``: events whose gap to the one before is unknown,
    because one receive brought both.
    ``judged`` and ``broken``: requirement ids that this exchange was judged by, and what it broke."""

    operation: str
    e2e: float
    lag: float | None = None
    status: int | None = None
    code: str = ""
    ttfb: float | None = None
    ttft: float | None = None
    tpot: float | None = None
    gaps: list[float] = field(default_factory=list)
    worst_gap: float | None = None
    coalesced: int = 0
    stalls: int = 0
    truncated: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    size: int = 0
    retry_after: float | None = None
    queued: float | None = None
    run: float | None = None
    judged: tuple[str, ...] = ()
    broken: list[Broken] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.code
