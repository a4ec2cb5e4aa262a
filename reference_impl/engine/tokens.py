"""Tokens of the builtin engine: a word, a run of other word characters, or one mark or CJK character."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from reference_impl.engine.base import Message

MESSAGE_OVERHEAD = 3

# Scripts written without spaces: one character, one token (kana, CJK, Hangul, and the supplementary planes).
_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00010000-\U0010ffff"
_TOKEN = rf"(?:[{_SINGLE}]|[^\W{_SINGLE}]+|[^\w\s])"
_COUNT = re.compile(_TOKEN)
# A piece keeps the white space that follows it, so that joined pieces are the text, byte for byte.
_PIECE = re.compile(rf"^\s+$|(?:^\s+)?{_TOKEN}\s*")
# An encoding merges a run of the same mark, and hardly ever more than so many characters into one token.
_RUN = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+|([^\w\s])\1*")
_MOST_PER_TOKEN = 16


def pieces(text: str) -> list[str]:
    """`text` cut into token strings whose concatenation is `text`."""
    return _PIECE.findall(text)


def count_text(text: str) -> int:
    """Tokens of one string; white space alone counts as nothing."""
    return len(_COUNT.findall(text))


def estimate_text(text: str) -> int:
    """About the least that any byte-pair encoding makes of a text, so that what it refuses would not have fitted."""
    return sum(math.ceil(len(run[0]) / _MOST_PER_TOKEN) for run in _RUN.finditer(text))


def estimate_messages(messages: Sequence[Message]) -> int:
    """As `estimate_text`, with the fixed overhead of each message."""
    return sum(MESSAGE_OVERHEAD + estimate_text(message.content) for message in messages)


def count_messages(messages: Sequence[Message]) -> int:
    """Input tokens of a conversation, with the fixed overhead of each message."""
    return sum(MESSAGE_OVERHEAD + count_text(message.content) for message in messages)
