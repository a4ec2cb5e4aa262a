"""How a target stands, in the words of the HTML report: the gate, and each capability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.claims import Claim
from conformance.report.model import Report, counted
from conformance.report.wording import ORDER
from conformance.verdict import Result


@dataclass(frozen=True)
class CapabilityRow:
    """One capability: its verdicts, who advertises it, and what the profile asks of it."""

    name: str
    counts: Mapping[Result, int]
    claim: Claim | None
    demanded: bool

    @property
    def note(self) -> str:
        """What the bar does not say."""
        said = ["demanded by the profile"] if self.demanded else []
        if self.claim and self.claim.state == "not advertised":
            said.append("kept, not advertised")
        elif self.claim:
            by = f"advertised by {', '.join(self.claim.sources)}"
            said.append(f"{by}, not kept: {self.claim.detail}" if self.claim.state == "not kept" else by)
        return "; ".join(said)


def capability_rows(report: Report) -> tuple[CapabilityRow, ...]:
    """Core first, then by name."""
    names = sorted({v.capability for v in report.verdicts}, key=lambda n: (n != "core", n))
    return tuple(_row(report, name) for name in names)


def _row(report: Report, name: str) -> CapabilityRow:
    results = [v.result for v in report.verdicts if v.capability == name]
    claim = next((c for c in report.claims if c.capability == name), None)
    demanded = any(d.capability == name for d in report.gate.demands)
    return CapabilityRow(name, {r: results.count(r) for r in ORDER}, claim, demanded)


def gate_sentence(report: Report) -> str:
    """The result in one sentence."""
    gate = report.gate
    if gate.exit_code == 3:
        return f"No result: {'; '.join(gate.reasons)}."
    broken = [i for i in gate.failing if report.requirements[i].level == "MUST"]
    if broken:
        verb = "is" if len(broken) == 1 else "are"
        since = " any more" if gate.change else ""
        return f"The gate fails: {counted(len(broken), 'MUST requirement')} {verb} not kept{since}."
    if not gate.passed:
        return f"The gate fails: {'; '.join(gate.reasons)}."
    if report.counts[Result.FAIL]:
        known = counted(report.counts[Result.FAIL], "MUST requirement")
        return f"The gate passes, with {known} not kept that it was told to accept."
    return "The gate passes: every MUST requirement that could be judged is kept."


def gate_notes(report: Report) -> tuple[str, ...]:
    """What decided the gate beside the verdicts, one sentence each."""
    gate = report.gate
    notes = [r for r in gate.reasons if "not kept:" not in r or r.startswith("advertised")]
    notes += [f"Waived until {w.expires}: {w.requirement}: {w.reason}" for w in gate.waived]
    if gate.change is not None:
        groups = {
            "new": "New",
            "known": "Known",
            "fixed": "Fixed",
            "open": "Open",
            "lost": "Not judged any more",
        }
        ids = {title: ", ".join(getattr(gate.change, name)) for name, title in groups.items()}
        notes += [f"{title} since the baseline: {found}" for title, found in ids.items() if found]
    return tuple(notes)
