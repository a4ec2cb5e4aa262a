"""What is made of a document is shared by those who have that very document, and by nobody else."""

from __future__ import annotations

from typing import Any

from reference_impl.http.per_document import per_document
from reference_impl.http.schema import compile_operations
from spec.document import load_document


def test_each_document_has_its_own_and_the_last_few_are_remembered() -> None:
    made: list[tuple[Any, str]] = []

    @per_document
    def make(document: Any, suffix: str) -> str:
        made.append((document["name"], suffix))
        return f"{document['name']}{suffix}"

    first, second = {"name": "a"}, {"name": "b"}
    assert [make(first, "1"), make(second, "1"), make(first, "2"), make(first, "1")] == [
        "a1",
        "b1",
        "a2",
        "a1",
    ]
    assert made == [("a", "1"), ("b", "1"), ("a", "2")]
    others = [{"name": f"n{n}"} for n in range(20)]
    assert [make(o, "") for o in others] == [f"n{n}" for n in range(20)]
    assert make(first, "1") == "a1"
    assert made.count(("a", "1")) == 2, "the oldest are forgotten"


def test_a_changed_copy_is_compiled_anew() -> None:
    document = load_document()
    assert compile_operations(document) is compile_operations(document)
    other = load_document()
    del other["paths"]["/classify"]
    assert "classify" in compile_operations(document)
    assert "classify" not in compile_operations(other)
