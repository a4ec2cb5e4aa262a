"""Reading a document: sections, and for each its category, its keywords and its most telling sentence.

Deterministic: equal documents give equal analyses.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reference_impl.engine.base import Classifier
from reference_impl.engine.tokens import count_text

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\f")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"[^\W\d_]{3,}")
_WORDS_PER_SECTION = 150
_KEYWORDS = 5
_SUMMARY_SENTENCES = 3
_COMMON_WORDS = """
    the and for are was were that this with from has have had not but you your our their they them its his her
    she him who will would can could may might shall should been being all any each more most other some such
    than then there these those what when where which while into out over under about after before between
    """
_COMMON = frozenset(_COMMON_WORDS.split())


@dataclass(frozen=True)
class Section:
    """A part of a document; `heading` is None where the text has none."""

    heading: str | None
    text: str

    @property
    def words(self) -> list[str]:
        """Its words in lower case, without those that say nothing."""
        return [w for w in (m.lower() for m in _WORD.findall(self.text)) if w not in _COMMON]


@dataclass(frozen=True)
class Described:
    """The analysis of one section in JSON, and what it took."""

    content: dict[str, Any]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Document:
    """A document in sections; `rarity` weighs a word by how few sections have it."""

    sections: tuple[Section, ...]
    rarity: dict[str, float]

    @classmethod
    def read(cls, text: str) -> Document:
        """Sections by Markdown headings; long ones, and texts without headings, by whole paragraphs."""
        sections = tuple(part for section in _by_heading(text) for part in _by_length(section))
        seen = Counter(word for section in sections for word in set(section.words))
        return cls(sections, {w: math.log((1 + len(sections)) / n) + 1 for w, n in seen.items()})


async def describe_section(document: Document, index: int, classifier: Classifier) -> Described:
    """The analysis of one section."""
    section = document.sections[index]
    best = (await classifier.rank(section.text))[0]
    summary = _telling(document, section)
    keywords = _keywords(document, section)
    content = {
        "index": index,
        "heading": section.heading,
        "category": best.category,
        "confidence": int(best.confidence * 10_000) / 10_000,
        "keywords": keywords,
        "summary": summary,
        "words": len(section.text.split()),
    }
    return Described(content, count_text(section.text), count_text(summary) + len(keywords) + 1)


def summarise(document: Document, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The analysis of the whole from that of its sections."""
    weights: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        weights[part["category"]] += part["words"] * part["confidence"] or 1e-9
    category, weight = max(weights.items(), key=lambda item: (item[1], item[0]))
    longest = sorted(parts, key=lambda part: (-part["words"], part["index"]))[:_SUMMARY_SENTENCES]
    chosen = sorted(longest, key=lambda part: part["index"])
    return {
        "category": category,
        "confidence": int(weight / sum(weights.values()) * 10_000) / 10_000,
        "summary": " ".join(part["summary"] for part in chosen if part["summary"]),
        "words": sum(part["words"] for part in parts),
        "sections": list(parts),
    }


def _by_heading(text: str) -> list[Section]:
    found = list(_HEADING.finditer(text))
    if not found:
        return [Section(None, text)]
    sections = [Section(None, text[: found[0].start()])] if text[: found[0].start()].strip() else []
    ends = [*(match.start() for match in found[1:]), len(text)]
    return sections + [
        Section(_title(match[1]), text[match.end() : end]) for match, end in zip(found, ends, strict=True)
    ]


def _title(heading: str) -> str:
    """Without the closing hashes, unless there is nothing else."""
    return heading.rstrip("#").rstrip(" \t") or heading[0]


def _by_length(section: Section) -> list[Section]:
    """Whole paragraphs, as many as fit; the heading stays with the first."""
    parts: list[list[str]] = [[]]
    words = 0
    for paragraph in _PARAGRAPH.split(section.text):
        more = len(paragraph.split())
        if parts[-1] and words + more > _WORDS_PER_SECTION:
            parts.append([])
            words = 0
        parts[-1].append(paragraph)
        words += more
    return [
        Section(section.heading if number == 0 else None, "\n\n".join(part).strip())
        for number, part in enumerate(parts)
    ]


def _keywords(document: Document, section: Section) -> list[str]:
    counts = Counter(section.words)
    scores = {word: (1 + math.log(n)) * document.rarity[word] for word, n in counts.items()}
    return sorted(scores, key=lambda word: (-scores[word], word))[:_KEYWORDS]


def _telling(document: Document, section: Section) -> str:
    """The sentence whose words weigh most on average; the first of equals."""
    best, best_score = "", -1.0
    for match in _SENTENCE.finditer(section.text):
        sentence = match[0].strip()
        words = [w for w in (m.lower() for m in _WORD.findall(sentence)) if w in document.rarity]
        if not sentence:
            continue
        score = sum(document.rarity[w] for w in words) / math.sqrt(len(words) + 4)
        if score > best_score:
            best, best_score = sentence, score
    return best
