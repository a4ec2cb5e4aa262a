"""Evidence as checks see it: an exchange together with the dialect that explains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from conformance.dialects.facts import ErrorFacts, Facts, ListedModel, StreamFacts
from conformance.dialects.interpret import read_answer, read_error, read_models, read_stream
from conformance.dialects.model import Dialect
from conformance.evidence import NOT_JSON, Evidence, Exchange, ProbeRecord
from conformance.verdict import Inconclusive, NotTested


@dataclass(frozen=True)
class Reading:
    """One exchange, and its facts in the contract's words."""

    exchange: Exchange
    dialect: Dialect

    @property
    def status(self) -> int | None:
        return self.exchange.status

    @property
    def ok(self) -> bool:
        """A complete response with a 2xx status."""
        return self.exchange.failure is None and self.status is not None and 200 <= self.status < 300

    @property
    def role(self) -> str:
        return self.exchange.role

    @property
    def body(self) -> Any:
        """Parsed JSON, ``{}`` if the body is not JSON."""
        return {} if self.exchange.json is NOT_JSON else self.exchange.json

    @cached_property
    def facts(self) -> Facts:
        """Facts of a complete (non-stream) answer and of the response headers."""
        return read_answer(self.dialect, self.exchange)

    @cached_property
    def stream(self) -> StreamFacts:
        """Facts of a streamed answer."""
        return read_stream(self.dialect, self.exchange)

    @cached_property
    def models(self) -> tuple[ListedModel, ...]:
        """The models that the answer lists."""
        return read_models(self.dialect, self.exchange)

    @cached_property
    def error(self) -> ErrorFacts:
        """Facts of an error answer, classified onto the contract's codes."""
        return read_error(self.dialect, self.exchange)

    def header(self, name: str) -> str | None:
        return self.exchange.header(name)


@dataclass(frozen=True)
class Probed:
    """The readings of one probe by role; asking for one that was not gathered gives the right verdict."""

    record: ProbeRecord
    readings: tuple[Reading, ...]

    def __getitem__(self, role: str) -> Reading:
        """The complete response of that role. Missing: NOT_TESTED. No complete response: INCONCLUSIVE."""
        reading = self.get(role)
        refusals = sum(r.role == f"{role}!429" for r in self.readings)
        if reading is None and refusals:
            after = (
                "also after the wait it asked for" if refusals > 1 else "and no time was left to wait for it"
            )
            raise Inconclusive(f"'{role}' was refused by a limit (429), {after}")
        if reading is None:
            raise NotTested(self.record.reason or f"probe {self.record.name} did not send '{role}'")
        failure = reading.exchange.failure
        if failure is not None:
            raise Inconclusive(
                f"{reading.exchange.id} has no complete response: {failure.kind}, {failure.detail}"
            )
        return reading

    def get(self, role: str) -> Reading | None:
        """The last reading of that role, complete or not."""
        return next((r for r in reversed(self.readings) if r.role == role), None)

    def all(self, prefix: str = "") -> list[Reading]:
        """Complete responses whose role starts with ``prefix``, in the order they were started."""
        return [r for r in self.readings if r.role.startswith(prefix) and r.exchange.failure is None]

    def some(self, prefix: str = "") -> list[Reading]:
        """Like :meth:`all`, but at least one: NOT_TESTED or INCONCLUSIVE otherwise."""
        found = self.all(prefix)
        if not found:
            sent = [r for r in self.readings if r.role.startswith(prefix)]
            if sent:
                raise Inconclusive(f"no complete response among {len(sent)} '{prefix}' exchange(s)")
            raise NotTested(self.record.reason or f"probe {self.record.name} did not send '{prefix}'")
        return found

    @property
    def notes(self) -> Mapping[str, Any]:
        return self.record.notes

    def __iter__(self) -> Iterator[Reading]:
        return iter(self.readings)


def readings_of(evidence: Evidence, dialect: Dialect) -> tuple[Reading, ...]:
    return tuple(Reading(e, dialect) for e in evidence.exchanges)


def probed(evidence: Evidence, readings: tuple[Reading, ...], name: str) -> Probed:
    record = evidence.probes.get(name) or ProbeRecord(name, "skipped", f"probe {name} was not run")
    return Probed(record, tuple(_of_probe(record, readings)))


def borrowed(reading: Reading, probe: str, role: str) -> Reading:
    """An exchange as evidence of another probe than the one that sent it."""
    return Reading(replace(reading.exchange, probe=probe, role=role), reading.dialect)


def _of_probe(record: ProbeRecord, readings: tuple[Reading, ...]) -> Iterator[Reading]:
    roles: dict[str, list[str]] = {}
    for role, exchange in record.shared.items():
        roles.setdefault(exchange, []).append(role)
    for reading in readings:
        if reading.exchange.probe == record.name:
            yield reading
        for role in roles.get(reading.exchange.id, ()):
            yield borrowed(reading, record.name, role)


def member_of(value: Any, *names: str) -> Any:
    """The member below these names of a JSON document, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def faults_of(reading: Reading) -> frozenset[str]:
    """The JSON Pointers of all that a refusal as INVALID_REQUEST finds wrong with a body."""
    listed = reading.error.details.get("errors") if reading.error.code == "INVALID_REQUEST" else None
    errors = listed if isinstance(listed, list) else []
    return frozenset(str(e.get("pointer")) for e in errors if isinstance(e, Mapping))
