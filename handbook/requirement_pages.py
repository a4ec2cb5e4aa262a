"""The requirement catalogue: a page for each requirement, and one that lists and filters them all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.registry import CHECKS, Check, load_all
from handbook.markdown import code
from handbook.page import Found, Item, Page, in_turn
from handbook.wording import KINDS, METHODS
from reference_impl.mutants import SUBJECTS
from spec.catalogue import Requirement, areas, requirements


def requirement_pages(examples: Mapping[str, Mapping[str, Any]]) -> list[Page]:
    """``examples`` are what :mod:`handbook.examples` has recorded."""
    load_all()
    order = list(requirements().values())
    pages = in_turn([_page(r, examples.get(r.id)) for r in order], lambda page: page.data["r"].id)
    counts = {level: sum(r.level == level for r in order) for level in ("MUST", "SHOULD", "MAY")}
    data = {
        "areas": areas(),
        "counts": counts,
        "total": len(order),
        "checked": sum(r.id in CHECKS for r in order),
        "capabilities": sorted({r.capability for r in order}),
    }
    about = "Every sentence that an API has to keep, why, and how it is seen from outside."
    overview = Page("requirements/index.html", "Requirements", "requirements.html.j2", about, data)
    return [overview, *pages]


def _page(requirement: Requirement, example: Mapping[str, Any] | None) -> Page:
    check = CHECKS.get(requirement.id)
    path = f"requirements/{requirement.id}/index.html"
    data = {
        "r": requirement,
        "kind": KINDS[requirement.kind],
        "method": METHODS[requirement.method],
        "check": check,
        "source": code(inspect.getsource(check.function), "python") if check else None,
        "file": _file(check) if check else "",
        "mutants": [s for s in SUBJECTS if s.kind == "mutant" and requirement.id in s.violates],
        "example": example,
    }
    return Page(
        path,
        f"{requirement.id}: {requirement.text.replace('`', '')}",
        "requirement.html.j2",
        requirement.why.replace("`", ""),
        data,
        _aside(requirement.area),
        [Found("requirement", requirement.id, path, requirement.text.replace("`", ""))],
    )


def _file(check: Check) -> str:
    return check.function.__module__.replace(".", "/") + ".py"


def _aside(area: str) -> Sequence[Item]:
    found = next(a for a in areas() if a.name == area)
    return [
        Item("All requirements", "requirements/index.html"),
        Item(found.title),
        *(Item(r.id, f"requirements/{r.id}/index.html") for r in found.requirements),
    ]
