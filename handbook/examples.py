"""Each requirement kept and broken on the wire, as recorded: ``python -m handbook.examples docs/examples.json``.

The broken one comes from a mutant that the check of the requirement catches; the kept one is the same request of the
same probe to the reference. So an example is never invented, and it is the very exchange that the verdict points at.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.cli.demo import WEBHOOKS
from conformance.cli.local_server import local_server
from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence, Exchange
from conformance.gather import gather, plan
from conformance.judge import judge
from conformance.registry import CHECKS, load_all, selected_checks
from conformance.report.exhibit import Piece, Shown, show
from conformance.report.spoken import body_shown, place_shown
from conformance.selftest import ABREAST, Subject, subjects
from conformance.target import OAuth, Target
from conformance.verdict import Result, Verdict
from handbook.deliveries import PROBE, delivered
from handbook.staged import DOCUMENTED, OverTls, over_tls
from reference_impl.mutants import unbound
from spec.catalogue import requirements
from spec.document import load_document

AT_ONCE = 4
"""Mutants examined side by side."""

DIALECT = "contract"
REFERENCE = "reference"
SHORT = 8192
BODY, AROUND, SENT, VALUE = 700, 300, 300, 160
"""Bytes shown of the beginning of a body, around a fault, and of a request; characters of a header value."""

_UNTELLING = frozenset(
    {
        "date",
        "server",
        "server-timing",
        "connection",
        "host",
        "user-agent",
        "accept-encoding",
        "content-length",
    }
)
_REPEATED = ("access-control-", "x-ratelimit-", "ratelimit", "api-version", "x-request-id", "vary")
"""Headers that nearly every answer has; they are shown where the verdict is about them."""
_TOKEN = re.compile(r"(\beyJ[\w-]{8}|\bwhsec_.{4})[\w.+/=-]{12,}")
"""Tokens and secrets of servers that are long gone; still, nobody should have to wonder."""


def chosen(found: Iterable[Subject]) -> list[Subject]:
    """As few mutants as show every requirement broken; those with the fewest defects first."""
    mutants = sorted(
        (s for s in found if s.kind == "mutant" and s.dialect == DIALECT),
        key=lambda s: (len(s.violates), s.name),
    )
    shown: set[str] = set()
    picked = []
    for subject in mutants:
        if not shown.issuperset(subject.violates):
            shown.update(subject.violates)
            picked.append(subject)
    return picked


async def record(
    origin: str,
    reference: str,
    tls: OverTls,
    known: Mapping[str, Any],
    done: Callable[[Mapping[str, Any]], None],
) -> None:
    """Record what ``known`` lacks, from the mutants of one server, the reference at ``reference``, and both over TLS.
    ``done`` is told of all examples by requirement id, in catalogue order, after each mutant."""
    load_all()
    found = await subjects(origin)
    document = load_document()
    good = await _run(_target(_reference(found[0], reference), document), tuple(requirements()))
    slots = asyncio.Semaphore(AT_ONCE)
    examples: dict[str, Any] = dict(known)

    def keep(told: Mapping[str, Any]) -> None:
        examples.update({i: e for i, e in told.items() if i not in examples})
        done({i: examples[i] for i in requirements() if i in examples})

    async def one(subject: Subject, ids: Sequence[str], target: Target) -> None:
        async with slots:
            if not examples.keys() >= set(ids):
                evidence = await _run(target, ids, until_caught=True)
                keep(_examples(subject.name, ids, evidence, good))

    async def bound() -> None:
        if not examples.keys() >= set(unbound.VIOLATES):
            broken, kept = [await _run(t, unbound.VIOLATES) for t in (tls.unbound, tls.reference)]
            told = _examples("", unbound.VIOLATES, broken, kept)
            keep({i: {**example, "defect": unbound.STORY} for i, example in told.items()})

    named = {s.name: s for s in found}
    await asyncio.gather(
        *(one(s, s.violates, _target(s)) for s in chosen(found)),
        *(one(named[n], ids, _target(named[n], document)) for n, ids in DOCUMENTED.items()),
    )
    await bound()


def _reference(model: Subject, base_url: str) -> Subject:
    """The reference itself, with the keys and the client that the mutants have."""
    token_url = base_url.removesuffix("/api/v1") + "/oauth/token"
    return replace(
        model,
        name=REFERENCE,
        base_url=base_url,
        dialect=DIALECT,
        oauth={**(model.oauth or {}), "token_url": token_url},
    )


def _target(subject: Subject, document: Mapping[str, Any] | None = None) -> Target:
    oauth = OAuth(**subject.oauth) if subject.oauth else None
    return Target(subject.base_url, subject.dialect, keys=subject.keys, oauth=oauth, document=document)


async def _run(target: Target, ids: Sequence[str], *, until_caught: bool = False) -> Evidence:
    dialect = load_dialect(target.dialect)
    planned = plan(selected_checks(ids).values(), dialect, target)

    async def caught(_: Sequence[Exchange], evidence: Callable[[], Evidence]) -> bool:
        return {v.id for v in _flagged(_short(evidence()), ids)} >= set(ids)

    if until_caught:
        return await gather(target, dialect, planned.cheapest_first(ABREAST), enough=caught)
    return await gather(target, dialect, planned)


def _examples(name: str, ids: Sequence[str], evidence: Evidence, good: Evidence) -> dict[str, Any]:
    found = {v.id: _example(name, v, evidence, good) for v in _broken(evidence, ids)}
    return {i: example for i, example in found.items() if example}


def _broken(evidence: Evidence, ids: Sequence[str]) -> list[Verdict]:
    """Where short exchanges show it as well as long ones do, they are the ones that verdicts point at."""
    found = {v.id: v for seen in (evidence, _short(evidence)) for v in _flagged(seen, ids)}
    return [found[i] for i in ids if i in found]


def _short(evidence: Evidence) -> Evidence:
    return replace(evidence, exchanges=tuple(e for e in evidence.exchanges if len(e.raw) <= SHORT))


def _flagged(evidence: Evidence, ids: Sequence[str]) -> list[Verdict]:
    wanted = [requirements()[i] for i in ids]
    verdicts = judge(evidence, load_dialect(evidence.dialect), wanted, selected_checks(ids))
    return [v for v in verdicts if v.result in (Result.FAIL, Result.WARN)]


def _example(name: str, verdict: Verdict, evidence: Evidence, good: Evidence) -> dict[str, Any] | None:
    bad = next((e for e in evidence.exchanges if verdict.evidence and e.id == verdict.evidence[0]), None)
    example: dict[str, Any] = {
        "mutant": name,
        "verdict": str(verdict.result),
        "expected": verdict.expected,
        "seen": verdict.seen.replace(_origin(evidence), "").replace(f"/{name}/api", "/api"),
        "where": verdict.where,
    }
    if bad is None:
        messages = delivered(evidence), delivered(good)
        if PROBE in CHECKS[verdict.id].probes and None not in messages:
            example["bad"], example["good"] = ({"deliveries": told} for told in messages)
        return example if verdict.expected else None
    kept = _alike(bad, good, name)
    example["bad"] = _shown(bad, verdict.where, name)
    if kept is not None:
        example["good"] = _shown(kept, verdict.where, "")
    return example


def _alike(bad: Exchange, good: Evidence, prefix: str) -> Exchange | None:
    """The exchange of ``good`` with the same request, or else with one that was sent to the same end."""
    role = bad.role.removesuffix("!429")
    found = [e for e in good.exchanges if (e.probe, e.role) == (bad.probe, role)]
    wanted = (bad.sent.method, _path(bad, prefix), bad.sent.body)
    same = [e for e in found if (e.sent.method, _path(e, ""), e.sent.body) == wanted]
    return next(iter(same or found), None)


def _path(exchange: Exchange, prefix: str) -> str:
    """Without the prefix by which the host of the mutants tells them apart."""
    path = "/" + exchange.sent.url.split("/", 3)[-1]
    return path.removeprefix(f"/{prefix}") if prefix else path


def _origin(evidence: Evidence) -> str:
    base = str(evidence.target.get("base_url", ""))
    return "/".join(base.split("/")[:3])


def _shown(exchange: Exchange, where: str, prefix: str) -> dict[str, Any]:
    """One exchange, short; the place of the verdict is marked."""
    asked = where.lower().removeprefix("header ") if where.lower().startswith("header ") else ""
    place = place_shown(exchange, where)
    return {
        "request": f"{exchange.sent.method} {_path(exchange, prefix)}",
        "sent_headers": _headers(exchange.sent.headers, asked),
        "sent": _pieces(show(exchange.sent.body, head=SENT)),
        "status": exchange.status,
        "headers": _headers(exchange.headers, asked),
        "header": asked,
        "body": _pieces(show(body_shown(exchange), [place], head=BODY, around=AROUND)),
        "failure": f"{exchange.failure.kind}: {exchange.failure.detail}" if exchange.failure else "",
    }


def _headers(headers: Iterable[tuple[str, str]], asked: str) -> list[list[str]]:
    return [
        [name, value if len(value) <= VALUE else value[:VALUE] + "…"]
        for name, value in headers
        if name.lower() == asked or not (name.lower() in _UNTELLING or name.lower().startswith(_REPEATED))
    ]


def _pieces(shown: Shown) -> list[list[str]]:
    return [[_kind(p), _TOKEN.sub(r"\1…", p.text)] for p in shown.pieces]


def _kind(piece: Piece) -> str:
    if piece.gap:
        return "gap"
    return " ".join(n for n, on in (("mark", piece.marked), ("ctl", piece.control)) if on)


def read(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """The examples that were recorded, by requirement id; none if there is no file."""
    if not file.is_file():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return found


def main(arguments: Sequence[str]) -> int:
    """Record into the file given what it lacks; delete it to record all anew. 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m handbook.examples FILE\n")
        return 2
    file = Path(arguments[0])

    def keep(examples: Mapping[str, Any]) -> None:
        lines = (f"  {json.dumps(i)}: {json.dumps(e, ensure_ascii=False)}" for i, e in examples.items())
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
        sys.stderr.write(f"{len(examples)} of {len(requirements())} requirements have an example\n")

    with (
        local_server("reference_impl.mutants") as origin,
        local_server("reference_impl", "--db", ":memory:", "--jwt-leeway-s", "1", *WEBHOOKS) as reference,
        over_tls() as tls,
    ):
        asyncio.run(record(origin, reference, tls, read(file), keep))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
