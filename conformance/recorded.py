"""What may be judged on traffic that others recorded: passive requirements, less what a recording cannot show."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.evidence import Evidence
from spec.catalogue import Requirement

_BYTES = "a recording holds decoded text, not the bytes as sent"
BLIND: Mapping[str, str] = {
    "CON-18": _BYTES,
    "SSE-10": _BYTES,
    "SSE-11": _BYTES,
    "CON-25": "a recording has only the calls that ended",
    "SSE-34": "a recording does not say who ended a stream",
}
"""Passive requirements that a recording cannot show at all, and why."""

_STOPPED = "the recorded client may have stopped reading before the end"
DOUBTS: Mapping[str, str] = {
    **dict.fromkeys(("SSE-04", "SSE-06", "SSE-07", "SSE-38", "SSE-42"), _STOPPED),
    "CON-26": "a recording does not say whether the failure was provoked",
}
"""Requirements whose violation may as well be the recorded client's, and why."""


def unseen(requirement: Requirement, evidence: Evidence) -> str:
    """Why the requirement cannot be judged on this evidence; empty for what the suite itself gathered."""
    if "recorded" not in evidence.target:
        return ""
    if requirement.method != "passive":
        return (
            f"the traffic was recorded, not sent by this suite, and this requirement is {requirement.method}"
        )
    return BLIND.get(requirement.id, "")


def doubtful(requirement: Requirement, evidence: Evidence) -> str:
    """Why a violation that the evidence shows may not be the server's; empty if it is."""
    return DOUBTS.get(requirement.id, "") if "recorded" in evidence.target else ""
