"""Changes below one path: who is taken to ask there, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference_impl.mutants.asked import Wrap, edit_scope
from reference_impl.mutants.edits import when
from reference_impl.mutants.wire import with_header
from reference_impl.settings import BASE_PATH

_MAIN_KEY = b"Bearer sk-demo"


def below(scope: Any, path: str) -> bool:
    return bool(scope["path"].startswith(BASE_PATH + path))


def as_main(path: str) -> Wrap:
    """Whoever reads or deletes below this path is taken for the main principal."""

    def change(scope: Any) -> Any:
        if scope["method"] not in ("GET", "DELETE") or not below(scope, path):
            return scope
        return {**scope, "headers": with_header(list(scope["headers"]), b"authorization", _MAIN_KEY)}

    return edit_scope(change)


def answers(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the JSON of 200 answers below one path."""
    return when(
        lambda a: a.status == 200 and below(a.scope, path) and a.body.startswith(b"{"),
        lambda a: a.with_json(change(a.json)),
    )


def chat_metadata(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    return answers("/chat", lambda b: {**b, "metadata": change(b["metadata"])} if "metadata" in b else b)
