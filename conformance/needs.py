"""What a probe cannot do without, and why it is skipped where that is missing."""

from __future__ import annotations

from urllib.parse import urlsplit

from conformance.target import Target
from conformance.wire.receiver import Receiver

NO_CLIENT = "needs a client: --oauth-token-url, --client-id and --client-secret, or oauth in aiconform.toml"


class ProbeSkipped(Exception):  # noqa: N818 - a signal
    """The probe cannot be sent: names the missing provocation, key or operation."""


def receiver_for(target: Target) -> Receiver:
    """A server for the target's webhooks, or skip the probe if the target cannot reach this machine."""
    if target.callback_url is not None:
        port = target.callback_port or urlsplit(target.callback_url).port
        return Receiver("0.0.0.0", port or 0, target.callback_url)  # noqa: S104 - the tester asked for it
    if target.local:
        return Receiver("127.0.0.1", 0)
    raise ProbeSkipped(
        "webhooks need a way back: say with --callback-url where the target reaches this machine"
    )
