"""Reading a request body, no further than the contract's limit."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from reference_impl.exchange import RequestHeaders
from reference_impl.policies.errors import ContractError


def refuse_oversize(headers: RequestHeaders, limit: int) -> None:
    """Raise PAYLOAD_TOO_LARGE for a declared length over `limit` bytes, before anything is read."""
    declared = headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body; stops reading as soon as it has passed `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> ContractError:
    return ContractError(
        "PAYLOAD_TOO_LARGE",
        f"The body is larger than {limit} bytes; shorten it.",
        details={"max_bytes": limit},
    )
