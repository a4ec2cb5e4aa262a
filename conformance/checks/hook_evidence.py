"""Deliveries as the checks of webhooks see them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.reading import Probed
from conformance.verdict import Inconclusive, NotTested, Violation


@dataclass(frozen=True)
class Delivered:
    """One request that came in. ``expected``: the signatures by our secrets over its bytes, newest first."""

    endpoint: str
    at: float
    method: str
    headers: Mapping[str, str]
    body: bytes
    expected: tuple[str, ...]

    @property
    def json(self) -> Any:
        """The parsed body, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def job(self) -> str | None:
        """The job it tells of."""
        data = self.json.get("data") if isinstance(self.json, dict) else None
        found = data.get("job_id") if isinstance(data, dict) else None
        return found if isinstance(found, str) else None

    @property
    def signatures(self) -> list[str]:
        return self.headers.get("webhook-signature", "").split()


def deliveries(probe: Probed, endpoint: str = "") -> list[Delivered]:
    """What came to one endpoint, or to all, in order.

    Raises:
        NotTested: the probe was not run to that point.
    """
    noted = probe.notes.get("deliveries")
    if noted is None or "first_job" not in probe.notes:
        raise NotTested(probe.record.reason or f"probe {probe.record.name} was not run")
    found = [
        Delivered(
            str(d["endpoint"]),
            float(d["at"]),
            str(d["method"]),
            {str(k): str(v) for k, v in d["headers"]},
            base64.b64decode(d["body"]),
            tuple(d["expected"]),
        )
        for d in noted
    ]
    return [d for d in found if endpoint in ("", d.endpoint)]


def about(probe: Probed, endpoint: str, which: str = "first") -> list[Delivered]:
    """What came to an endpoint about the probe's first or second job; other probes post jobs too."""
    job = probe.notes.get(f"{which}_job")
    return [d for d in deliveries(probe, endpoint) if d.job is not None and d.job == job]


def some(probe: Probed, endpoint: str, which: str = "first") -> list[Delivered]:
    """At least one, or INCONCLUSIVE: HOOK-01 judges whether there is any."""
    found = about(probe, endpoint, which)
    if not found:
        raise Inconclusive(f"no message about the {which} job came to the endpoint '{endpoint}': see HOOK-01")
    return found


def must(condition: object, *, expected: str, seen: object, where: str) -> None:
    """Like ``expect``, for a delivery, which is no exchange."""
    if not condition:
        raise Violation(expected, str(seen), None, where)
