"""Requests that Schemathesis generates from the contract's document, sent through our own wire layer.

So they are bounded, recorded and redacted like every other exchange, and every passive check judges them too.
What Schemathesis itself says about each answer is kept as a note: another tool's finding is evidence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from conformance.evidence import Principal
from conformance.probes.generating import GENERATING, cases_of, findings
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session
from spec.document import load_document

EXAMPLES: Mapping[str, tuple[int, int]] = {
    "classify": (2, 2),
    "chat": (2, 2),
    "listModels": (1, 0),
    "getModel": (1, 0),
    "getCapabilities": (1, 0),
}
"""Valid and invalid requests by operation: a sample. Many of each operation are what `make generated` sends; and in
every other exchange of the run, status, headers and body are compared with the same document."""

SHARED: Mapping[str, tuple[str, Principal]] = {
    "listModels": ("models", "main"),
    "getCapabilities": ("capabilities", "none"),
}
"""Operations whose valid requests are all alike: the answer is that of the run."""

_MOST = 3
_IMPLIED = {
    "user-agent",
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "authorization",
    "x-schemathesis-testcaseid",
}


@dataclass(frozen=True)
class Generated:
    """One generated request. ``case`` is Schemathesis' own object, asked about the answer afterwards."""

    case: Any
    valid: bool
    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    authenticated: bool


@probe(
    calls=sum(map(sum, EXAMPLES.values())) - len(SHARED),
    operations=("chat", "classify"),
    tokens=3000,
    computes=True,
    shares=("models", "capabilities"),
)
async def generated(session: Session) -> None:
    """Valid and invalid requests for each operation; roles ``valid`` and ``invalid``."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("requests are generated from the contract's document only")
    cases = await asyncio.to_thread(_generate, session.target.base_url)
    readings = await asyncio.gather(*(_send(session, c) for c in cases))
    session.notes["findings"] = [
        f for c, r in zip(cases, readings, strict=True) for f in findings(c.case, c.operation, r)
    ]


def _generate(base_url: str) -> list[Generated]:
    with GENERATING:
        return [_request(case, valid, operation, base_url) for case, valid, operation in _all_cases()]


@cache
def _all_cases() -> tuple[tuple[Any, bool, Any], ...]:
    """Case, whether it is valid, and operation; the same for every target."""
    return tuple(_cases_of_the_document())


def _cases_of_the_document() -> Iterator[tuple[Any, bool, Any]]:
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(load_document())

    @schema.auth()
    class Credential:
        """Marks a case as authenticated; the real key is put in by the session, and stays out of Schemathesis."""

        def get(self, _case: Any, _context: Any) -> str:
            return "declared"

        def set(self, case: Any, data: str, _context: Any) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        wanted = EXAMPLES.get(operation.definition.raw.get("operationId"), (0, 0))
        for mode, most in zip((GenerationMode.POSITIVE, GenerationMode.NEGATIVE), wanted, strict=True):
            if not most:
                continue
            # The first that is generated is the plainest, so the last ones are taken.
            for case in cases_of(operation.as_strategy(generation_mode=mode), _MOST)[-most:]:
                yield case, mode is GenerationMode.POSITIVE, operation


def _request(case: Any, valid: bool, operation: Any, base_url: str) -> Generated:
    sent = case.as_transport_kwargs(base_url=base_url)
    headers = {str(k): str(v) for k, v in (sent.get("headers") or {}).items()}
    body = sent.get("data")
    if sent.get("json") is not None:
        body = json.dumps(sent["json"]).encode()
    if isinstance(body, str):
        body = body.encode()
    query = urlencode(sent.get("params") or {}, doseq=True)
    path = urlsplit(sent["url"]).path.removeprefix(urlsplit(base_url).path)
    return Generated(
        case=case,
        valid=valid,
        operation=operation.definition.raw["operationId"],
        method=sent["method"],
        path=path + (f"?{query}" if query else ""),
        headers={k: v for k, v in headers.items() if k.lower() not in _IMPLIED},
        body=body if isinstance(body, bytes) else b"",
        authenticated="authorization" in {k.lower() for k in headers},
    )


async def _send(session: Session, request: Generated) -> Reading:
    operation, principal = SHARED.get(request.operation, ("", "main"))
    if request.valid and operation in session.dialect.operations:
        return await session.shared(operation, "valid", principal=principal)
    return await session.raw(
        request.method,
        request.path,
        "valid" if request.valid else "invalid",
        principal="main" if request.authenticated else "none",
        headers=request.headers,
        body=request.body,
    )
