"""What a request meets when something that the server keeps its state in is out of reach."""

from __future__ import annotations

RETRY_S = 1
"""What clients are told to wait: an outage ends at an unknown time, and asking again is cheap."""


class OutageError(Exception):
    """Nothing was accepted. The message is for the operator: it may name hosts, and never holds a secret."""


class LeaseLostError(OutageError):
    """This process was silent for so long that others count its work as a dead one's."""
