"""What a target says it offers, held against what the run saw.

Whoever advertises a capability is held to it: the target's own list, its OpenAPI document, the tester. A dialect is
no advertisement of this target: it says what the vendor's format can carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from conformance.dialects.model import Dialect
from conformance.evidence import NOT_JSON, Evidence
from conformance.judge import Bench, evaluate
from conformance.offers import as_declared, listable_capabilities, listed_capabilities
from conformance.registry import CHECKS
from conformance.target import Declared
from conformance.vendor_document import resolved
from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement

State = Literal["kept", "not kept", "not judged", "not advertised"]

LIST, DOCUMENT, TESTER = "GET /capabilities", "its OpenAPI document", "the tester"
DETECTABLE = frozenset({"streaming", "idempotency", "rate_limits", "trace", "versioning"})
_LIMIT_HEADERS = ("ratelimit", "ratelimit-policy", "x-ratelimit-")
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


@dataclass(frozen=True)
class Claim:
    """One capability. ``sources``: who advertises it. ``unshown``: a check looked for it, and no answer shows it, so
    "advertised, not kept" although no requirement fails."""

    capability: str
    sources: tuple[str, ...]
    state: State
    detail: str
    unshown: bool = False

    def as_json(self) -> dict[str, Any]:
        """An entry of the report's ``claims``."""
        return {
            "capability": self.capability,
            "sources": list(self.sources),
            "state": self.state,
            "detail": self.detail,
            "unshown": self.unshown,
        }


def claims_of(
    evidence: Evidence,
    dialect: Dialect,
    verdicts: Sequence[Verdict],
    requirements: Mapping[str, Requirement],
    document: Mapping[str, Any] | None = None,
) -> tuple[Claim, ...]:
    """What is advertised, and whether it is kept; then what is kept and not advertised. ``dialect`` is that of the
    run, before the target's list is laid over it. ``document``: the vendor's own, if the tester gave it."""
    advertised = _advertised(evidence, document)
    told = evidence.target.get("declared") or {}
    spoken = as_declared(dialect, Declared(told.get("capabilities") or {}, told.get("provocations") or {}))
    by_capability: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_capability.setdefault(verdict.capability, []).append(verdict)
    found = [
        _claim(name, sources, spoken, by_capability[name], requirements)
        for name, sources in advertised.items()
        if name in by_capability and name != "core"
    ]
    could_be = _advertisable(advertised)
    hidden = {
        name: own
        for name, own in by_capability.items()
        if name in could_be and name not in advertised and name.rpartition(".")[0] not in advertised
    }
    found += _unadvertised(hidden, evidence, spoken, requirements)
    return tuple(found)


def _claim(
    name: str,
    sources: tuple[str, ...],
    dialect: Dialect,
    verdicts: Sequence[Verdict],
    requirements: Mapping[str, Requirement],
) -> Claim:
    failed = [v.id for v in verdicts if v.result is Result.FAIL]
    if failed:
        return Claim(name, sources, "not kept", f"{', '.join(failed)} failed")
    passed = sum(v.result is Result.PASS for v in verdicts)
    if passed:
        return Claim(name, sources, "kept", f"{passed} of {len(verdicts)} requirements kept, none broken")
    if dialect.offer(name).state == "not_offered":
        return Claim(
            name, sources, "not judged", f"the dialect or the tester says that {name} is not offered"
        )
    asked = [v for v in verdicts if v.check and _applies(requirements[v.id], dialect)]
    if asked and all(v.result is Result.NOT_OFFERED for v in asked):
        return Claim(name, sources, "not kept", asked[0].detail, unshown=True)
    return Claim(name, sources, "not judged", (asked or verdicts)[0].detail)


def _unadvertised(
    hidden: Mapping[str, Sequence[Verdict]],
    evidence: Evidence,
    dialect: Dialect,
    requirements: Mapping[str, Requirement],
) -> Iterator[Claim]:
    """Capabilities that nobody advertises, and that the evidence shows all the same."""
    bench = Bench(evidence, dialect)
    for name, verdicts in hidden.items():
        seen = [
            evaluate(
                CHECKS[v.id], requirements[v.id], bench, {n: bench.resolve(n) for n in CHECKS[v.id].needs}
            )
            for v in verdicts
            if v.id in CHECKS and _applies(requirements[v.id], dialect)
        ]
        passed = sum(v.result is Result.PASS for v in seen)
        if passed and not any(v.result is Result.FAIL for v in seen):
            yield Claim(name, (), "not advertised", f"kept all the same: {passed} requirements of it")


def _advertisable(advertised: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """What the target's list could have named, or, if there is only a document, what one can tell. Without either
    nothing was left out: the target advertises nowhere."""
    sources = {s for names in advertised.values() for s in names}
    return (
        frozenset(listable_capabilities())
        if LIST in sources
        else DETECTABLE
        if DOCUMENT in sources
        else frozenset()
    )


def _applies(requirement: Requirement, dialect: Dialect) -> bool:
    return requirement.kind == "pattern" or dialect.name == "contract"


def _advertised(evidence: Evidence, document: Mapping[str, Any] | None) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name in listed_capabilities(evidence) or ():
        found.setdefault(name, []).append(LIST)
    for name in document_claims(document or _published(evidence)):
        found.setdefault(name, []).append(DOCUMENT)
    declared = (evidence.target.get("declared") or {}).get("capabilities") or {}
    for name, state in declared.items():
        if state == "offered":
            found.setdefault(name, []).append(TESTER)
    return {name: tuple(sources) for name, sources in found.items()}


def _published(evidence: Evidence) -> Mapping[str, Any]:
    """The description that the target itself serves."""
    for exchange in evidence.exchanges:
        if exchange.operation == "description" and exchange.status == 200 and exchange.json is not NOT_JSON:
            return exchange.json if isinstance(exchange.json, dict) else {}
    return {}


def document_claims(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The capabilities that an OpenAPI document promises by what it declares: an event stream among the answers,
    an ``Idempotency-Key`` parameter, rate-limit, trace and version headers."""
    found: set[str] = set()
    for operation, item in _operations(document):
        for parameter in (*_list(item.get("parameters")), *_list(operation.get("parameters"))):
            found |= _of_header(resolved(document, parameter).get("name"), sent=True)
        for answer in _values(operation.get("responses")):
            answer = resolved(document, answer)
            if "text/event-stream" in (answer.get("content") or {}):
                found.add("streaming")
            for header in answer.get("headers") or {}:
                found |= _of_header(header, sent=False)
    return tuple(sorted(found))


def _of_header(name: object, *, sent: bool) -> set[str]:
    lowered = name.lower() if isinstance(name, str) else ""
    if sent:
        return {"idempotency": {"idempotency"}, "traceparent": {"trace"}}.get(
            lowered.removesuffix("-key"), set()
        )
    if lowered.startswith(_LIMIT_HEADERS[2]) or lowered in _LIMIT_HEADERS[:2]:
        return {"rate_limits"}
    return {"deprecation": {"versioning"}, "sunset": {"versioning"}}.get(lowered, set())


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for item in _values(document.get("paths")):
        item = resolved(document, item)
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict):
                yield operation, item


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []
