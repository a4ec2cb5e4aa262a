"""uvicorn's protocol, with the names of request headers as they came: ASGI itself has them in lower case."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RAW_NAMES = "aiconform.raw_names"
"""The key of the ASGI scope under which they are."""


class NamesAsSent(HttpToolsProtocol):
    """Adds them to each scope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._names: list[bytes] = []
        scope: dict[str, Any] = cast(dict[str, Any], self.scope)
        scope[RAW_NAMES] = self._names

    def on_header(self, name: bytes, value: bytes) -> None:
        self._names.append(name)
        super().on_header(name, value)
