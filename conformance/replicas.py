"""Several replicas of one API: what lies below their base URLs, and which of them an exchange went to.

That is not stored with an exchange: it follows from the URL of its request. Replicas are counted from 1, the target's
``base_url`` is the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from conformance.evidence import Evidence

_EXCHANGE = re.compile(r"\bx\d{4,}\b")


@dataclass(frozen=True)
class Replicas:
    """The base URLs of a target, without a last slash; the first is ``base_url``."""

    bases: tuple[str, ...]

    @classmethod
    def of(cls, target: Mapping[str, Any]) -> Replicas:
        """Those of a target's public description, as evidence has it."""
        listed = target.get("replicas")
        given = listed if isinstance(listed, list) and listed else [target.get("base_url", "")]
        return cls(tuple(str(base).rstrip("/") for base in given))

    @property
    def several(self) -> bool:
        return len(self.bases) > 1

    def number(self, url: str) -> int | None:
        """The replica that a request with this URL went to; None if it went elsewhere. One base URL may lie below
        another: the longer one is meant."""
        found = [
            n
            for n, base in enumerate(self.bases, 1)
            if url == base or url.startswith((f"{base}/", f"{base}?"))
        ]
        return max(found, key=lambda n: len(self.bases[n - 1]), default=None)

    def base(self, url: str) -> str:
        """The base URL of that replica, or the first."""
        return self.bases[(self.number(url) or 1) - 1]

    def name(self, url: str) -> str:
        """``replica 2: http://10.0.0.2/v1``; empty if there is only one, or if the URL is none of theirs."""
        number = self.number(url) if self.several else None
        return f"replica {number}: {self.bases[number - 1]}" if number else ""


ONE = Replicas(("",))
"""A target that is not several."""


@dataclass(frozen=True)
class Naming:
    """What the exchanges of a run are called in prose: ``x0012``, or ``x0012 (replica 2: http://10.0.0.2/v1)`` where
    there are several replicas."""

    evidence: Evidence

    @cached_property
    def _names(self) -> Mapping[str, str]:
        replicas = Replicas.of(self.evidence.target)
        if not replicas.several:
            return {}
        named = {e.id: replicas.name(e.sent.url) for e in self.evidence.exchanges}
        return {identity: name for identity, name in named.items() if name}

    def replica(self, identity: str) -> str:
        """``replica 2: http://10.0.0.2/v1``, or empty."""
        return self._names.get(identity, "")

    def exchange(self, identity: str) -> str:
        """The exchange with its replica."""
        name = self.replica(identity)
        return f"{identity} ({name})" if name else identity

    def prose(self, text: str) -> str:
        """The text with the replica behind each exchange that it names."""
        return _EXCHANGE.sub(lambda found: self.exchange(found[0]), text) if self._names else text


def below(bases: Sequence[str], url: str) -> str | None:
    """Path and query of an absolute URL below one of the base URLs; None if it lies elsewhere."""
    found = urlsplit(url)
    for base in sorted(map(urlsplit, bases), key=lambda b: -len(b.path)):
        if found[:2] == base[:2] and found.path.startswith(f"{base.path}/") and "/../" not in found.path:
            return found.path.removeprefix(base.path) + (f"?{found.query}" if found.query else "")
    return None
