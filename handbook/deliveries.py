"""What a target sent to the suite's receiver of webhooks, as the pages of requirements show it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from conformance.evidence import Evidence
from conformance.report.exhibit import show

PROBE = "webhook_run"
BODY = 400
"""Bytes shown of a message."""

_TELLING = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")
_SECRETS = ("the newest secret", "the secret before it")


def delivered(evidence: Evidence) -> list[dict[str, Any]] | None:
    """The messages in the order they came in; None if the probe did not get so far.

    ``verifies``: the secrets of the endpoint whose signature the message bears. ``body``: as pieces (kind, text), empty
    where it is the same as in the message before it to this endpoint.
    """
    record = evidence.probes.get(PROBE)
    noted = record.notes.get("deliveries") if record else None
    if noted is None:
        return None
    last: dict[str, str] = {}
    return [_message(d, noted[0]["at"], last) for d in noted]


def _message(noted: Mapping[str, Any], first: float, last: dict[str, str]) -> dict[str, Any]:
    endpoint, body = str(noted["endpoint"]), str(noted["body"])
    headers = {str(k): str(v) for k, v in noted["headers"]}
    signed = headers.get("webhook-signature", "").split()
    pairs = zip_longest(noted["expected"], _SECRETS[: len(noted["expected"])], fillvalue=_SECRETS[-1])
    repeated = last.get(endpoint) == body
    last[endpoint] = body
    return {
        "at": f"{noted['at'] - first:.2f}",
        "clock": int(noted["at"]),
        "request": f"{noted['method']} /{endpoint}",
        "headers": [[name, headers[name]] for name in _TELLING if name in headers],
        "verifies": [name for wanted, name in pairs if wanted in signed],
        "body": [] if repeated else _pieces(base64.b64decode(body)),
    }


def _pieces(body: bytes) -> list[list[str]]:
    return [["gap" if p.gap else "ctl" if p.control else "", p.text] for p in show(body, head=BODY).pieces]
