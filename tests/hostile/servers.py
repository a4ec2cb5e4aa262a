"""Servers that misbehave on a real socket. ``python tests/hostile/servers.py NAME PORT`` runs one.

``all 0`` runs every one on a port of its own; either prints one JSON line of ports by name. ``list`` prints
the names.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

import ageing_servers
import breaking_servers
import framing_servers
import large_servers
import odd_servers
import redirecting_servers
import slow_servers
from hostile_kit import SERVERS

KINDS = (
    slow_servers,
    large_servers,
    breaking_servers,
    redirecting_servers,
    framing_servers,
    odd_servers,
    ageing_servers,
)
"""Each registers its servers when it is imported."""


async def start(name: str, port: int = 0) -> asyncio.Server:
    """Listen on 127.0.0.1; port 0 takes a free one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await SERVERS[name].handler(reader, writer)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


async def main(name: str, port: int) -> None:
    servers = {n: await start(n, port) for n in (SERVERS if name == "all" else [name])}
    ports = {n: s.sockets[0].getsockname()[1] for n, s in servers.items()}
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] == "list":
        print("\n".join(SERVERS))
    elif len(sys.argv) == 3 and (sys.argv[1] in SERVERS or sys.argv[1] == "all") and sys.argv[2].isdigit():
        with suppress(KeyboardInterrupt):
            asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    else:
        print(f"usage: {Path(sys.argv[0]).name} NAME|all PORT, or list", file=sys.stderr)
        sys.exit(2)
