"""Which facts each shipped dialect has a place for, as a page of Markdown.

``python -m conformance.dialects.coverage > docs/dialects-coverage.md`` writes it anew; a test keeps it current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from conformance.dialects.model import Dialect, builtin_dialects, load_dialect
from conformance.dialects.rules import Rule

YES, NO = "✓", "–"

_HEAD = """# What each dialect can say

Generated from the dialects by `python -m conformance.dialects.coverage`; a test keeps it current.
✓: the format has a place for the fact, and the dialect reads it. –: it has none; the reasons are below, and a
requirement about such a fact is reported as a finding, not as an error.
"""


def coverage() -> str:
    """The whole page."""
    dialects = [load_dialect(name) for name in builtin_dialects()]
    parts = [_HEAD, "\n".join(_identities(dialects))]
    for title, tables in (
        ("Facts of an answer", [d.answer for d in dialects]),
        ("Facts of the headers", [d.headers for d in dialects]),
        ("Facts of an error", [d.error.facts for d in dialects]),
        ("Facts of a stream", [d.stream.facts for d in dialects]),
    ):
        parts.append(f"## {title}\n\n" + "\n".join(_facts(dialects, tables)))
    parts.append("## Capabilities\n\n" + "\n".join(_capabilities(dialects)))
    parts.append("## Why not\n\n" + "\n".join(_reasons(dialects)))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _heading(first: str, dialects: list[Dialect]) -> Iterator[str]:
    yield _row([first, *(d.name for d in dialects)])
    yield _row(["---"] * (len(dialects) + 1))


def _identities(dialects: list[Dialect]) -> Iterator[str]:
    yield _row(["dialect", "version", "written for", "checked", "end of a stream"])
    yield _row(["---"] * 5)
    for dialect in dialects:
        about = dialect.written_for
        ends = dialect.stream.terminal
        end = ends.data or " or ".join(ends.events) or "the end of the response after the finish event"
        yield _row(
            [
                f"`{dialect.name}`",
                dialect.version,
                f"{about['vendor']}: `{about['api']}`",
                about["checked"],
                end,
            ]
        )


def _facts(dialects: list[Dialect], tables: list[Mapping[str, Rule]]) -> Iterator[str]:
    yield from _heading("fact", dialects)
    for name in tables[0]:
        yield _row([f"`{name}`", *(YES if t[name].unsupported is None else NO for t in tables)])


def _capabilities(dialects: list[Dialect]) -> Iterator[str]:
    yield from _heading("capability", dialects)
    for name in sorted({c for d in dialects for c in d.capabilities}):
        states = (d.offer(name).state for d in dialects)
        yield _row([f"`{name}`", *({"offered": YES, "not_offered": NO}.get(s, "where seen") for s in states)])


def _reasons(dialects: list[Dialect]) -> Iterator[str]:
    for dialect in dialects:
        tables = {**dialect.answer, **dialect.headers}, dialect.error.facts, dialect.stream.facts
        reasons: dict[str, list[str]] = {}
        for kind, table in zip(("", "error ", "stream "), tables, strict=True):
            for name, rule in table.items():
                if rule.unsupported is not None:
                    reasons.setdefault(rule.unsupported, []).append(f"{kind}`{name}`")
        for name, offer in dialect.capabilities.items():
            if offer.state == "offered" and offer.note:
                reasons.setdefault(offer.note, []).append(f"`{name}`")
        if reasons:
            yield f"**{dialect.name}**\n"
            yield from (f"- {', '.join(names)}: {why}" for why, names in reasons.items())
            yield ""


if __name__ == "__main__":
    sys.stdout.write(coverage())
