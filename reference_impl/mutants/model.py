"""What a mutant is: the reference with exactly one policy replaced, or one thing rewritten on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from reference_impl.identity import AuthSettings
from reference_impl.policies import Policies
from reference_impl.settings import Settings

ASGIApp = Callable[[Any, Any, Any], Any]


def _same_policies(policies: Policies) -> Policies:
    return policies


def _same_app(app: ASGIApp) -> ASGIApp:
    return app


QUICK = Settings(
    keep_alive_s=0.4,
    token_ms=4,
    webhook_networks=("127.0.0.0/8",),
    webhook_delays_s=(0.2, 1, 2, 4),
    auth=AuthSettings(leeway_s=1),
)
"""Fast enough to examine many servers, slow enough that a stream takes visible time."""


@dataclass(frozen=True)
class Subject:
    """A ``mutant`` names the requirements that it violates; a ``variant`` violates none.

    ``says``: a regular expression that the verdict which catches a mutant must match, so that it points at the
    defect, and not at something beside it; empty if any will do. ``slow``: it takes about a minute to be sure of it.
    """

    name: str
    kind: Literal["mutant", "variant"]
    story: str
    violates: tuple[str, ...] = ()
    policies: Callable[[Policies], Policies] = _same_policies
    wrap: Callable[[ASGIApp], ASGIApp] = _same_app
    settings: Settings = QUICK
    dialect: str = "contract"
    says: str = ""
    slow: bool = False


def mutant(
    name: str,
    violates: str,
    story: str,
    *,
    policies: Callable[[Policies], Policies] = _same_policies,
    wrap: Callable[[ASGIApp], ASGIApp] = _same_app,
    dialect: str = "contract",
    says: str = "",
    slow: bool = False,
) -> Subject:
    """A server with one deliberate defect; ``violates`` is a space-separated list of requirement ids.

    ``dialect`` is the format in which the suite meets the server; ``says`` and ``slow`` as in
    :class:`Subject`.
    """
    return Subject(
        name, "mutant", story, tuple(violates.split()), policies, wrap, dialect=dialect, says=says, slow=slow
    )


def variant(
    name: str,
    story: str,
    *,
    policies: Callable[[Policies], Policies] = _same_policies,
    wrap: Callable[[ASGIApp], ASGIApp] = _same_app,
    settings: Settings | None = None,
    dialect: str = "contract",
) -> Subject:
    """A conformant server that looks unusual."""
    chosen = settings or QUICK
    return Subject(name, "variant", story, (), policies, wrap, chosen, dialect)
