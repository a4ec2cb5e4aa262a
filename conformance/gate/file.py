"""The gate of ``aiconform.toml``: ``[gate]``, ``[profiles.NAME]`` and ``[[waivers]]``; flags win over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from conformance.gate.policy import BUILT_IN, FailOn, GateError, Policy, Profile, Waiver, known_capabilities
from conformance.report.saved import SavedError, baseline_of, read_report
from conformance.target_file import read_document
from spec.catalogue import requirements


@dataclass(frozen=True)
class GateFile:
    """What the file says. ``path`` is None if there is no file."""

    path: Path | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=lambda: BUILT_IN)
    waivers: tuple[tuple[str | None, Waiver], ...] = ()

    def policy(
        self,
        *,
        target: str | None = None,
        profile: str | None = None,
        fail_on: Sequence[str] = (),
        baseline: Path | None = None,
    ) -> Policy:
        """The policy for one target (None: not from the file, only waivers for all hold).

        Raises:
            GateError: an unknown profile or word, or a baseline that cannot be read.
        """
        name = profile or self.gate.get("profile")
        if name is not None and name not in self.profiles:
            raise GateError(
                f"no profile '{name}': choose {', '.join(self.profiles)}, or write [profiles.{name}]"
            )
        given = self.gate.get("baseline")
        earlier = baseline or (self.path.parent / given if given and self.path else None)
        try:
            known = baseline_of(read_report(earlier)) if earlier else None
        except SavedError as error:
            raise GateError(str(error)) from None
        return Policy(
            self.profiles[name] if name else None,
            FailOn.parse(fail_on or self.gate.get("fail_on", ("must",))),
            tuple(waiver for only, waiver in self.waivers if only in (None, target)),
            known,
        )


def read_gate(path: Path) -> GateFile:
    """The gate of one file.

    Raises:
        TargetError: the file is unreadable or against its schema.
        GateError: an unknown capability, requirement, target or day, or two waivers of one requirement.
    """
    document = read_document(path)
    profiles = {
        name: Profile(name, _capabilities(path, name, entry["capabilities"]))
        for name, entry in document.get("profiles", {}).items()
    }
    waivers = [_waiver(path, document, entry) for entry in document.get("waivers", ())]
    seen: set[tuple[str | None, str]] = set()
    for only, waiver in waivers:
        if {(only, waiver.requirement), (None, waiver.requirement)} & seen:
            raise GateError(f"{path}: {waiver.requirement} is waived twice")
        seen.add((only, waiver.requirement))
    return GateFile(path, document.get("gate", {}), {**BUILT_IN, **profiles}, tuple(waivers))


def _capabilities(path: Path, profile: str, names: Sequence[str]) -> tuple[str, ...]:
    known = known_capabilities()
    for name in names:
        if name not in known:
            raise GateError(
                f"{path}: /profiles/{profile}: no capability '{name}'; there are {', '.join(known)}"
            )
    return tuple(names)


def _waiver(path: Path, document: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[str | None, Waiver]:
    identity = str(entry["requirement"])
    if identity not in requirements():
        raise GateError(f"{path}: a waiver names no requirement '{identity}': see `aiconform requirements`")
    only = entry.get("target")
    if only is not None and only not in document.get("targets", {}):
        raise GateError(f"{path}: the waiver of {identity} names no target '{only}' of this file")
    try:
        day = date.fromisoformat(str(entry["expires"]))
    except ValueError:
        raise GateError(f"{path}: the waiver of {identity} expires on no day of the calendar") from None
    return only, Waiver(identity, " ".join(str(entry["reason"]).split()), day)
