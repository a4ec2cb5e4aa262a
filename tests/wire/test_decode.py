"""Content-Encoding undone: what was coded comes back, whatever else comes does no harm."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire.decode import CAP, ContentDecoder, Decoded, decode_content
from conformance.wire.recode import encode_content

CODINGS = ["gzip", "x-gzip", "deflate", "br", "identity", "GZIP", "gzip, br", "br,deflate , gzip", ""]


@given(st.binary(max_size=5000), st.sampled_from(CODINGS))
def test_what_was_coded_comes_back(data: bytes, coding: str) -> None:
    assert decode_content(encode_content(data, coding), coding) == Decoded(data)


@given(st.binary(min_size=1, max_size=2000), st.sampled_from(CODINGS), st.integers(1, 50))
def test_pieces_give_the_same_as_the_whole(data: bytes, coding: str, step: int) -> None:
    raw = encode_content(data, coding)
    decoder = ContentDecoder(coding)
    assert b"".join(p for i in range(0, len(raw), step) for p in decoder.feed(raw[i : i + step])) == data
    decoder.close()
    assert (decoder.size, decoder.truncated, decoder.error) == (len(data), False, None)


@given(
    st.binary(max_size=300),
    st.sampled_from([*CODINGS, "zstd", "gzip," * 9, "br, nosuch"]),
    st.integers(0, 99),
)
@settings(max_examples=500)
def test_no_bytes_make_it_raise(raw: bytes, coding: str, cap: int) -> None:
    assert len(decode_content(raw, coding, cap).data) <= cap


def test_no_coding_gives_the_body_itself() -> None:
    assert decode_content(b"abc", None) == Decoded(b"abc")
    assert decode_content(b"abc", "identity", 2) == Decoded(b"ab", truncated=True)
    assert decode_content(b"", "gzip") == Decoded(b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_an_early_end_keeps_what_was_decoded(coding: str) -> None:
    data = bytes(range(256)) * 40
    found = decode_content(encode_content(data, coding)[:-9], coding)
    assert found.error == f"the {coding} data ends early"
    assert data.startswith(found.data)


@pytest.mark.parametrize(
    ("coding", "raw", "error"),
    [
        ("gzip", b"{}", "not valid gzip"),
        ("br", b"\xff\xff\xff{}", "not valid br data"),
        ("deflate", b"\xff\xff\xff{}", "not valid deflate"),
        ("gzip", gzip.compress(b"a", mtime=0) + b"junk", "4 or more bytes after the end of the gzip data"),
        ("deflate", zlib.compress(b"a") + b"junk", "4 or more bytes after the end of the deflate data"),
        ("br", brotli.compress(b"a" * 99) + b"junk", ""),
        ("zstd", b"{}", "content coding 'zstd' is not known"),
        ("gzip,gzip,gzip,gzip,gzip", b"", "5 content codings on one body"),
    ],
)
def test_wrong_coding_is_named(coding: str, raw: bytes, error: str) -> None:
    found = decode_content(raw, coding)
    assert found.error is not None
    assert found.error.startswith(error)


def test_gzip_members_padding_and_raw_deflate() -> None:
    assert decode_content(gzip.compress(b"a") + gzip.compress(b"b") + bytes(9), "gzip") == Decoded(b"ab")
    engine = zlib.compressobj(wbits=-15)
    raw = engine.compress(b"raw " * 100) + engine.flush()
    assert decode_content(raw, "deflate") == Decoded(b"raw " * 100)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "br, gzip"])
def test_a_bomb_is_cut_in_bounded_memory(coding: str) -> None:
    bomb = encode_content(bytes(64 * 1024 * 1024), coding)
    tracemalloc.start()
    try:
        found = decode_content(bomb, coding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.truncated
    assert found.error is None
    assert len(found.data) == CAP
    assert peak < 3 * CAP


def test_a_bomb_that_decodes_to_nothing_is_cut_too() -> None:
    empty_members = gzip.compress(b"") * 20_000
    found = decode_content(encode_content(empty_members, "gzip"), "gzip, gzip", cap=10_000)
    assert (found.data, found.truncated, found.error) == (b"", True, None)


def test_nothing_is_decoded_after_the_cap_or_an_error() -> None:
    decoder = ContentDecoder("gzip", cap=3)
    assert b"".join(decoder.feed(gzip.compress(b"abcd"))) == b"abc"
    assert list(decoder.feed(b"more")) == []
    assert (decoder.size, decoder.truncated) == (3, True)
