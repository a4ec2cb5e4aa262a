"""``python -m reference_impl.mutants``: serve all mutants and variants by path prefix, or one for a look.

``--index FILE`` writes which requirements each mutant violates (``spec/mutants.json``), and serves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from reference_impl.http.protocol import DenyingSockets
from reference_impl.http.sockets import SOCKET_FRAME_LIMIT
from reference_impl.mutants import SUBJECTS
from reference_impl.mutants.host import Host, base_path
from reference_impl.mutants.names import NamesAsSent
from reference_impl.serve import CannotListenError, configure_logging, listen
from reference_impl.settings import BASE_PATH


class _Announcing(uvicorn.Server):
    """Prints its lines once it accepts connections."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"{self._line}\n")
        sys.stdout.flush()


def index() -> str:
    """What each mutant violates, as JSON with a line for each, so that lines of two branches merge."""
    violated = sorted((s.name, json.dumps(s.violates)) for s in SUBJECTS if s.kind == "mutant")
    return "{\n" + ",\n".join(f"  {json.dumps(name)}: {ids}" for name, ids in violated) + "\n}\n"


def _write(file: Path) -> int:
    try:
        file.write_text(index(), "utf-8")
    except OSError as problem:
        sys.stderr.write(f"cannot write {file}: {problem.strerror}; name a file in a writable directory\n")
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; 2 when the address or the name is wrong."""
    parser = argparse.ArgumentParser(prog="python -m reference_impl.mutants", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--only",
        metavar="NAME",
        help="serve this one; the URLs printed are its base URL and, if it is another API, that of what it changes",
    )
    parser.add_argument("--index", metavar="FILE", type=Path, help="write the index of mutants and end")
    options = parser.parse_args(arguments)
    if options.index:
        return _write(options.index)
    names = [s.name for s in SUBJECTS]
    if options.only and options.only not in names:
        sys.stderr.write(f"there is no mutant or variant '{options.only}': {', '.join(names)}\n")
        return 2
    configure_logging()
    if not options.only:
        # Many of these crash on purpose; who wants to see how serves one.
        logging.disable(logging.CRITICAL)
    try:
        listener = listen(options.host, options.port)
    except CannotListenError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    origin = f"http://{options.host}:{listener.getsockname()[1]}"
    line = _announcement(origin, options.only) if options.only else f"ready {origin}/subjects"
    config = uvicorn.Config(
        Host(SUBJECTS),
        http=NamesAsSent,
        access_log=False,
        log_config=None,
        server_header=False,
        ws=DenyingSockets,
        ws_max_size=SOCKET_FRAME_LIMIT,
        timeout_graceful_shutdown=2,
    )
    server = _Announcing(config, line)
    _collect_less()
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))
    return 0


def _announcement(origin: str, name: str) -> str:
    """`ready URL`; and on a second line where the defect is, if that is not the contract's API."""
    line = f"ready {origin}/{name}{BASE_PATH}"
    (subject,) = (s for s in SUBJECTS if s.name == name)
    if subject.dialect == "contract":
        return line
    return f"{line}\nchanged {origin}/{name}{base_path(subject)} ({subject.dialect})"


def _collect_less() -> None:
    """A pause of the collector is a pause of every server here, which timed checks would see."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


if __name__ == "__main__":
    sys.exit(main())
