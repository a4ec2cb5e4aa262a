"""Which deliberate defects prove the check of a requirement: ``mutants.json``, an index of the servers of mutants.

Written by ``python -m reference_impl.mutants --index FILE``; this package knows no server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def mutants() -> Mapping[str, tuple[str, ...]]:
    """The ids of the requirements that each mutant violates, by the mutant's name."""
    listed: dict[str, list[str]] = json.loads(files("spec").joinpath("mutants.json").read_text("utf-8"))
    return {name: tuple(ids) for name, ids in listed.items()}


def mutants_of(requirement: str) -> list[str]:
    """The names of the mutants that violate a requirement, in alphabetical order."""
    return sorted(name for name, ids in mutants().items() if requirement in ids)
