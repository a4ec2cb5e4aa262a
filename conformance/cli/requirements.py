"""``aiconform requirements``: the catalogue."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.registry import CHECKS, load_all
from spec.catalogue import requirements
from spec.mutants import mutants_of


def command(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    area: Annotated[str | None, typer.Option(help="Only this area, for instance SSE.")] = None,
) -> None:
    """List the requirements: id, level, capability, kind, text and check.

    Example: aiconform requirements --area SSE
    """
    load_all()
    rows = [r for r in requirements().values() if area is None or r.area == area.upper()]
    if json:
        listed = [
            {
                "id": r.id,
                "level": r.level,
                "capability": r.capability,
                "kind": r.kind,
                "method": r.method,
                "text": r.text,
                "check": CHECKS[r.id].name if r.id in CHECKS else None,
                "unchecked": r.unchecked or None,
                "mutants": mutants_of(r.id),
            }
            for r in rows
        ]
        typer.echo(json_module.dumps(listed, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "level", "capability", "kind", "requirement"):
        table.add_column(column)
    for r in rows:
        table.add_row(r.id, r.level, r.capability, r.kind, Text(r.text))
    Console().print(table)
