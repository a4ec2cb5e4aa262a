"""Each conversion of the closed set: what it reads, and what it refuses."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.dialects.transforms import CONVERSIONS, SECONDS, Refused, rate_limit_parameter

NOW = 1_795_508_273.0  # 2026-11-24T08:17:53Z
ALL = {**CONVERSIONS, **{f"seconds {k}": v for k, v in SECONDS.items()}}

READ = [
    ("text", "a", "a"),
    ("int", 7, 7),
    ("int", "7", 7),
    ("int", " -12 ", -12),
    ("number", 1.5, 1.5),
    ("number", "0.25", 0.25),
    ("number", 3, 3.0),
    ("boolean", True, True),
    ("boolean", "true", True),
    ("boolean", "False", False),
    ("boolean", "?1", True),
    ("boolean", "?0", False),
    ("last_segment", "models/gemini-2.0-flash", "gemini-2.0-flash"),
    ("last_segment", "plain", "plain"),
    ("seconds number", "20", 20.0),
    ("seconds ms", "5662", 5.662),
    ("seconds ms", 20, 0.02),
    ("seconds go_duration", "6m0s", 360.0),
    ("seconds go_duration", "120ms", 0.12),
    ("seconds go_duration", "7.66s", 7.66),
    ("seconds go_duration", "1h2m3.5s", 3723.5),
    ("seconds go_duration", "1m30s500ms", 90.5),
    ("seconds go_duration", "15µs", 15e-6),
    ("seconds go_duration", "15us", 15e-6),
    ("seconds go_duration", ".5s", 0.5),
    ("seconds go_duration", "0", 0.0),
    ("seconds proto_duration", "45.837906927s", 45.837906927),
    ("seconds proto_duration", "3s", 3.0),
    ("seconds rfc3339_delta", "2026-11-24T08:18:13Z", 20.0),
    ("seconds rfc3339_delta", "2026-11-24T09:17:53.5+01:00", 0.5),
    ("seconds rfc3339_delta", "2026-11-24t08:17:50z", -3.0),
    ("seconds epoch_delta", "1795508300", 27.0),
    ("seconds epoch_delta", 1795508273.5, 0.5),
    ("seconds http_date_delta", "Tue, 24 Nov 2026 08:18:53 GMT", 60.0),
]
REFUSED = [
    ("text", 1),
    ("int", "7.0"),
    ("int", True),
    ("int", 7.5),
    ("int", "seven"),
    ("int", "٣"),
    ("number", "1e5"),
    ("number", float("inf")),
    ("number", float("nan")),
    ("number", 10**400),
    ("number", False),
    ("boolean", "yes"),
    ("boolean", 1),
    ("last_segment", 1),
    ("seconds number", "soon"),
    ("seconds ms", ""),
    ("seconds go_duration", "6"),
    ("seconds go_duration", "m"),
    ("seconds go_duration", "6 m"),
    ("seconds go_duration", "6m0"),
    ("seconds go_duration", ""),
    ("seconds go_duration", 6),
    ("seconds proto_duration", "6m0s"),
    ("seconds proto_duration", 45),
    ("seconds rfc3339_delta", "2026-11-24T08:18:13"),
    ("seconds rfc3339_delta", "2026-13-24T08:18:13Z"),
    ("seconds rfc3339_delta", "2026-11-24"),
    ("seconds epoch_delta", "2026-11-24"),
    ("seconds http_date_delta", "20"),
    ("seconds http_date_delta", "2026-11-24T08:18:13Z"),
    ("seconds http_date_delta", None),
]


@pytest.mark.parametrize(("name", "value", "expected"), READ)
def test_a_conversion_reads(name: str, value: Any, expected: Any) -> None:
    found = ALL[name](value, NOW)
    assert found == pytest.approx(expected)
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_conversion_refuses(name: str, value: Any) -> None:
    with pytest.raises(Refused):
        ALL[name](value, NOW)


@pytest.mark.parametrize("name", ALL)
def test_every_conversion_is_tested_both_ways(name: str) -> None:
    assert name in {n for n, *_ in READ}
    assert name in {n for n, _ in REFUSED}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3),
    max_leaves=5,
)
NEARLY = st.from_regex(r"[0-9.]{0,4}(h|m|s|ms)?[0-9.]{0,3}s?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,10}Z?")


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(sorted(ALL)), JSON | NEARLY)
def test_a_conversion_converts_or_refuses_and_nothing_else(name: str, value: Any) -> None:
    with suppress(Refused):
        ALL[name](value, NOW)


@pytest.mark.parametrize("hours", [0, 1, 26])
@pytest.mark.parametrize("seconds", [0, 1.5, 59])
def test_a_go_duration_says_what_it_was_made_of(hours: int, seconds: float) -> None:
    assert SECONDS["go_duration"](f"{hours}h{seconds}s", 0.0) == pytest.approx(hours * 3600 + seconds)


FIELD = '"requests";r=3;t=2, "tokens";r=1.5;t=2;x'


@pytest.mark.parametrize(
    ("field", "policy", "parameter", "expected"),
    [
        (FIELD, "requests", "r", 3),
        (FIELD, "tokens", "t", 2),
        (FIELD, "tokens", "r", 1.5),
        (FIELD, "tokens", "x", True),
        ("requests;r=3", "requests", "r", 3),  # a Token, as in drafts before 08
        ('"day";r=1, "day";r=9', "day", "r", 1),
    ],
)
def test_a_parameter_of_a_rate_limit_field(field: str, policy: str, parameter: str, expected: Any) -> None:
    assert rate_limit_parameter(field, policy, parameter) == expected


@pytest.mark.parametrize(
    "field", ["", "3", '"requests"', '"other";r=1', '"requests";r=3,,', "(a b);r=1", "é", '"requests;r']
)
def test_a_rate_limit_field_without_the_parameter_is_refused(field: str) -> None:
    with pytest.raises(Refused):
        rate_limit_parameter(field, "requests", "r")


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_any_rate_limit_field_is_read_or_refused(field: str) -> None:
    with suppress(Refused):
        rate_limit_parameter(field, "requests", "r")
