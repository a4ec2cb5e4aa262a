"""The kill matrix as one HTML page that needs nothing else: each mutant, what caught it and with which words."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.registry import CHECKS
from conformance.report.plain import visible
from conformance.selftest import Outcome


def render_kill_matrix(outcomes: Sequence[Outcome]) -> str:
    """The page, survivors and flagged variants first. Details hold what servers sent: all is escaped."""
    environment = Environment(
        loader=PackageLoader("conformance", "report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["visible"] = lambda text: visible(str(text))
    mutants = [o for o in outcomes if o.subject.kind == "mutant"]
    variants = [o for o in outcomes if o.subject.kind == "variant"]
    return environment.get_template("kill_matrix.html.j2").render(
        mutants=sorted(mutants, key=lambda o: (o.killed, o.subject.name)),
        variants=sorted(variants, key=lambda o: (not o.false_alarm, o.subject.name)),
        killed=sum(o.killed for o in mutants),
        flagged=sum(o.false_alarm for o in variants),
        killers=len({v.id for o in mutants for v in o.hits}),
        checks=len(CHECKS),
    )
