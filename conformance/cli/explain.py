"""``aiconform explain ID``: one requirement in full."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from conformance.cli.stop import stop
from conformance.judge import source_line
from conformance.registry import CHECKS, describe, load_all
from spec.catalogue import requirements


def command(
    requirement: Annotated[str, typer.Argument(metavar="ID", help="A requirement id, for instance SSE-04.")],
) -> None:
    """Say what a requirement demands, why, how it is observed, and how to keep it.

    Example: aiconform explain SSE-04
    """
    load_all()
    found = requirements().get(requirement.upper())
    if found is None:
        stop(f"there is no requirement '{requirement}': see `aiconform requirements`", 2)
    check = CHECKS.get(found.id)
    console = Console()
    console.print(
        Text.assemble((f"{found.id} {found.level}", "bold"), f"  capability {found.capability}, {found.kind}")
    )
    console.print(Text(found.text))
    rows = [
        ("why", found.why),
        ("observed", found.observe),
        ("seen wrong", found.wrong),
        ("fix", found.fix),
        ("source", found.source),
        (
            "check",
            f"{describe(check.function)} [{source_line(check)}]" if check else f"none: {found.unchecked}",
        ),
        ("probes", ", ".join(check.needs) if check else ""),
    ]
    for label, text in rows:
        if text:
            console.print(Text.assemble((f"  {label:11}", "dim"), text))
