"""JSON Schemas that others publish for the formats we write, from the npm packages of package.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft6Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT6

PACKAGES = Path(__file__).parents[2] / "node_modules"


def _package(name: str) -> Path:
    folder = PACKAGES / name
    if not folder.is_dir():
        pytest.skip(f"needs the npm package {name}: npm ci")
    return folder


def sarif_validator() -> Any:
    path = _package("@microsoft/jest-sarif") / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json"
    return Draft4Validator(json.loads(path.read_text("utf-8")), format_checker=Draft4Validator.FORMAT_CHECKER)


def har_validator() -> Any:
    found = [json.loads(p.read_text("utf-8")) for p in (_package("har-schema") / "lib").glob("*.json")]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema, default_specification=DRAFT6)) for schema in found
    )
    root = next(s for s in found if s["$id"].startswith("har.json"))
    return Draft6Validator(root, registry=registry)
