"""The requirement catalogue: a page for each requirement, and one that lists and filters them all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from conformance.registry import CHECKS, Check, load_all
from handbook.markdown import code
from handbook.page import Found, Item, Page
from handbook.wording import KINDS, METHODS
from reference_impl.mutants import SUBJECTS
from spec.catalogue import Requirement, areas, requirements


def requirement_pages(examples: Mapping[str, Mapping[str, Any]]) -> list[Page]:
    """``examples`` are what :mod:`handbook.examples` has recorded."""
    load_all()
    order = list(requirements().values())
    after = dict(pairwise(order))
    before = {b: a for a, b in after.items()}
    pages = [_page(r, examples.get(r.id), before.get(r), after.get(r)) for r in order]
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


def _page(
    requirement: Requirement,
    example: Mapping[str, Any] | None,
    before: Requirement | None,
    after: Requirement | None,
) -> Page:
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
        "before": before,
        "after": after,
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
