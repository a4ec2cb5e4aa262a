"""What the classifier sees of a text: the beginnings of its words. Training and inference share this."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_STEM = 5
"""Characters. English inflects at the end, so that `charge`, `charged` and `charges` become one feature."""


def stems(text: str) -> list[str]:
    """Lower-case beginnings of the words in order; white space, case and marks make no difference."""
    return [word.lower()[:_STEM] for word in _WORD.findall(text)]
