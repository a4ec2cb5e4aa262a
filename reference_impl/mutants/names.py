"""uvicorn's protocol, with what ASGI keeps from an application: the names of request headers as they came (ASGI has
them in lower case), and the connection."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RAW_NAMES = "aiconform.raw_names"
"""The key of the ASGI scope under which they are."""
TRANSPORT = "aiconform.transport"
"""The key of the connection, an :class:`asyncio.Transport`, for what ASGI has no message for."""


class NamesAsSent(HttpToolsProtocol):
    """Adds both to each scope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._names: list[bytes] = []
        scope: dict[str, Any] = cast(dict[str, Any], self.scope)
        scope[RAW_NAMES] = self._names
        scope[TRANSPORT] = self.transport

    def on_header(self, name: bytes, value: bytes) -> None:
        self._names.append(name)
        super().on_header(name, value)
