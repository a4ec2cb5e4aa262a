"""Which requirements a run judges: ``--only SSE-04,ERR-*``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from spec.catalogue import Requirement


class SelectionError(ValueError):
    """A pattern matches no requirement; the message names it."""


@dataclass(frozen=True)
class Selection:
    """Shell-style patterns over requirement ids; empty selects everything."""

    patterns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> Selection:
        """From a comma-separated list; case does not matter."""
        return cls(tuple(p.strip().upper() for p in (text or "").split(",") if p.strip()))

    def of(self, requirements: Iterable[Requirement]) -> list[Requirement]:
        """The selected requirements in catalogue order.

        Raises:
            SelectionError: a pattern selects nothing.
        """
        known = list(requirements)
        if not self.patterns:
            return known
        for pattern in self.patterns:
            if not any(fnmatchcase(r.id, pattern) for r in known):
                raise SelectionError(f"no requirement matches '{pattern}': see `aiconform requirements`")
        return [r for r in known if any(fnmatchcase(r.id, p) for p in self.patterns)]
