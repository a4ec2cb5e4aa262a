"""What an OpenAI-compatible server means by a refusal. Its codes are read; its words only where there is no code."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from reference_impl.engine.base import (
    ContextExceededError,
    EngineError,
    InputFilteredError,
    ModelTimeoutError,
    OverloadedError,
    UpstreamBrokenError,
)

_log = logging.getLogger("aiconform.reference")

_LONGEST_WAIT_S = 3600
_FILTERED = frozenset(("content_filter", "content_policy_violation", "moderation_blocked"))
_TOO_LONG = frozenset(("context_length_exceeded", "exceed_context_size_error"))
_BUSY = frozenset(
    ("overloaded", "overloaded_error", "rate_limit_exceeded", "insufficient_quota", "slow_down")
)
_LATE = frozenset(("timeout", "timeout_error", "model_timeout"))
# vLLM, LiteLLM and others say it in words only.
_TOO_LONG_WORDS = ("maximum context length", "context window", "context length", "context size")
_WINDOW = re.compile(r"(?:maximum context length|context (?:window|length|size))\D{0,40}?(\d{1,9})")
_SIZE = re.compile(r"(?:resulted in|requested|request has|request \(|prompt contains|got)\D{0,40}?(\d{1,9})")


def refusal(
    status: int, headers: Mapping[str, str], error: Any, size: int, window: int, elapsed_ms: int
) -> EngineError:
    """The failure behind an answer other than 200. `size` and `window` are tokens, as far as known here.

    A limit of the upstream is no limit of our caller: 429 becomes lack of capacity, with its Retry-After.
    """
    codes, words = _codes(error), _words(error)
    if status in (400, 413, 422) and (codes & _TOO_LONG or any(word in words for word in _TOO_LONG_WORDS)):
        return _too_long(error, words, size, window)
    if status in (400, 403) and codes & _FILTERED:
        return InputFilteredError(categories=("upstream",))
    if status in (429, 503, 529):
        return OverloadedError(_retry_after_s(headers))
    if status in (408, 504):
        return ModelTimeoutError(elapsed_ms, elapsed_ms)
    _log.warning("the model's server answered %d (%.80s)", status, ", ".join(sorted(codes)) or "no code")
    return UpstreamBrokenError()


def stream_failure(error: Any, size: int, window: int, elapsed_ms: int) -> EngineError:
    """The failure behind an error that came inside a stream."""
    codes, words = _codes(error), _words(error)
    if codes & _TOO_LONG:
        return _too_long(error, words, size, window)
    if codes & _FILTERED:
        return InputFilteredError(categories=("upstream",))
    if codes & (_BUSY | {"429", "503"}):
        return OverloadedError()
    if codes & (_LATE | {"408", "504"}):
        return ModelTimeoutError(elapsed_ms, elapsed_ms)
    _log.warning("the model's server failed in its stream (%.80s)", ", ".join(sorted(codes)) or "no code")
    return UpstreamBrokenError()


def _too_long(error: Any, words: str, size: int, window: int) -> ContextExceededError:
    """With the server's own numbers where it tells them; else the least that the refusal proves."""
    given = error if isinstance(error, dict) else {}
    told_window = _positive(given.get("n_ctx")) or _found(_WINDOW, words)  # llama.cpp has fields
    told_size = _positive(given.get("n_prompt_tokens")) or _found(_SIZE, words)
    most = told_window or window
    if told_size is not None and told_size > most:
        return ContextExceededError(told_size, most)
    return ContextExceededError(max(size, most + 1), most)


def _codes(error: Any) -> set[str]:
    """Code and type as text; in broken servers either may be anything."""
    given = error if isinstance(error, dict) else {}
    return {str(v) for v in (given.get("code"), given.get("type")) if isinstance(v, str | int)}


def _words(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return message[:2000].lower() if isinstance(message, str) else ""


def _found(pattern: re.Pattern[str], words: str) -> int | None:
    match = pattern.search(words)
    return _positive(int(match[1])) if match else None


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _retry_after_s(headers: Mapping[str, str]) -> int:
    """Whole seconds of Retry-After (RFC 9110 section 10.2.3), at least 1; 1 where it says nothing."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(_LONGEST_WAIT_S, max(1, int(value[:6])))
    try:
        wait = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 1
    return min(_LONGEST_WAIT_S, max(1, math.ceil(wait)))
