"""Full-text search over the articles of the package. One of them was written by a stranger, as on any intranet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from reference_impl.engine.features import stems
from reference_impl.tools.model import Tool, ToolContext, ToolResult


@cache
def _articles() -> tuple[dict[str, str], ...]:
    raw = files("reference_impl.engine").joinpath("data/articles.json").read_text("utf-8")
    return tuple(json.loads(raw))


async def _run(_context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    wanted = set(stems(arguments["query"]))
    scored = [(len(wanted & set(stems(f"{a['title']} {a['text']}"))), a) for a in _articles()]
    best = sorted((s for s in scored if s[0]), key=lambda s: -s[0])[: int(arguments.get("limit", 2))]
    found = [article for _, article in best]
    return ToolResult(
        [{"id": a["id"], "title": a["title"], "text": a["text"]} for a in found],
        tuple(a["id"] for a in found),
    )


SEARCH_ARTICLES = Tool(
    name="search_articles",
    description="Search the support articles; gives the best matches with their ids.",
    parameters={
        "type": "object",
        "required": ["query"],
        "additionalProperties": False,
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 500},
            "limit": {"type": "integer", "minimum": 1, "maximum": 5},
        },
    },
    run=_run,
)
