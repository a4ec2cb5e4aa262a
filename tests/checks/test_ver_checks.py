"""VER checks on recorded bytes."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_ver as ver
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

VERSION = {"API-Version": "2026-11-01"}
SUNSET = "Wed, 01 Dec 2027 00:00:00 GMT"
DEPRECATED = "@1764547200"  # 2025-12-01
LISTED = {"data": [{"id": "atlas-1-2026-06-01", "aliases": ["atlas-1"], "pinned": True}]}


def error(code: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "words", "details": details}}


def probe(role: str, body: Any = None, **more: Any) -> Probed:
    return gathered("interface_version", answer(body or {}, role=role, **more))


def test_ver_01_wants_not_found() -> None:
    ver.test_an_unknown_version_in_the_path_is_not_found(
        probe("unknown_path_version", error("NOT_FOUND"), status=404)
    )
    for more in ({"status": 200}, {"status": 404, "body": {"detail": "Not Found"}}):
        with pytest.raises(Violation):
            ver.test_an_unknown_version_in_the_path_is_not_found(
                gathered("interface_version", answer(**{"body": {}, "role": "unknown_path_version", **more}))
            )


def test_ver_02_wants_the_version_on_errors_too() -> None:
    ver.test_every_response_names_the_interface_version((answer({}, headers=VERSION),))
    for bad in (answer(error("NOT_FOUND"), status=404), answer({}, headers={"API-Version": "1"})):
        with pytest.raises(Violation):
            ver.test_every_response_names_the_interface_version((answer({}, headers=VERSION), bad))
    with pytest.raises(NotTested):
        ver.test_every_response_names_the_interface_version(())


def test_ver_03_wants_the_asked_version() -> None:
    asked: dict[str, Any] = {"sent_headers": VERSION}
    ver.test_a_supported_version_is_honoured_and_echoed(probe("supported", headers=VERSION, **asked))
    for bad in ({"headers": {"API-Version": "2027-01-01"}}, {}, {"headers": VERSION, "status": 400}):
        with pytest.raises(Violation):
            ver.test_a_supported_version_is_honoured_and_echoed(probe("supported", **asked, **bad))


def test_ver_04_wants_the_supported_ones() -> None:
    def refused(supported: Any, **more: Any) -> Probed:
        body = error("UNSUPPORTED_API_VERSION", supported=supported)
        sent = {"API-Version": "1999-01-01"}
        return probe("unsupported", body, **({"status": 400, "sent_headers": sent} | more))

    ver.test_an_unsupported_version_is_refused_with_the_supported_ones(refused(["2026-11-01"]))
    for bad in (
        refused([]),
        refused(["1999-01-01"]),
        refused("2026-11-01"),
        refused(["2026-11-01"], status=200),
    ):
        with pytest.raises(Violation):
            ver.test_an_unsupported_version_is_refused_with_the_supported_ones(bad)


def from_model(role: str, version: str | None) -> Probed:
    metadata = {} if version is None else {"model_version": version}
    return gathered(
        "model_versions", answer(LISTED, role="models"), answer({"metadata": metadata}, role=role)
    )


def test_ver_05_wants_the_model_asked_for() -> None:
    ver.test_a_pinned_model_answers_as_itself(from_model("pinned:atlas-1-2026-06-01", "atlas-1-2026-06-01"))
    for version in ("atlas-1-2026-06-01-fp8", "atlas-1", None):
        with pytest.raises(Violation):
            ver.test_a_pinned_model_answers_as_itself(from_model("pinned:atlas-1-2026-06-01", version))


def test_ver_06_wants_a_model_that_lists_the_alias() -> None:
    ver.test_an_alias_answers_as_a_model_that_lists_it(from_model("alias:atlas-1", "atlas-1-2026-06-01"))
    for version in ("atlas-1", "atlas-mini-2026-03-01", None):
        with pytest.raises(Violation):
            ver.test_an_alias_answers_as_a_model_that_lists_it(from_model("alias:atlas-1", version))


def deprecated(deprecation: str | None = DEPRECATED, sunset: str | None = SUNSET) -> Reading:
    headers = {"Deprecation": deprecation, "Sunset": sunset}
    return answer({}, headers={k: v for k, v in headers.items() if v is not None})


def test_ver_08_wants_a_structured_date() -> None:
    ver.test_deprecation_is_a_structured_date((answer({}), deprecated()))
    for bad in ("true", "1764547200", SUNSET, "@1764547200.5"):
        with pytest.raises(Violation):
            ver.test_deprecation_is_a_structured_date((deprecated(bad),))
    with pytest.raises(NotOffered):
        ver.test_deprecation_is_a_structured_date((answer({}),))


def test_ver_09_wants_an_imf_fixdate() -> None:
    ver.test_sunset_is_an_http_date((deprecated(),))
    for bad in (
        "Wed, 01 Dec 2027 00:00:00 UTC",
        "Thu, 01 Dec 2027 00:00:00 GMT",
        "2027-12-01T00:00:00Z",
        "Wednesday, 01-Dec-27 00:00:00 GMT",
        "Wed, 1 Dec 2027 00:00:00 GMT",
        "soon",
        "",
    ):
        with pytest.raises(Violation):
            ver.test_sunset_is_an_http_date((deprecated(sunset=bad),))


def models(**model: Any) -> Probed:
    return gathered("self_description", answer({"data": [model]}, role="models"))


def test_ver_10_wants_a_year_in_headers_and_models() -> None:
    nothing = models(id="a", deprecated_at=None, sunset_at=None)
    ver.test_deprecation_gives_a_year_of_notice((deprecated(),), nothing)
    year = models(deprecated_at="2026-01-01T00:00:00Z", sunset_at="2027-01-01T00:00:00Z")
    ver.test_deprecation_gives_a_year_of_notice((), year)
    with pytest.raises(Violation):
        ver.test_deprecation_gives_a_year_of_notice(
            (deprecated(sunset="Sat, 31 Jan 2026 00:00:00 GMT"),), nothing
        )
    short = models(deprecated_at="2026-01-01T00:00:00Z", sunset_at="2026-04-01T00:00:00Z")
    with pytest.raises(Violation, match="90 days"):
        ver.test_deprecation_gives_a_year_of_notice((), short)
    with pytest.raises(NotOffered):
        ver.test_deprecation_gives_a_year_of_notice((answer({}),), nothing)


def test_ver_11_wants_sunset_after_deprecation() -> None:
    ver.test_sunset_is_not_before_deprecation((deprecated(),))
    with pytest.raises(Violation):
        ver.test_sunset_is_not_before_deprecation((deprecated(sunset="Sat, 01 Nov 2025 00:00:00 GMT"),))
    with pytest.raises(NotOffered):
        ver.test_sunset_is_not_before_deprecation((deprecated("true"), deprecated(sunset=None)))


def test_a_model_list_that_cannot_be_read_decides_nothing() -> None:
    broken = gathered("model_versions", answer([], role="models"), answer({}, role="alias:atlas-1"))
    with pytest.raises(Inconclusive):
        ver.test_an_alias_answers_as_a_model_that_lists_it(broken)
