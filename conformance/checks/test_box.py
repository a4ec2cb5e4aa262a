"""BOX: rare behaviour on request, so that nobody needs luck to test for it."""

from __future__ import annotations

from conformance.checks.sameness import error_status
from conformance.reading import Probed, Reading, member_of
from conformance.registry import check
from conformance.verdict import NotTested, expect


@check("BOX-01")
def test_scenarios_are_listed(sandbox: Probed) -> str:
    """`/capabilities` lists the scenarios by name, each once."""
    reading = sandbox["capabilities"]
    names = _listed(reading)
    good = (
        bool(names)
        and all(isinstance(n, str) and n for n in names)
        and len(set(map(str, names))) == len(names)
    )
    expect(
        good, expected="a list of different names", seen=names or "absent", at=reading,
        where="/capabilities/sandbox/scenarios",
    )  # fmt: skip
    return ", ".join(map(str, names))


@check("BOX-02")
def test_an_unknown_scenario_is_refused(sandbox: Probed) -> str:
    """A name that nobody listed: 400 `INVALID_REQUEST`."""
    error_status(sandbox["unknown_scenario"], 400, "INVALID_REQUEST", "an unknown scenario")
    return "refused"


@check("BOX-03")
def test_listed_scenarios_are_accepted(sandbox: Probed, exchanges: tuple[Reading, ...]) -> str:
    """No listed scenario that the run has sent was refused as an invalid request."""
    names = {str(n) for n in _listed(sandbox["capabilities"])}
    sent = [
        (r, str(s["scenario"]))
        for r in exchanges
        if isinstance(s := r.exchange.params.get("sandbox"), dict) and "scenario" in s
    ]
    judged = [(r, name) for r, name in sent if name in names and r.status is not None]
    if not judged:
        raise NotTested("the run has sent no listed scenario")
    for reading, name in judged:
        refused = reading.status == 400 and reading.error.code == "INVALID_REQUEST"
        expect(
            not refused,
            expected=f"the listed scenario {name} is accepted",
            seen="400 INVALID_REQUEST",
            at=reading,
        )
    return f"{len({name for _, name in judged})} of {len(names)} listed scenarios accepted"


def _listed(reading: Reading) -> list[object]:
    body = member_of(reading.body, "capabilities", "sandbox", "scenarios")
    return list(body) if isinstance(body, list) else []
