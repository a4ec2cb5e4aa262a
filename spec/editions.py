"""Projections of the OpenAPI 3.2 document to 3.1 and 3.0, and the command that publishes all three editions.

``python -m spec.editions DIR`` writes JSON and YAML, and the AsyncAPI document beside them. What a target edition
cannot say is dropped and listed by :func:`losses_31` and :func:`losses_30`; nothing is changed by hand.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spec.assembly import METHODS
from spec.asyncapi import VERSION as ASYNCAPI
from spec.asyncapi import load_asyncapi
from spec.document import load_document
from spec.schema30 import rewrite_schemas, token


@dataclass(frozen=True)
class Loss:
    """Something an edition does not say. ``pointer`` is the JSON Pointer of its place in the 3.2 document."""

    pointer: str
    what: str


def to_31(document: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.1.2: ``itemSchema`` becomes the ``schema`` of one item, marked ``x-itemSchema``."""
    return _project_31(document)[0]


def losses_31(document: Mapping[str, Any]) -> list[Loss]:
    """What the 3.1 edition cannot say."""
    return _project_31(document)[1]


def to_30(document: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0.4, for tools that read no newer one."""
    return _project_30(document)[0]


def losses_30(document: Mapping[str, Any]) -> list[Loss]:
    """What the 3.0 edition cannot say."""
    return _project_30(document)[1]


def editions() -> dict[str, dict[str, Any]]:
    """The published editions by OpenAPI version."""
    document = load_document()
    return {"3.2.0": document, "3.1.2": to_31(document), "3.0.4": to_30(document)}


def main(arguments: list[str]) -> int:
    """Write every edition as JSON and YAML into the directory given; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m spec.editions DIR\n")
        return 2
    folder = Path(arguments[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        published = {f"openapi-{version}": document for version, document in editions().items()}
        published[f"asyncapi-{ASYNCAPI}"] = load_asyncapi()
        for name, document in published.items():
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            (folder / f"{name}.json").write_text(text, "utf-8")
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
            (folder / f"{name}.yaml").write_text(text, "utf-8")
    except OSError as error:
        sys.stderr.write(
            f"cannot write the editions to {folder}: {error.strerror}; name a writable directory\n"
        )
        return 1
    return 0


def _project_31(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    projected, losses = _without_32(document)
    projected["openapi"] = "3.1.2"
    for pointer, media in _media_types(projected, ""):
        if "itemSchema" in media:
            media["schema"], media["x-itemSchema"] = media.pop("itemSchema"), True
            losses.append(
                Loss(f"{pointer}/itemSchema", "only an extension says that the schema is of one item")
            )
            # A whole stream as text is no value of the schema of one item.
            losses += _rename_text(media, f"{pointer}/examples", "x-serializedValue")
    return projected, losses


def _project_30(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    projected, losses = _without_32(document)
    projected["openapi"] = "3.0.4"
    info = projected["info"]
    losses += _drop(info, "summary", "/info", "3.0 has no summary of a document")
    losses += _drop(info.get("license", {}), "identifier", "/info/license", "3.0 has no SPDX identifiers")
    if "webhooks" in projected:
        projected["x-webhooks"] = projected.pop("webhooks")
        losses.append(Loss("/webhooks", "3.0 has no webhooks"))
    losses += _hide_mutual_tls(projected)
    losses += _drop_roles(projected)
    for pointer, media in _media_types(projected, ""):
        if media.pop("itemSchema", None) is not None:
            media["schema"] = {"type": "string"}
            losses.append(Loss(f"{pointer}/itemSchema", "in 3.0 a stream is one string"))
            _rename_text(media, pointer, "value")
    losses += [Loss(pointer, what) for pointer, what in rewrite_schemas(projected)]
    return projected, losses


def _without_32(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    """A copy without what only 3.2 has, streams excepted."""
    projected: dict[str, Any] = copy.deepcopy(dict(document))
    _members_as_conjunct(projected)
    losses = _drop(projected, "$self", "", "before 3.2 a document has no identity of its own")
    for index, tag in enumerate(projected.get("tags", ())):
        for name in ("summary", "parent", "kind"):
            losses += _drop(tag, name, f"/tags/{index}", f"before 3.2 a tag has no {name}")
    for name, scheme in projected.get("components", {}).get("securitySchemes", {}).items():
        where = f"/components/securitySchemes/{token(name)}"
        losses += _drop(scheme, "oauth2MetadataUrl", where, "before 3.2 a scheme names no metadata")
    for pointer, item in _path_items(projected):
        for method in [m for m in ("query", "additionalOperations") if m in item]:
            item[f"x-{method}"] = item.pop(method)
            losses.append(Loss(f"{pointer}/{method}", "before 3.2 the set of methods is fixed"))
    return projected, losses


def _members_as_conjunct(projected: dict[str, Any]) -> None:
    """Properties beside ``allOf`` move into it, which says the same: client generators read only one of the two."""
    for schema in projected.get("components", {}).get("schemas", {}).values():
        if "allOf" in schema and "properties" in schema:
            own = {key: schema.pop(key) for key in ("required", "properties") if key in schema}
            schema["allOf"] = [*schema["allOf"], {"type": "object"} | own]


def _drop(node: dict[str, Any], key: str, pointer: str, why: str) -> list[Loss]:
    return [] if node.pop(key, None) is None else [Loss(f"{pointer}/{key}", why)]


def _rename_text(media: Mapping[str, Any], pointer: str, name: str) -> list[Loss]:
    """Give the examples' ``serializedValue`` (new in 3.2) another name."""
    losses = []
    for key, example in media.get("examples", {}).items():
        if "serializedValue" in example:
            example[name] = example.pop("serializedValue")
            where = f"{pointer}/{token(key)}/serializedValue"
            losses.append(Loss(where, "before 3.2 an example has no text form"))
    return losses


def _hide_mutual_tls(projected: dict[str, Any]) -> list[Loss]:
    """Without its scheme an operation would be open, so it keeps one, of a kind that no tool can satisfy."""
    losses = []
    for name, scheme in projected.get("components", {}).get("securitySchemes", {}).items():
        if scheme.get("type") == "mutualTLS":
            scheme |= {"type": "http", "scheme": "x-mutualTLS"}
            losses.append(Loss(f"/components/securitySchemes/{token(name)}", "3.0 has no mutualTLS"))
    return losses


def _drop_roles(projected: dict[str, Any]) -> list[Loss]:
    """Only OAuth and OpenID Connect have scopes in 3.0; with other schemes, newer editions name roles."""
    schemes = projected.get("components", {}).get("securitySchemes", {})
    scoped = {name for name, scheme in schemes.items() if scheme["type"] in ("oauth2", "openIdConnect")}
    losses = []
    for pointer, item in _path_items(projected):
        for method in [m for m in METHODS if "security" in item.get(m, {})]:
            for index, alternative in enumerate(item[method]["security"]):
                for name in [n for n, roles in alternative.items() if roles and n not in scoped]:
                    alternative[name] = []
                    where = f"{pointer}/{method}/security/{index}/{token(name)}"
                    losses.append(Loss(where, "3.0 has no roles for a scheme without scopes"))
    return losses


def _path_items(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        yield f"/paths/{token(path)}", item


def _media_types(node: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type object with its pointer."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _media_types(item, f"{pointer}/{index}")
    elif isinstance(node, dict):
        for key, value in node.items():
            here = f"{pointer}/{token(key)}"
            if key == "content" and isinstance(value, dict):
                yield from ((f"{here}/{token(name)}", media) for name, media in value.items())
            if key not in ("example", "examples", "schema", "schemas"):
                yield from _media_types(value, here)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
