"""VER: the version of the interface, the version of the model, and how either is retired."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from conformance.checks.refusals import brief, complete, decisive, expect_error, not_limited
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect

SF_DATE = re.compile(r"@-?\d{1,15}")
NOTICE_DAYS = 365


@check("VER-01")
def test_an_unknown_version_in_the_path_is_not_found(interface_version: Probed) -> str:
    """A path version that does not exist is 404 NOT_FOUND."""
    expect_error(interface_version["unknown_path_version"], 404, "NOT_FOUND")
    return "404 NOT_FOUND"


@check("VER-02")
def test_every_response_names_the_interface_version(exchanges: tuple[Reading, ...]) -> str:
    """API-Version is on every response and is a version that exists."""
    answered = complete(exchanges)
    if not answered:
        raise NotTested("no call was answered")
    for reading in answered:
        value = reading.header("api-version")
        expect(
            value and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value),
            expected="API-Version: YYYY-MM-DD",
            seen=value or "no API-Version",
            at=reading,
            where="header API-Version",
        )
    return f"{len(answered)} responses"


@check("VER-03")
def test_a_supported_version_is_honoured_and_echoed(interface_version: Probed) -> str:
    """The requested API-Version comes back on a 2xx answer."""
    reading = decisive(interface_version["supported"])
    expect(reading.ok, expected="a 2xx answer", seen=brief(reading), at=reading)
    asked, got = reading.exchange.sent_header("api-version"), reading.header("api-version")
    expect(
        got == asked,
        expected=f"API-Version: {asked}",
        seen=got or "no API-Version",
        at=reading,
        where="header API-Version",
    )
    return f"{asked} echoed"


@check("VER-04")
def test_an_unsupported_version_is_refused_with_the_supported_ones(interface_version: Probed) -> str:
    """400 UNSUPPORTED_API_VERSION with details.supported, a list of versions without the refused one."""
    reading = interface_version["unsupported"]
    expect_error(reading, 400, "UNSUPPORTED_API_VERSION")
    supported = reading.error.details.get("supported")
    expect(
        isinstance(supported, list)
        and supported
        and all(isinstance(v, str) and v != reading.exchange.sent_header("api-version") for v in supported),
        expected="a list of supported versions",
        seen=supported,
        at=reading,
        where="/error/details/supported",
    )
    return f"supported: {supported}"


@check("VER-05")
def test_a_pinned_model_answers_as_itself(model_versions: Probed) -> str:
    """Asked for by its id, a pinned model is the model_version of the answer."""
    readings = not_limited(model_versions, "pinned:")
    for reading in readings:
        asked = reading.role.removeprefix("pinned:")
        expect(reading.ok, expected=f"an answer from {asked}", seen=brief(reading), at=reading)
        version = reading.facts["model_version"]
        expect(
            version.value == asked,
            expected=f"model_version {asked}",
            seen=repr(version.value),
            at=reading,
            where=version.where,
        )
    return ", ".join(r.role.removeprefix("pinned:") for r in readings)


@check("VER-06")
def test_an_alias_answers_as_a_model_that_lists_it(model_versions: Probed) -> str:
    """Asked for by an alias, the model_version is the id of a model that lists this alias."""
    listed = _models(model_versions["models"])
    readings = not_limited(model_versions, "alias:")
    for reading in readings:
        alias = reading.role.removeprefix("alias:")
        ids = [m.get("id") for m in listed if alias in _aliases(m)]
        expect(reading.ok, expected=f"an answer from {alias}", seen=brief(reading), at=reading)
        version = reading.facts["model_version"]
        expect(
            version.value in ids,
            expected=f"one of {ids}",
            seen=repr(version.value),
            at=reading,
            where=version.where,
        )
    return ", ".join(r.role.removeprefix("alias:") for r in readings)


@check("VER-08")
def test_deprecation_is_a_structured_date(exchanges: tuple[Reading, ...]) -> str:
    """Deprecation is an RFC 9651 Date, `@` and seconds."""
    found = _with_header(exchanges, "deprecation")
    for reading in found:
        value = reading.header("deprecation") or ""
        expect(
            SF_DATE.fullmatch(value.strip()),
            expected="Deprecation: @<unix seconds>",
            seen=value,
            at=reading,
            where="header Deprecation",
        )
    return f"{len(found)} responses"


@check("VER-09")
def test_sunset_is_an_http_date(exchanges: tuple[Reading, ...]) -> str:
    """Sunset is an IMF-fixdate in GMT."""
    found = _with_header(exchanges, "sunset")
    for reading in found:
        value = reading.header("sunset") or ""
        expect(
            _imf_fixdate(value) is not None,
            expected="Sunset: an IMF-fixdate such as Sun, 06 Nov 1994 08:49:37 GMT",
            seen=value,
            at=reading,
            where="header Sunset",
        )
    return f"{len(found)} responses"


@check("VER-10")
def test_deprecation_gives_a_year_of_notice(exchanges: tuple[Reading, ...], self_description: Probed) -> str:
    """From deprecated_at to sunset_at, and from Deprecation to Sunset, at least 365 days pass."""
    judged = 0
    for reading in exchanges:
        dates = _header_dates(reading)
        if dates is not None:
            judged += 1
            _expect_notice(*dates, reading, "header Sunset")
    listed = self_description.get("models")
    for index, model in enumerate(_models(listed) if listed is not None else []):
        start, end = (_rfc3339(model.get(name)) for name in ("deprecated_at", "sunset_at"))
        if start is not None and end is not None and listed is not None:
            judged += 1
            _expect_notice(start, end, listed, f"/data/{index}/sunset_at")
    if not judged:
        raise NotOffered("nothing is deprecated")
    return f"{judged} deprecations with a year of notice"


@check("VER-11")
def test_sunset_is_not_before_deprecation(exchanges: tuple[Reading, ...]) -> str:
    """A resource is not gone before it is deprecated."""
    found = [(r, dates) for r in exchanges if (dates := _header_dates(r)) is not None]
    if not found:
        raise NotOffered("no response carries both Deprecation and Sunset")
    for reading, (deprecated, sunset) in found:
        expect(
            sunset >= deprecated,
            expected=f"Sunset at {deprecated:%Y-%m-%d} or later",
            seen=f"{sunset:%Y-%m-%d}",
            at=reading,
            where="header Sunset",
        )
    return f"{len(found)} responses"


def _with_header(exchanges: tuple[Reading, ...], name: str) -> list[Reading]:
    found = [r for r in exchanges if r.header(name) is not None]
    if not found:
        raise NotOffered(f"no response carries {name.title()}")
    return found


def _header_dates(reading: Reading) -> tuple[datetime, datetime] | None:
    deprecation, sunset = reading.header("deprecation"), reading.header("sunset")
    if deprecation is None or sunset is None or not SF_DATE.fullmatch(deprecation.strip()):
        return None
    end = _imf_fixdate(sunset)
    try:
        start = datetime.fromtimestamp(int(deprecation.strip()[1:]), UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return (start, end) if end is not None else None


def _imf_fixdate(value: str) -> datetime | None:
    """The date if ``value`` is exactly an IMF-fixdate (RFC 9110 5.6.7), else None."""
    try:
        parsed = parsedate_to_datetime(value)
        exact = (
            parsed.tzinfo is not None
            and format_datetime(parsed.astimezone(UTC), usegmt=True) == value.strip()
        )
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if exact else None


def _rfc3339(value: object) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed if parsed is not None and parsed.tzinfo is not None else None


def _expect_notice(start: datetime, end: datetime, reading: Reading, where: str) -> None:
    days = (end - start).days
    expect(
        days >= NOTICE_DAYS,
        expected=f">= {NOTICE_DAYS} days of notice",
        seen=f"{days} days",
        at=reading,
        where=where,
    )


def _aliases(model: Mapping[str, Any]) -> list[Any]:
    aliases = model.get("aliases")
    return aliases if isinstance(aliases, list) else []


def _models(listed: Reading) -> list[dict[str, Any]]:
    data = listed.body.get("data") if isinstance(listed.body, dict) else None
    if not isinstance(data, list):
        raise Inconclusive("the model list could not be read")
    return [m for m in data if isinstance(m, dict)]
