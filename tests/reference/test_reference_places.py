"""Where state is kept: what is no place for it is said in one line, before anything is served."""

from __future__ import annotations

import asyncio

import pytest

from reference_impl.store.backends import StoreUnavailableError
from reference_impl.store.database import Database


async def refused(place: str) -> str:
    with pytest.raises(StoreUnavailableError) as problem:
        await Database(place).open()
    return str(problem.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "PostgreSQL at 127.0.0.1:1 cannot be used"),
        ("mysql://u:secret@127.0.0.1/x", "mysql: is not supported"),
        ("postgresql://u:secret@127.0.0.1", "names no database"),
        ("postgresql://u:secret@127.0.0.1/x?pool=9", "parameter pool"),
        ("postgresql://u:secret@127.0.0.1:port/x", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained_in_one_line(place: str, told: str) -> None:
    text = asyncio.run(refused(place))
    assert told in text
    assert "secret" not in text
    assert "\n" not in text
