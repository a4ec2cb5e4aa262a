"""``--dry-run``: what a run would send at most, and what of it the budget has no room for."""

from __future__ import annotations

from rich.console import Console

from conformance.budget import Price
from conformance.dialects.model import Dialect
from conformance.gather import Plan, plan
from conformance.registry import load_all, selected_checks
from conformance.selection import Selection
from conformance.target import Target
from spec.catalogue import requirements


def print_plan(console: Console, dialect: Dialect, selection: Selection, target: Target) -> None:
    """One line per probe, then the sum and the budget."""
    load_all()
    wanted = selection.of(requirements().values())
    planned = plan(selected_checks(r.id for r in wanted).values(), dialect, target)
    price = target.price or dialect.price
    for number, base in enumerate(target.bases, 1):
        if target.replicas:
            console.print(f"replica {number}: {base}", highlight=False)
    for probe in planned.probes:
        console.print(_line(probe.name, probe.calls, probe.tokens, price), highlight=False)
    if planned.shared:
        names = ", ".join(sorted(planned.shared))
        console.print(f"{_line('shared', len(planned.shared), 0, price)}: {names}", highlight=False)
    for record in planned.skipped:
        console.print(f"{record.name:24} left out: {record.reason}", highlight=False, style="dim")
    console.print(_line("in all", planned.calls, planned.tokens, price), style="bold", highlight=False)
    for line in _budget(planned, target, price):
        console.print(line, highlight=False)


def _line(name: str, calls: int, tokens: int, price: Price | None) -> str:
    money = f" {dearest(price, tokens):9.4f} USD" if price else ""
    return f"{name:24} at most {calls:3} calls {tokens:6} tokens{money}"


def dearest(price: Price, tokens: int) -> float:
    """US dollars for so many tokens, if all of them were of the dearer kind."""
    return max(price.of(tokens, 0), price.of(0, tokens))


def _budget(planned: Plan, target: Target, price: Price | None) -> list[str]:
    budget, lines = target.whole_budget, []
    if budget.calls is not None:
        lines.append(_room("calls", planned.calls, budget.calls))
    if budget.tokens is not None:
        lines.append(_room("tokens", planned.tokens, budget.tokens))
    if budget.cost is not None and price:
        lines.append(_room("US dollars", dearest(price, planned.tokens), budget.cost))
    if budget.seconds is not None:
        lines.append(f"budget: nothing more is sent after {budget.seconds:g} s")
    return lines


def _room(unit: str, planned: float, granted: float) -> str:
    enough = "enough for all" if planned <= granted else "not enough for all: the last probes may stay unsent"
    return f"budget: {granted:g} {unit}, {enough}"
