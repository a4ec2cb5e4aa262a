"""The requirement catalogue: ``requirements/*.yaml``, one file per area, loaded and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

from spec.yaml_files import read_folder

Level = Literal["MUST", "SHOULD", "MAY"]
Kind = Literal["pattern", "contract"]
Method = Literal["passive", "active", "provoked", "two-principals", "timed", "load", "document"]

_LEVELS = ("MUST", "SHOULD", "MAY")
_KINDS = ("pattern", "contract")
_METHODS = ("passive", "active", "provoked", "two-principals", "timed", "load", "document")
_ID = re.compile(r"^[A-Z]{2,6}-\d{2}$")


class CatalogueError(ValueError):
    """A requirement file breaks the catalogue's own rules; the message names file, id and field."""


@dataclass(frozen=True)
class Requirement:
    """One normative sentence.

    ``kind``: ``pattern`` applies in any dialect, ``contract`` only to the contract's own wire format.
    ``method``: how it is observed from outside. ``unchecked`` is the written reason why no check exists, else empty.
    """

    id: str
    level: Level
    capability: str
    kind: Kind
    method: Method
    text: str
    source: str
    observe: str
    wrong: str
    why: str
    fix: str
    area: str
    unchecked: str = ""


@dataclass(frozen=True)
class Area:
    """One requirement file: ``name`` is the id prefix (``SSE``)."""

    name: str
    title: str
    requirements: tuple[Requirement, ...]


@cache
def areas() -> tuple[Area, ...]:
    """All areas in file-name order.

    Raises:
        CatalogueError: a field is missing, unknown or malformed, or an id occurs twice.
    """
    loaded = tuple(_area(file, raw) for file, raw in read_folder("requirements").items())
    seen: set[str] = set()
    for requirement in (r for a in loaded for r in a.requirements):
        if requirement.id in seen:
            raise CatalogueError(f"{requirement.id} is defined twice")
        seen.add(requirement.id)
    return loaded


@cache
def requirements() -> Mapping[str, Requirement]:
    """Every requirement by id, in catalogue order."""
    return {r.id: r for a in areas() for r in a.requirements}


def _area(file: str, raw: Mapping[str, Any]) -> Area:
    name = str(raw["area"])
    return Area(name, str(raw["title"]), tuple(_requirement(file, name, r) for r in raw["requirements"]))


def _requirement(file: str, area: str, raw: Mapping[str, Any]) -> Requirement:
    where = f"{file}: {raw.get('id', '?')}"
    known = {f.name for f in fields(Requirement)} - {"area"}
    unknown = set(raw) - known
    missing = known - set(raw) - {"unchecked"}
    if unknown or missing:
        raise CatalogueError(f"{where}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}")
    for field, allowed in (("level", _LEVELS), ("kind", _KINDS), ("method", _METHODS)):
        if raw[field] not in allowed:
            raise CatalogueError(f"{where}: {field} is {raw[field]!r}, not one of {', '.join(allowed)}")
    if not _ID.match(raw["id"]):
        raise CatalogueError(f"{where}: an id looks like SSE-04")
    texts: dict[str, Any] = {k: " ".join(str(v).split()) for k, v in raw.items()}
    return Requirement(area=area, **texts)
