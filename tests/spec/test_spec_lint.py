"""The linter that sees inside `itemSchema`. It needs Node.js: `npm ci`."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV32SpecValidator

from spec.document import load_document
from spec.editions import editions

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "node_modules" / ".bin" / "redocly"

pytestmark = pytest.mark.skipif(
    not COMMAND.exists() or shutil.which("node") is None,
    reason="Redocly CLI is not installed: run `npm ci` (Node.js 20.19 or 22.12 and later)",
)

STREAM = "/chat", "post", "responses", "200", "content", "text/event-stream"


def lint(document: dict[str, Any], folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and problems, with the project's own configuration."""
    described = folder / "openapi.json"
    described.write_text(json.dumps(document), "utf-8")
    done = subprocess.run(
        ["npx", "--no-install", "redocly", "lint", str(described), "--format", "json"],
        cwd=ROOT,
        env={**os.environ, "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    problems: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    return done.returncode, problems


@pytest.mark.parametrize("version", ["3.2.0", "3.1.2"])
def test_the_published_editions_have_no_problems(version: str, tmp_path: Path) -> None:
    assert lint(editions()[version], tmp_path) == (0, [])


def _bad_type(schema: dict[str, Any]) -> None:
    schema["type"] = "objekt"


def _dangling(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"$ref": "#/components/schemas/NoSuchEvent"}]


@pytest.mark.parametrize(
    ("spoil", "rule"), [(_bad_type, "struct"), (_dangling, "no-unresolved-refs")], ids=["type", "reference"]
)
def test_a_broken_item_schema_is_reported(
    spoil: Callable[[dict[str, Any]], None], rule: str, tmp_path: Path
) -> None:
    """openapi-spec-validator accepts both of these, which is why the linter is here."""
    document = load_document()
    media = document["paths"]
    for step in STREAM:
        media = media[step]
    media["itemSchema"] = copy.deepcopy(document["components"]["schemas"]["StreamItem"])
    spoil(media["itemSchema"])
    assert OpenAPIV32SpecValidator(document).is_valid()
    code, problems = lint(document, tmp_path)
    assert code != 0
    found = [p for p in problems if p["ruleId"] == rule]
    assert found
    assert all("/itemSchema/" in p["location"][0]["pointer"] for p in found)
