"""From verdicts to passed or failed. Pure: verdicts, claims and a policy in, a :class:`Gate` out.

Exit codes: 0 passed, 1 failed, 3 the suite's own fault, or nothing could be judged. (2, bad usage, never gets here.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from conformance.claims import Claim
from conformance.gate.baseline import Change, compare
from conformance.gate.policy import Policy, Waiver
from conformance.verdict import Result, Verdict

State = Literal["kept", "not kept", "not offered", "not judged"]


@dataclass(frozen=True)
class Demand:
    """What became of one capability of the profile."""

    capability: str
    state: State

    @property
    def met(self) -> bool:
        """A capability that is there but broken fails by its verdicts, not once more here."""
        return self.state in ("kept", "not kept")


@dataclass(frozen=True)
class Gate:
    """``waived``: waivers that hold a failure back. ``change`` is there where a baseline is."""

    exit_code: Literal[0, 1, 3]
    reasons: tuple[str, ...]
    policy: Policy
    failing: tuple[str, ...] = ()
    waived: tuple[Waiver, ...] = ()
    idle: tuple[Waiver, ...] = ()
    demands: tuple[Demand, ...] = ()
    change: Change | None = None

    @property
    def passed(self) -> bool:
        return self.exit_code == 0

    def as_json(self) -> dict[str, Any]:
        """The ``gate`` of the report (``report.schema.json``)."""
        policy, change = self.policy, self.change
        found: dict[str, Any] = {
            "passed": self.passed,
            "exit_code": self.exit_code,
            "reasons": list(self.reasons),
            "fail_on": list(policy.fail_on.words()),
            "waived": [
                {"requirement": w.requirement, "reason": w.reason, "expires": w.expires.isoformat()}
                for w in self.waived
            ],
        }
        if policy.profile is not None:
            states = {d.capability: d.state for d in self.demands}
            found["profile"] = {"name": policy.profile.name, "demands": states}
        if change is not None and policy.baseline is not None:
            groups = ("new", "known", "fixed", "open", "lost")
            lists = {name: list(getattr(change, name)) for name in groups}
            found["baseline"] = {"name": policy.baseline.name, **lists}
        return found


def decide(verdicts: Sequence[Verdict], claims: Sequence[Claim], policy: Policy) -> Gate:
    """Whether the run passes."""
    results = {v.id: v.result for v in verdicts}
    bad = [v.id for v in verdicts if policy.fail_on.fails(v.level, v.result, v.check)]
    waived, idle, waiver_reasons = _waivers(policy, results, bad)
    covered = {w.requirement for w in waived}
    change = _change(policy, results, bad)
    failing = [i for i in bad if i not in covered and (change is None or i in change.new)]
    judged = any(r.judged for r in results.values())
    demands = _demands(policy, verdicts)
    reasons = [
        *_failures(failing, verdicts, "new since the baseline: " if change else ""),
        *waiver_reasons,
        *_unmet(demands, claims, policy),
    ]
    broken = [i for i, r in results.items() if r is Result.ERROR]
    fault = (
        [f"{_counted(len(broken), 'check')} broke, the suite's own fault: {', '.join(broken)}"]
        if broken
        else []
    )
    if not judged:
        fault.append("nothing could be judged")
    code: Literal[0, 1, 3] = 3 if not judged else 1 if reasons else 3 if fault else 0
    return Gate(code, (*reasons, *fault), policy, tuple(failing), waived, idle, demands, change)


def _failures(failing: Sequence[str], verdicts: Sequence[Verdict], prefix: str) -> list[str]:
    """One reason per level and kind of failure."""
    groups: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.id in failing:
            how = "not kept" if verdict.result.judged else str(verdict.result)
            groups.setdefault(f"{verdict.level} {{}} {how}", []).append(verdict.id)
    return [
        f"{prefix}{len(ids):,} {label.format('requirement' if len(ids) == 1 else 'requirements')}: {', '.join(ids)}"
        for label, ids in groups.items()
    ]


def _waivers(
    policy: Policy, results: Mapping[str, Result], bad: Sequence[str]
) -> tuple[tuple[Waiver, ...], tuple[Waiver, ...], list[str]]:
    """Waivers at work, those that wait for a verdict, and why one fails the gate. A requirement that this run does
    not judge at all (``--only``) leaves its waiver alone."""
    active: list[Waiver] = []
    idle: list[Waiver] = []
    reasons: list[str] = []
    for waiver in policy.waivers:
        result = results.get(waiver.requirement)
        if result is None:
            continue
        if waiver.expires < policy.day:
            reasons.append(f"the waiver of {waiver.requirement} expired on {waiver.expires}: {waiver.reason}")
        elif result is Result.PASS:
            reasons.append(
                f"the waiver of {waiver.requirement} is stale: the requirement is kept now; remove it"
            )
        elif waiver.requirement in bad:
            active.append(waiver)
        else:
            idle.append(waiver)
    return tuple(active), tuple(idle), reasons


def _change(policy: Policy, results: Mapping[str, Result], bad: Sequence[str]) -> Change | None:
    if policy.baseline is None:
        return None
    earlier = policy.baseline.verdicts
    before = {i: e.result for i, e in earlier.items()}
    was_bad = [i for i, e in earlier.items() if policy.fail_on.fails(e.level, e.result, e.check)]
    return compare(before, results, was_bad, bad)


def _demands(policy: Policy, verdicts: Sequence[Verdict]) -> tuple[Demand, ...]:
    """What became of the profile's capabilities; one that the run does not select (``--only``) is left alone."""
    demanded = policy.profile.capabilities if policy.profile else ()
    return tuple(
        _demand(c, found) for c in demanded if (found := {v.result for v in verdicts if v.capability == c})
    )


def _demand(capability: str, found: Collection[Result]) -> Demand:
    if set(found) == {Result.NOT_OFFERED}:
        return Demand(capability, "not offered")
    if Result.FAIL in found:
        return Demand(capability, "not kept")
    return Demand(capability, "kept" if any(r.judged for r in found) else "not judged")


def _unmet(demands: Sequence[Demand], claims: Sequence[Claim], policy: Policy) -> list[str]:
    known = policy.baseline.unmet if policy.baseline else frozenset[str]()
    name = policy.profile.name if policy.profile else ""
    reasons = []
    for state, how in (
        ("not offered", "what is not offered"),
        ("not judged", "that of which nothing was judged"),
    ):
        missing = [d.capability for d in demands if d.state == state and d.capability not in known]
        if missing:
            reasons.append(f"the profile {name} demands {how}: {', '.join(missing)}")
    reasons += [
        f"advertised, not kept: {claim.capability} ({', '.join(claim.sources)}): {claim.detail}"
        for claim in claims
        if claim.unshown and claim.capability not in known and policy.fail_on.levels
    ]
    return reasons


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
