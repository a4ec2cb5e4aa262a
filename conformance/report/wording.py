"""The words of the HTML report for verdicts, and what would make a requirement testable."""

from __future__ import annotations

import re
from collections.abc import Mapping

from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement

ORDER = (
    Result.PASS,
    Result.WARN,
    Result.FAIL,
    Result.ERROR,
    Result.INCONCLUSIVE,
    Result.NOT_TESTED,
    Result.NOT_OFFERED,
)
MEANING: Mapping[Result, str] = {
    Result.PASS: "The evidence shows that the requirement is kept.",
    Result.FAIL: "A MUST is not kept. The gate fails.",
    Result.WARN: "A recommendation (SHOULD or MAY) is not followed. The gate does not depend on it.",
    Result.ERROR: "The suite itself broke. Says nothing about the target.",
    Result.INCONCLUSIVE: "Evidence was gathered and cannot decide.",
    Result.NOT_TESTED: "The evidence was never gathered; the reason says what is missing.",
    Result.NOT_OFFERED: "The target does not claim this capability, so the requirement does not apply.",
}
_OPTION = re.compile(r"(?<![\w.])--[a-z]")
"""An option that a detail names; a host name may have two hyphens too."""

_REMEDY_BY_METHOD = {
    "provoked": "Declare a provocation that triggers this behaviour, in the dialect.",
    "two-principals": "Give a second credential: --other-key, or --limited-key for limits, or --narrow-key for scopes.",
    "timed": "Run again from a quiet machine near the target: this rests on timing.",
    "load": "Shows only under load: run the load test.",
    "document": "Needs the machine-readable description that the target publishes.",
}


def words(result: Result) -> str:
    """``NOT_TESTED`` as it is read: ``not tested``."""
    return str(result).replace("_", " ").lower()


def said(counts: Mapping[Result, int]) -> str:
    """Counts in words: ``12 pass, 1 fail``."""
    return ", ".join(f"{counts[r]} {words(r)}" for r in ORDER if counts[r]) or "none"


def remedy(verdict: Verdict, requirement: Requirement) -> str:
    """What the tester can do so that a NOT_TESTED or INCONCLUSIVE requirement is judged."""
    if verdict.result is Result.INCONCLUSIVE:
        return "Run again; if it stays so, ask the vendor how the behaviour is meant."
    if verdict.detail.startswith("not observable"):
        return "This suite cannot see it from outside: ask the vendor for a written statement."
    if "budget" in verdict.detail:
        return "Run again with a larger --max-calls."
    if "provocation" in verdict.detail:
        return _REMEDY_BY_METHOD["provoked"]
    if _OPTION.search(verdict.detail):
        return "Run again with that option."
    return _REMEDY_BY_METHOD.get(requirement.method, "Needs a run in which that is seen.")
