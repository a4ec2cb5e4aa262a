"""Chunks keep their times, and do not become more objects than memory has room for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from conformance.wire.recording import SEPARATE_CHUNKS, Recording, Stop


def test_a_fast_drip_is_joined_and_a_slow_one_is_not() -> None:
    recording = Recording(10_000_000)
    total = SEPARATE_CHUNKS * 2
    for n in range(total):
        recording.add(n * 0.001, b"a")
    recording.add(total * 0.001 + 5.0, b"b")
    chunks = recording.response(0.0)["chunks"]
    assert SEPARATE_CHUNKS < len(chunks) <= SEPARATE_CHUNKS + 20_000 * 0.001 / 0.1 + 3
    assert b"".join(c.data for c in chunks) == b"a" * total + b"b"
    assert [c.t for c in chunks[:3]] == [0.0, 0.001, 0.002]
    assert (chunks[-1].t, chunks[-1].data) == (total * 0.001 + 5.0, b"b")
    assert all(a.t <= b.t for a, b in pairwise(chunks))


def test_at_the_cap_what_fits_is_kept() -> None:
    recording = Recording(5)
    recording.add(0.1, b"abc")
    with pytest.raises(Stop, match="larger than 5 bytes") as caught:
        recording.add(0.2, b"defg")
    assert caught.value.kind == "too_large"
    assert [c.data for c in recording.response(0.0)["chunks"]] == [b"abc", b"de"]
    with pytest.raises(Stop):
        recording.add(0.3, b"h")
    assert bytes(recording.body) == b"abcde"


def test_a_failure_is_one_short_printable_line() -> None:
    recording = Recording(5)
    recording.fail("protocol", "a\r\nb\x1b[31m" + "x" * 500, 1.0)
    assert recording.failure is not None
    assert recording.failure.detail.startswith("a  b [31mxxx")
    assert len(recording.failure.detail) == 200
