"""VER: what is deprecated or retired, and what a later version may change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from conformance.checks.described import Description, path_below
from conformance.checks.refusals import OVERLOADED, brief, decisive, expect_error
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect
from spec.compatibility import breaking_changes, released

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@check("VER-07")
def test_interface_and_model_versions_are_independent(model_versions: Probed) -> str:
    """Two models, each in an older interface version and in the one that is served unasked."""
    older = model_versions.all("older:")
    models = {r.role.split(":", 2)[2] for r in older}
    pairs = [r for r in (*older, *(model_versions[f"pinned:{m}"] for m in models)) if not _is_limited(r)]
    if len(models) < 2 or len(pairs) < 4:
        raise NotTested("needs two interface versions and two pinned models, each answered in both")
    served = {r.header("api-version") for r in pairs if r.role.startswith("pinned:")}
    for reading in pairs:
        *_, model = reading.role.split(":", 2 if reading.role.startswith("older:") else 1)
        expect(reading.ok, expected=f"an answer of {model}", seen=brief(reading), at=reading)
        answered = reading.facts["model_version"].value
        expect(
            answered == model, expected=model, seen=str(answered), at=reading, where="/metadata/model_version"
        )
        asked = reading.exchange.sent_header("api-version")
        version = reading.header("api-version")
        expect(
            version == asked if asked else len(served) == 1,
            expected=f"API-Version: {asked}" if asked else "one API-Version for all that ask for none",
            seen=str(version),
            at=reading,
            where="header API-Version",
        )
    return f"{len(pairs)} pairs"


@check("VER-12")
def test_deprecations_link_to_their_successor(deprecated: Probed) -> str:
    """A successor-version, and links that lead somewhere."""
    answers = [r for r in _deprecated(deprecated) if r.header("deprecation") is not None]
    if not answers:
        raise NotTested("no answer says that something is deprecated (see VER-13 and VER-17)")
    for reading in answers:
        links = reading.header("link") or ""
        expect(
            re.search(r';\s*rel="?[^";,]*\bsuccessor-version\b', links),
            expected='a Link with rel="successor-version"',
            seen=links or "no Link",
            at=reading,
            where="header Link",
        )
    followed = deprecated.all("link:")
    for link in followed:
        expect(
            link.status not in (404, 410),
            expected=f"something at {link.role.removeprefix('link:')}",
            seen=brief(link),
            at=link,
        )
    return f"{len(answers)} deprecations, {len(followed)} links followed"


@check("VER-13")
def test_the_description_and_the_headers_agree_on_deprecation(
    self_description: Probed, deprecated: Probed, exchanges: tuple[Reading, ...], target: Mapping[str, Any]
) -> str:
    """`deprecated: true` of an operation, if and only if its answers carry Deprecation and Sunset."""
    description = Description(_description(self_description))
    old_models = {m["id"] for m in _models(deprecated) if isinstance(m.get("deprecated_at"), str)}
    judged = 0
    for reading in exchanges:
        sent = reading.exchange.sent
        path = path_below(target, sent.url)
        operation = description.operation(sent.method, path) if reading.ok and path is not None else None
        if operation is None:
            continue
        has = reading.header("deprecation") is not None and reading.header("sunset") is not None
        if operation.spec.get("deprecated") is True:
            judged += 1
            expect(
                has,
                expected=f"Deprecation and Sunset: the description calls {operation.name} deprecated",
                seen=f"Deprecation: {reading.header('deprecation')}, Sunset: {reading.header('sunset')}",
                at=reading,
                where="header Deprecation",
            )
        elif has and not _about_a_model(reading, old_models):
            expect(
                False,
                expected=f"deprecated: true of {operation.name} in the description, or no Deprecation",
                seen=f"Deprecation: {reading.header('deprecation')}",
                at=reading,
                where="header Deprecation",
            )
    if not judged:
        raise NotTested("no operation that the description calls deprecated was answered")
    return f"{judged} answers of deprecated operations, and no other"


@check("VER-14")
def test_the_description_breaks_no_client_of_an_earlier_release(self_description: Probed) -> str:
    """The served document against the released ones of its major version."""
    document = _description(self_description)
    at = self_description["public:description"]
    now = _version(document.get("info", {}).get("version"))
    if now is None:
        raise Inconclusive("the description has no version such as 1.2.3")
    earlier = {
        v: d for v, d in released().items() if (known := _version(v)) and known[0] == now[0] and known <= now
    }
    if not earlier:
        raise NotTested(f"no release of {now[0]}.x that is not newer is known to this suite")
    for version, old in earlier.items():
        try:
            changes = breaking_changes(old, document)
        except (KeyError, TypeError, AttributeError) as problem:
            raise Inconclusive(f"the description could not be compared: {problem!r}") from None
        expect(
            not changes,
            expected=f"nothing that breaks a client of {version}",
            seen="; ".join(map(str, changes[:3])),
            at=at,
        )
    return f"compatible with {', '.join(earlier)}"


@check("VER-15")
def test_a_retired_operation_is_gone_and_says_what_follows(retired_operation: Probed) -> str:
    """410 GONE with a successor."""
    reading = retired_operation["retired_operation"]
    expect_error(reading, 410, "GONE")
    return f"410, successor {_successor(reading)}"


@check("VER-16")
def test_a_retired_model_is_refused_with_its_successor(retired_model: Probed) -> str:
    """410 MODEL_RETIRED with a successor."""
    reading = retired_model["retired_model"]
    if reading.status == 404 and retired_model.notes.get("named_by_tester") is False:
        raise NotTested("this target never had the model of the dialect; declare a provocation retired_model")
    expect_error(reading, 410, "MODEL_RETIRED")
    return f"410, successor {_successor(reading)}"


@check("VER-17")
def test_a_deprecated_model_says_so_with_each_answer(deprecated: Probed) -> str:
    """Deprecation and Sunset with the dates of the model list."""
    if deprecated.get("model") is None:
        raise NotOffered("the model list calls no model deprecated")
    reading = decisive(deprecated["model"])
    asked = reading.exchange.params.get("model")
    listed = next(m for m in _models(deprecated) if m.get("id") == asked)
    expect(reading.ok, expected=f"an answer of {asked}", seen=brief(reading), at=reading)
    dates = {
        "Deprecation": (_rfc3339(listed.get("deprecated_at")), _sf_date(reading.header("deprecation"))),
        "Sunset": (_rfc3339(listed.get("sunset_at")), _http_date(reading.header("sunset"))),
    }
    for name, (told, sent) in dates.items():
        expect(
            # A list may tell fractions of a second, which neither header has.
            sent is not None and told is not None and abs(sent - told) < timedelta(seconds=1),
            expected=f"{name}: {told}, as in the model list",
            seen=reading.header(name) or f"no {name}",
            at=reading,
            where=f"header {name}",
        )
    return f"{asked} until {dates['Sunset'][0]}"


def _is_limited(reading: Reading) -> bool:
    return reading.status == 429 or reading.status in OVERLOADED


def _deprecated(deprecated: Probed) -> list[Reading]:
    return [r for role in ("operation", "model") if (r := deprecated.get(role)) is not None and r.ok]


def _models(deprecated: Probed) -> list[dict[str, Any]]:
    body = deprecated["models"].body
    data = body.get("data") if isinstance(body, dict) else None
    return [m for m in data if isinstance(m, dict)] if isinstance(data, list) else []


def _description(self_description: Probed) -> dict[str, Any]:
    document = self_description["public:description"].body
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise Inconclusive("no description is served (see DOC-01)")
    return document


def _about_a_model(reading: Reading, old: set[Any]) -> bool:
    """Whether the answer, or the request, is about a deprecated model."""
    body = reading.body if isinstance(reading.body, dict) else {}
    named = {
        reading.facts["model_version"].value,
        body.get("model_version"),
        body.get("id"),
        reading.exchange.params.get("model"),
    }
    if reading.exchange.is_sse:
        named |= {placed.value for placed in reading.stream.model_versions}
    return bool(named & old)


def _successor(reading: Reading) -> str:
    successor = reading.error.details.get("successor")
    expect(
        isinstance(successor, str) and successor,
        expected="a successor",
        seen=successor,
        at=reading,
        where="/error/details/successor",
    )
    return str(successor)


def _version(text: object) -> tuple[int, ...] | None:
    found = VERSION.match(text) if isinstance(text, str) else None
    return tuple(int(part) for part in found.groups()) if found else None


def _rfc3339(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except ValueError:
        return None


def _sf_date(value: str | None) -> datetime | None:
    found = re.fullmatch(r"@(-?\d{1,11})", (value or "").strip())
    return datetime.fromtimestamp(int(found[1]), UTC) if found else None


def _http_date(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value or "").astimezone(UTC)
    except (ValueError, TypeError):
        return None
