"""What a run may cost, and whom it may hit."""

from __future__ import annotations

import argparse
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from load.errors import LoadError


def check_host(url: str, allowed: str | None) -> None:
    """Refuse a target that is not this machine, unless the tester names its host.

    Raises:
        LoadError: it says what to type.
    """
    host = urlsplit(url).hostname or ""
    if _is_loopback(host):
        return
    if allowed is None:
        raise LoadError(
            f"{host} is not this machine: a load test can cost money and harm others. "
            f"If you are allowed to do this, add --i-am-allowed {host}"
        )
    if allowed.lower() != host.lower():
        raise LoadError(f"--i-am-allowed names {allowed}, but the target is {host}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Caps:
    """Bounds on one run; None: no bound. ``price`` is per token, in and out."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price: tuple[float, float] = (0.0, 0.0)
    seconds: float = 3600.0
    in_flight: int = 5000

    @classmethod
    def of(cls, options: argparse.Namespace) -> Caps:
        """The caps of the options. Raises :class:`LoadError`."""
        price = _price(options.price)
        if options.max_cost is not None and options.price is None:
            raise LoadError("--max-cost needs --price IN:OUT (per million tokens)")
        for name in ("max_calls", "max_tokens", "max_cost", "max_seconds", "max_in_flight"):
            value = getattr(options, name)
            if value is not None and value <= 0:
                raise LoadError(f"--{name.replace('_', '-')} must be above 0")
        return cls(
            options.max_calls,
            options.max_tokens,
            options.max_cost,
            price,
            options.max_seconds,
            options.max_in_flight,
        )

    def share(self, shards: int) -> Caps:
        """The part of one of several processes."""
        return Caps(
            None if self.calls is None else max(1, self.calls // shards),
            None if self.tokens is None else max(1, self.tokens // shards),
            None if self.cost is None else self.cost / shards,
            self.price,
            self.seconds,
            max(1, self.in_flight // shards),
        )

    def exceeded(self, calls: int, tokens_in: int, tokens_out: int) -> str:
        """Which bound is reached, in words; empty if none is."""
        if self.calls is not None and calls >= self.calls:
            return f"the cap of {self.calls:,} calls is reached"
        if self.tokens is not None and tokens_in + tokens_out >= self.tokens:
            return f"the cap of {self.tokens:,} tokens is reached"
        if self.cost is not None and self.cost_of(tokens_in, tokens_out) >= self.cost:
            return f"the cap on the cost, {self.cost:g}, is reached"
        return ""

    def cost_of(self, tokens_in: int, tokens_out: int) -> float:
        return tokens_in * self.price[0] + tokens_out * self.price[1]


def _price(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    try:
        into, out = (float(part) / 1e6 for part in text.split(":"))
    except ValueError:
        raise LoadError(f"--price {text}: write IN:OUT, per million tokens") from None
    return into, out
