"""The yardstick: a bare Starlette app on the same server that sends bytes it was given, and checks nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def app(answer: bytes, stream: bytes) -> Starlette:
    """`POST /classify` answers with `answer`, `POST /chat` streams the blocks of `stream`, one write each."""
    blocks = [block + b"\n\n" for block in stream.split(b"\n\n") if block]

    async def classify(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    async def chat(request: Request) -> Response:
        await request.body()

        async def send() -> AsyncIterator[bytes]:
            for block in blocks:
                yield block

        return StreamingResponse(send(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/api/v1/classify", classify, methods=["POST"]),
            Route("/api/v1/chat", chat, methods=["POST"]),
        ]
    )


async def _serve(folder: Path) -> None:
    config = uvicorn.Config(
        app((folder / "answer").read_bytes(), (folder / "stream").read_bytes()),
        port=int(sys.argv[2]),
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Path(sys.argv[1])))
