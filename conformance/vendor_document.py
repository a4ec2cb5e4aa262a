"""The OpenAPI document that a vendor publishes, given by the tester, with overlays applied.

It is read as an advertisement: what it promises is held against what the run saw (:mod:`conformance.claims`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import yaml
from jsonpath_rfc9535 import JSONPathError, find

LARGEST = 32 * 1024 * 1024
MAX_VALUES = 5_000_000
"""Values of one document, those of YAML aliases counted each time: a few lines can say billions."""

SECONDS = 20.0
_MOST_REFERENCES = 8


class DocumentError(Exception):
    """A document or overlay cannot be used; the message is one line that says what to do."""


def read_document(source: str, overlays: Sequence[Path] = ()) -> Mapping[str, Any]:
    """From a file or an ``http(s)`` URL (asked without any credential), JSON or YAML.

    Raises:
        DocumentError: unreadable, no OpenAPI 3 document, or an overlay that cannot be applied.
    """
    data = _fetched(source) if "://" in source else _file(Path(source))
    document = _parsed(data, source, "OpenAPI document")
    if not str(document.get("openapi", "")).startswith("3.") or not isinstance(document.get("paths"), dict):
        raise DocumentError(f"{source} is no OpenAPI 3 document with paths")
    for path in overlays:
        document = apply_overlay(document, _parsed(_file(path), str(path), "overlay"), str(path))
    return document


def resolved(document: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """An object behind a chain of local references, what stands beside one laid over it; empty if there is none."""
    beside: dict[str, Any] = {}
    for _ in range(_MOST_REFERENCES):
        if not isinstance(value, dict):
            break
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return {**value, **beside}
        beside = {**{key: item for key, item in value.items() if key != "$ref"}, **beside}
        value = _behind(document, reference)
    return beside


def _behind(document: Mapping[str, Any], reference: str) -> Any:
    """What a local reference (``#/…``, a JSON Pointer by RFC 6901 as URI fragment) means, or None."""
    if not reference.startswith("#/"):
        return None
    value: Any = document
    for part in unquote(reference[2:]).split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdecimal() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def apply_overlay(document: Mapping[str, Any], overlay: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The document with the actions of an Overlay 1.0 or 1.1 applied in order. A target that selects nothing changes
    nothing. Arrays inside an update are appended.

    Raises:
        DocumentError: it is no overlay, or an action cannot be applied; names the action.
    """
    actions = overlay.get("actions")
    if not str(overlay.get("overlay", "")).startswith("1.") or not isinstance(actions, list):
        raise DocumentError(f"{name} is no Overlay 1 document with actions")
    result = copy.deepcopy(dict(document))
    for number, action in enumerate(actions):
        place = f"{name}: /actions/{number}"
        if not isinstance(action, dict) or not isinstance(action.get("target"), str):
            raise DocumentError(f"{place}: the key 'target' is missing")
        try:
            nodes = find(action["target"], result)
        except (JSONPathError, RecursionError) as error:
            problem = " ".join(str(error).split())
            raise DocumentError(f"{place}: the target is no JSONPath (RFC 9535): {problem}") from None
        locations = [node.location for node in nodes]
        if action.get("remove") is True:
            _remove(result, locations, place)
        elif "update" in action:
            for location in locations:
                _update(_at(result, location), action["update"], place)
    return result


def _remove(document: dict[str, Any], locations: Sequence[Sequence[Any]], place: str) -> None:
    # The last of an array first, so that the others keep their index.
    for location in sorted(
        locations, key=lambda parts: [(isinstance(p, str), p) for p in parts], reverse=True
    ):
        if not location:
            raise DocumentError(f"{place}: the whole document cannot be removed")
        try:
            del _at(document, location[:-1])[location[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # gone with what contained it


def _update(node: Any, update: Any, place: str) -> None:
    if isinstance(node, list):
        node.append(copy.deepcopy(update))
    elif isinstance(node, dict) and isinstance(update, dict):
        _merge(node, update)
    else:
        raise DocumentError(f"{place}: an update is an object for an object, or an entry for an array")


def _merge(node: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        old = node.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            old.extend(copy.deepcopy(value))
        else:
            node[key] = copy.deepcopy(value)


def _at(document: Any, location: Sequence[Any]) -> Any:
    for part in location:
        document = document[part]
    return document


def _file(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise DocumentError(f"{path} is larger than {LARGEST // 2**20} MB")
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _fetched(url: str) -> bytes:
    body = b""
    try:
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True) as response:
            if response.status_code != httpx.codes.OK:
                raise DocumentError(f"{url} answers {response.status_code}: give the document as a file")
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise DocumentError(f"{url} is larger than {LARGEST // 2**20} MB")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DocumentError(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from None
    return body


def _parsed(data: bytes, name: str, kind: str) -> dict[str, Any]:
    """JSON is YAML here; keys such as ``200`` become text."""
    try:
        found = _text_keys(yaml.load(data, yaml.CSafeLoader), count(1))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DocumentError(
            f"{name} is neither JSON nor YAML: {' '.join(str(error).split())[:200]}"
        ) from None
    if not isinstance(found, dict):
        raise DocumentError(f"{name} is no {kind}: it holds no object")
    return found


def _text_keys(value: Any, counter: Iterator[int]) -> Any:
    if next(counter) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    if isinstance(value, dict):
        return {str(key): _text_keys(item, counter) for key, item in value.items()}
    return [_text_keys(item, counter) for item in value] if isinstance(value, list) else value
