"""Text columns that hold every string that JSON has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, types

_NUL, _ESCAPE = "\x00", "\x01"


class PostgresqlText(types.TypeDecorator[str]):
    """PostgreSQL's text cannot hold U+0000, which clients may send; it is kept as U+0001 U+0002.

    U+0001 itself becomes U+0001 U+0001, so that no two strings are kept alike.
    """

    impl = types.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """As the database keeps it."""
        if not isinstance(value, str) or (_NUL not in value and _ESCAPE not in value):
            return value
        return value.replace(_ESCAPE, _ESCAPE * 2).replace(_NUL, _ESCAPE + "\x02")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """As it was."""
        if not isinstance(value, str) or _ESCAPE not in value:
            return value
        parts = value.split(_ESCAPE * 2)
        return _ESCAPE.join(part.replace(_ESCAPE + "\x02", _NUL) for part in parts)


String = types.String().with_variant(PostgresqlText(), "postgresql")
"""A name or another short text."""

Text = types.Text().with_variant(PostgresqlText(), "postgresql")
"""What people wrote."""
