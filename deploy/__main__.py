"""``python -m deploy``: replicas behind a balancer until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from deploy.processes import DeployError
from deploy.stack import running


def main() -> int:
    """Run until SIGINT or SIGTERM; 0 after a clean end, 2 if something could not be started."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy",
        description="The reference on PostgreSQL and Redis: replicas behind HAProxy, on this machine.",
        epilog="Options after -- go to every replica.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8000, help="the balancer's port; 0 takes a free one")
    parser.add_argument("--replicas", type=int, default=2, choices=range(1, 17), metavar="N", help="how many")
    parser.add_argument("--home", type=Path, default=Path(".deploy"), help="where data and logs are kept")
    parser.add_argument("options", nargs="*", help="for the replicas")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with running(
            given.home.absolute(), replicas=given.replicas, port=given.port, options=given.options
        ) as stack:
            sys.stdout.write(f"ready {stack.url}\n")
            sys.stdout.flush()
            while not stop.wait(1.0):
                if not stack.balancer.process.alive:
                    sys.stderr.write(f"the balancer has ended: {stack.balancer.process.last_words()}\n")
                    return 2
    except DeployError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
