"""The guide's examples are valid, and it names every key of the language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.dialects.facts import ANSWER_FACTS, ERROR_FACTS, STREAM_FACTS
from conformance.dialects.model import PARAMETERS, load_dialect
from conformance.dialects.schema import dialect_schema

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "dialects.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["extension", "whole", "oauth"])
def test_an_example_of_the_guide_is_a_dialect(example: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(example, "utf-8")
    assert load_dialect(str(path)).operations["chat"].method == "POST"


def test_the_guide_explains_every_key() -> None:
    schema = dialect_schema()
    source = schema["$defs"]["stream_source"]["else"]["properties"]
    stream = schema["properties"]["stream"]["properties"]
    conditions = schema["$defs"]["classification"]["properties"]
    for key in (
        *schema["properties"],
        *source,
        *stream,
        *conditions,
        *ANSWER_FACTS,
        *ERROR_FACTS,
        *STREAM_FACTS,
    ):
        assert f"`{key}" in GUIDE, key
    for name in PARAMETERS:
        assert f"`{{{name}}}`" in GUIDE, name
    for name in (*source["as"]["enum"], *source["seconds"]["enum"], *stream["terminal"]["properties"]):
        assert re.search(rf"[`{{]{name}[`: ]", GUIDE), name
