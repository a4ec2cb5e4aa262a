"""What a user did wrong, in one line."""

from __future__ import annotations


class LoadError(ValueError):
    """Bad usage or configuration. The message says what is wrong and what to do."""


OK, FAILED, USAGE, UNREACHABLE, INVALID, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes. INVALID: the client was too slow or too late for what was asked, so the times are not the server's."""

RUN_ENDED = "the run has ended"
WEBHOOK_REFUSED = "the target refused the webhook"
"""Why a run stopped: at its time, or (the beginning of the words) since no job could be told of."""
