"""What the users say: lines of a file, or words in a number drawn from a distribution. No tokenizer is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from pathlib import Path

from load.errors import LoadError

_TEXT = """
the order was sent on and it has not come so we ask you for help with a bill that is too high by some amount because
a part was paid in the last week but our team can see no sign of it in the list of all that you have put to our name
please tell us what to do next and when to call again
"""
WORDS = _TEXT.split()
"""Common short words: about one token each in every tokenizer in use."""

POOL = 64
"""Different synthetic prompts of one run: enough that a cache of the server is not hit by accident alone."""


@dataclass(frozen=True)
class Prompt:
    """A prompt and its number in the pool: equal numbers are equal bytes."""

    number: int
    text: str


def prompt_pool(file: str | None, tokens: str, seed: int) -> tuple[Prompt, ...]:
    """The prompts of a run. Raises :class:`LoadError`."""
    if file:
        try:
            lines = [line for line in Path(file).read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise LoadError(f"--prompts {file} cannot be read: {getattr(error, 'strerror', error)}") from None
        if not lines:
            raise LoadError(f"--prompts {file} has no line with text")
        return tuple(Prompt(i, line) for i, line in enumerate(lines))
    dice = random.Random(seed)
    draw = _distribution(tokens)
    return tuple(Prompt(i, " ".join(dice.choices(WORDS, k=max(1, round(draw(dice)))))) for i in range(POOL))


def _distribution(text: str) -> Callable[[random.Random], float]:
    """``64``, ``uniform:16:256``, ``normal:MEAN:DEVIATION`` or ``lognormal:MEDIAN:SIGMA``."""
    name, _, rest = text.partition(":")
    try:
        numbers = [float(n) for n in rest.split(":")] if rest else []
        match name, numbers:
            case "uniform", [low, high] if 0 < low <= high:
                return lambda dice: dice.uniform(low, high)
            case "normal", [mean, deviation] if mean > 0:
                return lambda dice: dice.gauss(mean, deviation)
            case "lognormal", [median, sigma] if median > 0:
                return lambda dice: dice.lognormvariate(log(median), sigma)
        fixed = float(text)
    except ValueError:
        fixed = 0.0
    if fixed <= 0:
        raise LoadError(
            f"--prompt-tokens {text}: write 64, uniform:16:256, normal:MEAN:DEVIATION or lognormal:MEDIAN:SIGMA"
        )
    return lambda dice: fixed
