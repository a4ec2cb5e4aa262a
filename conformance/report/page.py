"""What the HTML report shows, worked out from a :class:`Report`; how it looks is the template's affair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby

from conformance.evidence import Exchange, ProbeRecord
from conformance.reading import Reading
from conformance.replicas import Replicas
from conformance.report.curl import curl_line
from conformance.report.exhibit import Shown, excerpt, show
from conformance.report.model import Report, area_title, counted
from conformance.report.spoken import body_shown, place_shown
from conformance.report.standing import CapabilityRow, capability_rows, gate_notes, gate_sentence
from conformance.report.timeline import (
    LimitPicture,
    StreamPicture,
    limit_pictures,
    seconds,
    stream_picture,
)
from conformance.report.wording import ORDER, remedy
from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement

MAX_EXHIBITS = 50
"""Exchanges shown in full. With those, the appendix and all findings a report stays below 3 MB."""

MAX_ROWS = 1000
BODY = 4096
REQUEST_BODY = 2048
MAX_HEADERS = 60
MAX_HEADER = 400


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    value: str
    marked: bool = False
    absent: bool = False


@dataclass(frozen=True)
class Exhibit:
    """One exchange in full, with every place marked that a finding points at."""

    exchange: Exchange
    request: Shown
    headers: tuple[Header, ...]
    body: Shown
    picture: StreamPicture | None
    notes: tuple[str, ...]
    curl: str


@dataclass(frozen=True)
class Finding:
    """A FAIL, WARN or ERROR. ``exhibit`` is given where its exchange is first pointed at; later findings
    about that exchange link there. ``header`` is the marked response header, if ``where`` names one."""

    verdict: Verdict
    requirement: Requirement
    exchange: Exchange | None
    excerpt: Shown | None
    header: Header | None
    exhibit: Exhibit | None
    curl: str


@dataclass(frozen=True)
class AreaRow:
    name: str
    title: str
    counts: Mapping[Result, int]
    verdicts: tuple[Verdict, ...]

    @property
    def judged(self) -> int:
        return sum(n for r, n in self.counts.items() if r.judged)

    @property
    def applicable(self) -> int:
        return len(self.verdicts) - self.counts[Result.NOT_OFFERED]


@dataclass(frozen=True)
class Unjudged:
    """Requirements that could not be judged for one reason, and what would change that."""

    result: Result
    reason: str
    remedy: str
    verdicts: tuple[Verdict, ...]


class Page:
    """Everything the template asks for."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.readings = {e.id: Reading(e, report.dialect) for e in report.evidence.exchanges}
        self._exhibited: set[str] = set()
        self._replicas = Replicas.of(report.evidence.target)

    def path(self, exchange: Exchange) -> str:
        """The URL of a request below the base URL; the whole of another one."""
        return exchange.sent.url.removeprefix(self._replicas.base(exchange.sent.url))

    def replica(self, exchange: Exchange) -> str:
        """``replica 2: http://10.0.0.2/v1``, or empty where there is only one."""
        return self._replicas.name(exchange.sent.url)

    @property
    def gate(self) -> str:
        """The result in one sentence."""
        return gate_sentence(self.report)

    @property
    def state(self) -> str:
        return {0: "passed", 1: "failed"}.get(self.report.gate.exit_code, "undecided")

    @property
    def judged(self) -> str:
        report = self.report
        open_ones = report.applicable - report.judged
        rest = (
            f" {open_ones} could not be, and count neither as kept nor as broken."
            if open_ones
            else " Nothing that applies was left out."
        )
        broken = report.counts[Result.ERROR]
        fault = f" {counted(broken, 'check')} broke: the suite's own fault." if broken else ""
        return f"{report.judged} of the {report.applicable} requirements that apply were judged.{rest}{fault}"

    @property
    def facts(self) -> Mapping[str, str]:
        """The run in a few words, for the head of the page."""
        evidence, report = self.report.evidence, self.report
        target = evidence.target
        started = datetime.fromtimestamp(evidence.started_at, UTC)
        tokens = report.tokens
        facts = {
            "Target": str(target.get("base_url", "")),
            "Replicas": ", ".join(report.replica_lines),
            "Date": f"{started.day} {started:%B %Y, %H:%M} UTC",
            "Dialect": f"{report.dialect.name} ({report.dialect.version})",
            "Model": str(target.get("model") or "the target's default"),
            "Keys given": ", ".join(str(p) for p in target.get("principals", ())) or "none",
            "Calls": f"{counted(len(evidence.exchanges), 'call')} in {seconds(round(evidence.duration, 1))}",
            "Tokens": f"{tokens['input']:,} in, {tokens['output']:,} out, as the target counts",
            "Suite": f"aiconform {evidence.suite_version}, contract {evidence.contract_version}",
        }
        return {name: value for name, value in facts.items() if value}

    @cached_property
    def areas(self) -> tuple[AreaRow, ...]:
        grouped = groupby(self.report.verdicts, key=lambda v: self.report.requirements[v.id].area)
        rows = []
        for name, group in grouped:
            verdicts = tuple(group)
            counts = {r: sum(v.result is r for v in verdicts) for r in ORDER}
            rows.append(AreaRow(name, area_title(name), counts, verdicts))
        return tuple(rows)

    @cached_property
    def capabilities(self) -> tuple[CapabilityRow, ...]:
        """Core first, then by name."""
        return capability_rows(self.report)

    @cached_property
    def gate_notes(self) -> tuple[str, ...]:
        """What decided the gate beside the verdicts, one sentence each."""
        return gate_notes(self.report)

    @property
    def largest(self) -> int:
        """Requirements of the largest area."""
        return max((len(a.verdicts) for a in self.areas), default=1)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, worst first."""
        wanted = (Result.FAIL, Result.ERROR, Result.WARN)
        return tuple(self._finding(v) for v in self.report.worst_first() if v.result in wanted)

    @property
    def not_kept(self) -> Sequence[Finding]:
        return [f for f in self.findings if f.verdict.result is not Result.ERROR]

    @cached_property
    def unjudged(self) -> tuple[Unjudged, ...]:
        groups: dict[tuple[Result, str, str], list[Verdict]] = {}
        for verdict in self.report.verdicts:
            if verdict.result in (Result.NOT_TESTED, Result.INCONCLUSIVE):
                key = (verdict.result, verdict.detail, remedy(verdict, self.report.requirements[verdict.id]))
                groups.setdefault(key, []).append(verdict)
        found = [Unjudged(*key, tuple(verdicts)) for key, verdicts in groups.items()]
        return tuple(sorted(found, key=lambda u: (u.result is Result.NOT_TESTED, -len(u.verdicts))))

    @cached_property
    def limits(self) -> tuple[LimitPicture, ...]:
        return limit_pictures(list(self.readings.values()), self._replicas)

    @cached_property
    def sample(self) -> tuple[Exchange, StreamPicture] | None:
        """A whole stream to look at, where no finding shows one."""
        if any(f.exhibit and f.exhibit.picture for f in self.findings):
            return None
        whole = [
            r for r in self.readings.values() if r.ok and r.exchange.is_sse and r.exchange.left_at is None
        ]
        # The one that came in most pieces shows most.
        best = max(whole, key=lambda r: len(r.exchange.chunks), default=None)
        picture = stream_picture(best) if best else None
        return (best.exchange, picture) if best and picture else None

    @property
    def probes(self) -> Sequence[ProbeRecord]:
        """Probes that were not carried out to their end."""
        return [p for p in self.report.evidence.probes.values() if p.outcome != "done"]

    @cached_property
    def exhibited(self) -> frozenset[str]:
        return frozenset(f.exhibit.exchange.id for f in self.findings if f.exhibit)

    def _finding(self, verdict: Verdict) -> Finding:
        exchange = next((e for i in verdict.evidence if (e := self.report.exchanges.get(i))), None)
        exhibit, header, shown = None, None, None
        if exchange is not None:
            header = _named_header(exchange, verdict.where)
            shown = excerpt(body_shown(exchange), place_shown(exchange, verdict.where))
            if exchange.id not in self._exhibited and len(self._exhibited) < MAX_EXHIBITS:
                self._exhibited.add(exchange.id)
                exhibit = self._exhibit(exchange)
        requirement = self.report.requirements[verdict.id]
        curl = curl_line(exchange) if exchange else ""
        return Finding(verdict, requirement, exchange, shown, header, exhibit, curl)

    def _exhibit(self, exchange: Exchange) -> Exhibit:
        places = [
            v.where for v in self.report.verdicts if v.where and exchange.id in v.evidence and v.expected
        ]
        marked = {h.name.lower() for p in places if (h := _named_header(exchange, p))}
        headers = [
            Header(name, _cut(value), name.lower() in marked)
            for name, value in exchange.headers[:MAX_HEADERS]
        ]
        headers += [h for p in dict.fromkeys(places) if (h := _named_header(exchange, p)) and h.absent]
        return Exhibit(
            exchange,
            show(exchange.sent.body, head=REQUEST_BODY),
            tuple(headers),
            show(body_shown(exchange), [place_shown(exchange, p) for p in places], head=BODY),
            stream_picture(self.readings[exchange.id]),
            tuple(_notes(exchange)),
            curl_line(exchange),
        )


def _named_header(exchange: Exchange, where: str) -> Header | None:
    kind, _, name = where.partition(" ")
    if kind.lower() != "header" or not name:
        return None
    value = exchange.header(name)
    return Header(name, _cut(value or ""), marked=True, absent=value is None)


def _notes(exchange: Exchange) -> list[str]:
    notes = []
    if exchange.failure:
        notes.append(f"No complete response: {exchange.failure.kind}, {exchange.failure.detail}")
    if exchange.left_at is not None:
        notes.append(f"The probe itself hung up after {seconds(exchange.left_at)}.")
    coding = exchange.header("content-encoding")
    if coding and exchange.raw:
        notes.append(f"The body is shown decoded; on the wire {coding}, {len(exchange.raw):,} bytes.")
    if exchange.decoded.error:
        notes.append(f"Decoding stopped: {exchange.decoded.error}")
    if exchange.redirects:
        notes.append("Redirected: " + ", ".join(exchange.redirects))
    return notes


def _cut(text: str) -> str:
    return text if len(text) <= MAX_HEADER else f"{text[:MAX_HEADER]}… ({len(text):,} characters)"
