"""Markdown, links and examples, each by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.evidence import Chunk, Exchange, Sent
from handbook.__main__ import build, main
from handbook.examples import _shown, chosen, read
from handbook.markdown import render_markdown
from handbook.page import href
from handbook.places import documents_at, requirement_paths
from handbook.wording import CAPABILITIES
from reference_impl.mutants import SUBJECTS
from spec.catalogue import requirements

ROOT = Path(__file__).parents[2]


def rendered(text: str) -> str:
    return str(render_markdown(text, lambda target: f"<{target}>", requirement_paths()).html)


def test_links_are_relative_from_any_depth() -> None:
    assert href("index.html", "errors/index.html") == "errors/index.html"
    assert href("requirements/SSE-04/index.html", "assets/site.css") == "../../assets/site.css"
    assert href("a/b.html", "https://example.com/") == "https://example.com/"
    assert href("a/b.html", "#c") == "#c"


def test_a_requirement_is_linked_where_it_is_named() -> None:
    assert 'href="&lt;site:requirements/SSE-04/index.html&gt;">SSE-04</a>' in rendered("# T\n\nSee SSE-04.")
    assert "<a" not in rendered("# T\n\nSee SSE-99 and RFC-12.")
    linked = rendered("# T\n\n[SSE-04](x.md)")
    assert linked.count("<a") == 1


def test_html_in_a_document_is_text() -> None:
    assert "<script>" not in rendered("# T\n\n<script>alert(1)</script>")
    assert "&lt;b&gt;" in rendered("# T\n\n```text\n<b>\n```")


def test_headings_have_the_anchors_that_github_gives() -> None:
    found = render_markdown("# T\n\n## What `it` is, and why\n\n## Twice\n\n## Twice\n", str, {})
    assert [h.anchor for h in found.headings] == ["what-it-is-and-why", "twice", "twice-1"]
    assert found.title == "T"
    assert "<h1" not in found.html


def test_every_capability_has_words() -> None:
    assert set(CAPABILITIES) == {r.capability for r in requirements().values()}


def test_every_guide_is_in_a_part() -> None:
    assert {p.stem for p in (ROOT / "docs" / "guides").glob("*.md")} == {
        Path(f).stem for f in documents_at() if f.startswith("docs/guides/")
    }


def test_few_mutants_show_every_requirement_that_one_breaks() -> None:
    picked = chosen(SUBJECTS)  # type: ignore[arg-type]
    own = [s for s in SUBJECTS if s.kind == "mutant" and s.dialect == "contract"]
    assert {i for s in picked for i in s.violates} == {i for s in own for i in s.violates}
    assert len(picked) < len(own)


def test_an_example_hides_tokens_and_marks_the_place() -> None:
    body = b'{"access_token": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl", "token_type": "bearer"}'
    exchange = Exchange(
        "e1", "p", "r", "chat", "main", {},
        Sent("POST", "http://127.0.0.1:1/mutant/api/v1/x", (("Authorization", "Bearer x"), ("Host", "h")), b""),
        0.0, 200, "HTTP/1.1", (("Date", "now"), ("Retry-After", "0")), 0.1, (Chunk(0.1, body),), 0.2,
    )  # fmt: skip
    shown = _shown(exchange, "header Retry-After", "mutant")
    assert shown["request"] == "POST /api/v1/x"
    assert shown["headers"] == [["Retry-After", "0"]]
    assert shown["header"] == "retry-after"
    assert "eyJpc3MiOiJ4In0" not in str(shown)
    marked = _shown(exchange, "/token_type", "")
    assert ["mark", '"bearer"'] in marked["body"]


def test_what_was_recorded_is_of_requirements_and_mutants_that_exist() -> None:
    recorded = read(ROOT / "docs" / "examples.json")
    names = {s.name for s in SUBJECTS}
    assert set(recorded) <= set(requirements())
    assert all(e["mutant"] in names or e["defect"] for e in recorded.values())


def test_a_missing_renderer_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="npm ci"):
        build(tmp_path / "site", runs=False, renderer=tmp_path / "none.js")
    file = tmp_path / "file"
    file.write_text("")
    assert main(["--without-runs", str(file / "below")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
