"""Our parsers on anything, and on sound inputs with a few bytes changed; findings of `make fuzz` as examples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsers import PARSERS, seeds


def nearly_sound(name: str) -> st.SearchStrategy[bytes]:
    """A seed with one piece replaced."""

    def replaced(drawn: tuple[bytes, int, int, bytes]) -> bytes:
        seed, start, length, piece = drawn
        at = start % (len(seed) + 1)
        return seed[:at] + piece + seed[at + length :]

    parts = st.tuples(
        st.sampled_from(seeds(name)), st.integers(0, 5000), st.integers(0, 20), st.binary(max_size=20)
    )
    return parts.map(replaced)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_refuses(name: str) -> None:
    @settings(deadline=None, max_examples=60)
    @given(st.binary(max_size=200) | nearly_sound(name))
    def read(data: bytes) -> None:
        PARSERS[name](data)

    read()


@pytest.mark.parametrize("name", PARSERS)
def test_seeds_are_read(name: str) -> None:
    for seed in seeds(name):
        PARSERS[name](seed)
