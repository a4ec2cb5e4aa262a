"""``python -m load.ground_truth --port 0``: prints ``ready URL``, serves until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Callable

from load.ground_truth.schedule import DEFECTS, Schedule
from load.ground_truth.server import serve


def main() -> int:
    options = _options()
    schedule = Schedule(
        first=options.first_ms / 1000,
        gap=options.token_ms / 1000,
        tokens=options.tokens,
        defect=options.defect,
        share=options.share,
        stall=options.stall_ms / 1000,
        limit=options.limit,
        window=options.window,
        capacity=options.capacity,
    )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", options.port))
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {options.port}: {error.strerror}\n")
        return 2
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(schedule, listener))
    return 0


async def _run(schedule: Schedule, listener: socket.socket) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    server = await serve(schedule, listener)
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}/api/v1\n")
    sys.stdout.flush()
    await stopping.wait()
    server.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: a server that is late is a schedule that is not known."""
    try:
        return importlib.import_module("uvloop").new_event_loop  # type: ignore[no-any-return]
    except ImportError:
        return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m load.ground_truth", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-ms", type=float, default=50.0, help="until the first token")
    parser.add_argument("--token-ms", type=float, default=10.0, help="between tokens")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--defect", choices=DEFECTS, default="none")
    parser.add_argument("--share", type=float, default=1.0, help="of the streams that have the defect")
    parser.add_argument("--stall-ms", type=float, default=200.0)
    parser.add_argument("--limit", type=int, default=0, help="requests per window and key; 0: none")
    parser.add_argument("--window", type=float, default=2.0, help="seconds")
    parser.add_argument("--capacity", type=int, default=0, help="requests at once before 503; 0: no bound")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
