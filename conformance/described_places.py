"""Where an OpenAPI document describes the operations that a dialect calls.

A document and a tester may name one API by different addresses: the document by its ``servers``, the tester by the
base URL. A wrong place is worse than none (``/organization/models`` is not ``/models``), so an operation is taken for
the one that is called only if the whole address says so, or if one prefix explains the chat operation and all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from conformance.dialects.model import Operation
from conformance.vendor_document import resolved

Segments = tuple[str, ...]
"""The parts of a path between slashes; a template's parameter is ``{}``."""

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_PARAMETER = re.compile(r"\{[^{}/]*\}")
_ANYWHERE = "http://anywhere/"
"""A relative server URL starts from the document's own address, which nobody knows who has it as a file."""


class AmbiguousError(ValueError):
    """The document describes an operation at several places, and nothing tells which is called; names them."""


@dataclass(frozen=True)
class Place:
    """One operation of a document. ``path`` as its key says, ``method`` in small letters, ``whole``: the paths of its
    URLs, one for each server."""

    path: str
    method: str
    operation: Mapping[str, Any]
    whole: tuple[Segments, ...]


def places_of(
    document: Mapping[str, Any], operations: Mapping[str, Operation], base_url: str
) -> dict[str, Place]:
    """Where each of a dialect's operations is described, in their order; each place once.

    Raises:
        AmbiguousError: several places are as likely.
    """
    described = list(_described(document))
    called = {name: (o.method.lower(), _segments(o.path.partition("?")[0])) for name, o in operations.items()}
    base = _segments(urlsplit(base_url).path)
    found = _at_the_base(described, called, base) or _mounted_elsewhere(described, called)
    first = {(place.path, place.method): name for name, place in reversed(found.items())}
    return {name: place for name, place in found.items() if first[place.path, place.method] == name}


def parameters_in(path: str) -> list[str]:
    """The names of the parameters of a path template."""
    return [part[1:-1] for part in _PARAMETER.findall(path)]


def _at_the_base(
    described: Sequence[Place], called: Mapping[str, tuple[str, Segments]], base: Segments
) -> dict[str, Place]:
    """The places whose address, with that of a server, is the one that is called; concrete ones before templated."""
    found: dict[str, Place] = {}
    for name, (method, path) in called.items():
        fits = [
            (fit, place)
            for place in described
            if place.method == method
            for whole in place.whole
            if (fit := _fit(whole, (*base, *path))) is not None
        ]
        if fits:
            found[name] = max(fits, key=lambda scored: scored[0])[1]
    return found


def _mounted_elsewhere(
    described: Sequence[Place], called: Mapping[str, tuple[str, Segments]]
) -> dict[str, Place]:
    """The places below the one prefix that explains most operations, the chat among them; the shortest such prefix."""
    mounts: dict[Segments, dict[str, Place]] = {}
    for name, (method, path) in called.items():
        for place in described:
            for whole in place.whole:
                prefix = whole[: -len(path)]
                if place.method == method and whole[-len(path) :] == path and "{}" not in prefix:
                    mounts.setdefault(prefix, {}).setdefault(name, place)
    likely: dict[tuple[int, int], list[dict[str, Place]]] = {}
    for prefix, found in mounts.items():
        if "chat" in found:
            likely.setdefault((-len(found), len(prefix)), []).append(found)
    if not likely:
        return {}
    best = likely[min(likely)]
    chats = sorted({found["chat"].path for found in best})
    if len(chats) > 1:
        raise AmbiguousError(
            f"the document describes the chat operation at {' and at '.join(chats)}, "
            "and the base URL fits none: give the base URL or the servers of the one that is meant"
        )
    return best[0]


def _fit(described: Segments, called: Segments) -> tuple[bool, ...] | None:
    """By segment, whether it is concrete (more is better, from the left); None if the address is another."""
    if len(described) != len(called):
        return None
    pairs = list(zip(described, called, strict=True))
    return tuple(d == c for d, c in pairs) if all(_holds(d, c) for d, c in pairs) else None


def _holds(described: str, called: str) -> bool:
    """Whether a segment is that of the document, or a value of its template."""
    if described == called:
        return True
    if "{}" not in described or "{}" in called:
        return False
    return re.fullmatch(".+".join(map(re.escape, described.split("{}"))), called) is not None


def _described(document: Mapping[str, Any]) -> Iterator[Place]:
    for path, item in document["paths"].items():
        found = resolved(document, item)
        for method in _METHODS:
            operation = found.get(method)
            if isinstance(operation, dict):
                servers = operation.get("servers") or found.get("servers") or document.get("servers")
                own = _segments(str(path))
                whole = dict.fromkeys((*server, *own) for server in _server_paths(servers))
                yield Place(str(path), method, operation, tuple(whole))


def _server_paths(servers: Any) -> list[Segments]:
    """The path of each server, its variables at their defaults; without a server the root."""
    listed = servers if isinstance(servers, list) and servers else [{"url": "/"}]
    return [_server_path(server) for server in listed if isinstance(server, dict)]


def _server_path(server: Mapping[str, Any]) -> Segments:
    url, variables = str(server.get("url", "/")), server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict) and "default" in variable:
            url = url.replace("{" + str(name) + "}", str(variable["default"]))
    try:
        return _segments(urlsplit(urljoin(_ANYWHERE, url)).path)
    except ValueError:
        return ()


def _segments(path: str) -> Segments:
    return tuple(_PARAMETER.sub("{}", part) for part in path.split("/") if part)
