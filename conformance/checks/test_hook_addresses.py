"""HOOK: where a target refuses to send anything."""

from __future__ import annotations

import ipaddress
from typing import Any

from conformance.checks.job_evidence import member
from conformance.checks.refusals import RETRIED, brief, decisive
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import NotTested, expect


@check("HOOK-08")
def test_internal_addresses_are_refused(webhook_addresses: Probed) -> str:
    """4xx for each URL whose network is not declared as allowed."""
    declared = webhook_addresses.get("capabilities")
    allowed = [] if declared is None else _networks(member(declared, "capabilities", "webhooks", "networks"))
    tried = [r for r in webhook_addresses.some() if r.exchange.operation == "register_webhook"]
    if tried and all(r.status in _NOT_THERE for r in tried):
        raise NotTested(f"no webhook can be registered at all: {brief(tried[0])}")
    judged = 0
    for reading in tried:
        if _is_allowed(reading.role, allowed):
            continue
        judged += 1
        code = decisive(reading).status or 0
        expect(
            400 <= code < 500 and code not in RETRIED,
            expected=f"a 4xx for {reading.exchange.params.get('url')}",
            seen=brief(reading),
            at=reading,
        )
    if not judged:
        raise NotTested("the target declares every network that was tried as allowed")
    return f"{judged} URLs refused"


_NOT_THERE = frozenset({401, 404, 405, 501})
"""Statuses that any request to this path would get, whatever address it names."""


def _networks(value: Any) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for text in value if isinstance(value, list) else []:
        try:
            found.append(ipaddress.ip_network(str(text), strict=False))
        except ValueError:
            continue
    return found


_MEANT = {
    "link_local": "169.254.169.254",
    "private": "10.11.12.13",
    "mapped": "192.168.1.1",
    "unspecified": "0.0.0.0",  # noqa: S104 - an address to be refused
    "unique_local": "fd00::1",
    "decimal": "169.254.169.254",
}


def _is_allowed(role: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    meant = ipaddress.ip_address(_MEANT[role])
    return any(meant in network for network in networks if network.version == meant.version)
