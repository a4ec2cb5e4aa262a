"""JSONPath (RFC 9535) compiled once, answering with JSON Pointers (RFC 6901).

Almost every path of a dialect is a singular query such as ``$.choices[0].delta.content``. Those are walked
directly; a Hypothesis test holds the walk equal to the library, which does all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jsonpath_rfc9535 as jsonpath
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

Step = str | int
Node = tuple[str, Any]
"""A selected value and its JSON Pointer: ``("/choices/0/id", "x")``."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled JSONPath. ``steps`` is set for a singular query, whose node is found by walking."""

    text: str
    steps: tuple[Step, ...] | None
    _query: jsonpath.JSONPathQuery = field(repr=False, compare=False)

    def find(self, document: Any) -> list[Node]:
        """All selected nodes in document order. Never raises, whatever JSON the document is."""
        if self.steps is not None:
            return _walk(self.steps, document)
        try:
            return [(pointer(node.location), node.value) for node in self._query.find(document)]
        except (jsonpath.JSONPathError, RecursionError):
            return []  # nested deeper than the library descends: as if nothing were there

    def has_value(self, document: Any) -> bool:
        """Whether anything other than null is selected: some servers send ``"error": null`` always."""
        return any(value is not None for _, value in self.find(document))

    @property
    def where(self) -> str:
        """Where the value would be: a JSON Pointer if the path selects one place only, else the path."""
        return self.text if self.steps is None else pointer(self.steps)


def compile_path(text: str) -> Path:
    """Compile, or raise ``ValueError`` with the path and the library's reason in one line."""
    try:
        query = jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"'{text}' is not a JSONPath (RFC 9535): {str(error).splitlines()[0]}") from None
    return Path(text, _singular_steps(query), query)


def pointer(location: Iterable[Step]) -> str:
    """A normalized path's steps as a JSON Pointer; ``""`` is the whole document (RFC 6901 section 3)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _singular_steps(query: jsonpath.JSONPathQuery) -> tuple[Step, ...] | None:
    if not query.singular_query():
        return None
    steps: list[Step] = []
    for segment in query.segments:
        selector = segment.selectors[0]
        if isinstance(selector, NameSelector):
            steps.append(selector.name)
        elif isinstance(selector, IndexSelector):
            steps.append(selector.index)
    return tuple(steps)


def _walk(steps: tuple[Step, ...], document: Any) -> list[Node]:
    value = document
    normalized: list[Step] = []
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
            normalized.append(step)
        else:
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return []
            normalized.append(step if step >= 0 else len(value) + step)
        value = value[step]
    return [(pointer(normalized), value)]
