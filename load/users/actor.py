"""One user: its connections, its dice, and the actions it can perform."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.evidence import Principal
from load.engine import Engine
from load.prompts import Prompt
from load.transport.client import Pool


@dataclass
class Actor:
    """Who acts. ``impatient`` ones ignore Retry-After, on the limited key if there is one."""

    engine: Engine
    pool: Pool
    dice: random.Random
    impatient: bool = False
    messages: list[dict[str, str]] = field(default_factory=list)
    turns: int = 0

    @property
    def principal(self) -> Principal:
        return "limited" if self.impatient and "limited" in self.engine.config.target.keys else "main"

    def prompt(self) -> Prompt:
        return self.dice.choice(self.engine.config.prompts)

    def params(self, **own: Any) -> dict[str, Any]:
        config = self.engine.config
        return {"model": config.target.model, "max_output_tokens": config.max_output_tokens, **own}


Action = Callable[[Actor, float | None], None]
"""Performs one action; the float is the intended start of its first call."""


def make_actor(engine: Engine, pool: Pool | None = None) -> Actor:
    """A user of this engine, with connections of its own unless a pool is given."""
    dice = random.Random(engine.dice.random())
    return Actor(engine, pool or Pool(), dice, impatient=dice.random() < engine.config.impatient)


def choose(mix: Mapping[str, int], dice: random.Random) -> str:
    """The name of an action, by weight."""
    if len(mix) == 1:
        return next(iter(mix))
    return dice.choices(list(mix), weights=list(mix.values()))[0]
