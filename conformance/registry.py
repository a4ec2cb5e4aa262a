"""The two decorators by which probes and checks are declared, and the tables they fill.

A check is a plain pytest test. Its parameter names say which evidence it judges:

- a probe's name: the :class:`~conformance.reading.Probed` readings of that probe;
- ``exchanges``: every reading of the run; ``streams``: every complete ``text/event-stream`` answer of the run;
- ``dialect``, ``target``: the dialect, and the target's public description.

So the plan knows which probes the selected checks need, without a second list.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import AUTHORIZATION_SERVER

if TYPE_CHECKING:
    from conformance.dialects.model import Dialect
    from conformance.session import Session

BROAD = frozenset({"exchanges", "streams", "dialect", "target"})
CheckFunction = Callable[..., str | None]
ProbeFunction = Callable[["Session"], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """One assertion of one requirement. Returns the detail of a PASS, or None."""

    requirement: str
    function: CheckFunction
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.function.__module__}:{self.function.__name__}"

    @property
    def probes(self) -> tuple[str, ...]:
        return tuple(n for n in self.needs if n not in BROAD)


@dataclass(frozen=True)
class Probe:
    """What is sent for one area. ``calls`` is the most it sends, ``vendor_calls`` the most where calls cost money:
    in any dialect but the contract's (0: only the contract's own format has what it asks for). ``shares``: what it
    also needs and shares with other probes (:meth:`~conformance.session.Session.shared`), one call each in a run;
    a name is that of the operation, with more after a colon where one is shared in several ways.

    The probe is left out unless the dialect has its abstract ``operations``, and one of its ``provocations``, if it
    names any. ``phase`` 0 runs first (baseline), 1 runs concurrently, 2 runs alone and last (it exhausts limits).
    ``computes``: it keeps a core busy, which would falsify the times that other probes measure; so it runs after
    those of its phase. ``client``: it needs a client of the target's authorization server.
    """

    name: str
    function: ProbeFunction
    calls: int
    operations: tuple[str, ...]
    phase: int
    tokens: int
    vendor_calls: int
    provocations: tuple[str, ...]
    computes: bool
    client: bool
    shares: tuple[str, ...] = ()
    contract_only: bool = False

    def shared_calls(self, dialect: Dialect) -> frozenset[str]:
        """Those of ``shares`` that the dialect has."""
        elsewhere = AUTHORIZATION_SERVER
        return frozenset(s for s in self.shares if s.partition(":")[0] in (elsewhere, *dialect.operations))


CHECKS: dict[str, Check] = {}
PROBES: dict[str, Probe] = {}


def check(requirement: str) -> Callable[[CheckFunction], CheckFunction]:
    """Declare that a test judges ``requirement``. Exactly one check per requirement."""

    def register(function: CheckFunction) -> CheckFunction:
        known = CHECKS.get(requirement)
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise ValueError(f"{requirement} already has the check {known.name}")
        needs = tuple(inspect.signature(function).parameters)
        CHECKS[requirement] = Check(requirement, function, needs)
        setattr(function, "requirement", requirement)  # noqa: B010 - functions have no such attribute for mypy
        return function

    return register


def probe(
    *,
    calls: int,
    operations: tuple[str, ...] = ("chat",),
    phase: int = 1,
    tokens: int = 200,
    vendor_calls: int | None = None,
    provocations: tuple[str, ...] = (),
    computes: bool = False,
    client: bool = False,
    shares: tuple[str, ...] = (),
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Declare a probe; its name is the function's. ``tokens``: the most it may cost in all. See :class:`Probe`."""

    def register(function: ProbeFunction) -> ProbeFunction:
        name = function.__name__
        if name in BROAD:
            raise ValueError(f"'{name}' cannot name a probe")
        elsewhere = calls if vendor_calls is None else vendor_calls
        PROBES[name] = Probe(
            name,
            function,
            calls,
            operations,
            phase,
            tokens,
            elsewhere,
            provocations,
            computes,
            client,
            shares,
            vendor_calls == 0,
        )
        return function

    return register


def load_all() -> None:
    """Import every probe and check module that ships with the suite."""
    import importlib
    import pkgutil

    for package_name in ("conformance.probes", "conformance.checks"):
        package = importlib.import_module(package_name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package_name}.{module.name}")


def selected_checks(ids: Iterable[str]) -> dict[str, Check]:
    """The registered checks of these requirements."""
    return {i: CHECKS[i] for i in ids if i in CHECKS}


def describe(function: Callable[..., Any]) -> str:
    """First line of the docstring."""
    return (inspect.getdoc(function) or "").split("\n", 1)[0]
