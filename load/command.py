"""The command ``aiconform load``: its options become those of Locust, which does the rest."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

import configargparse

from load.errors import INTERRUPTED, USAGE, LoadError

EPILOG = """\
examples:
  aiconform load http://127.0.0.1:8000/api/v1 --key sk-demo --users 16 --duration 20
  aiconform load http://127.0.0.1:8000/api/v1 --key sk-demo --rate 20/s --poisson --duration 60
  aiconform load calibrate --users 256
  aiconform load compare before/ after/

Exit codes: 0 passed, 1 an objective missed or a MUST requirement broken, 2 bad usage, 3 target unreachable,
4 INVALID (the client was too slow or too late: the times are not the server's), 130 interrupted.
"""
DRAIN = 10
"""Seconds that calls under way have to end when the time is over."""


def main(arguments: list[str]) -> int:
    """Run a subcommand (``calibrate``, ``compare``) or a load test; gives the exit code."""
    try:
        if arguments[:1] == ["compare"]:
            return _compare(arguments[1:])
        if arguments[:1] == ["calibrate"]:
            from load.calibrate import calibrate_command

            return calibrate_command(arguments[1:])
        return run(arguments)
    except LoadError as error:
        sys.stderr.write(f"aiconform: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> configargparse.ArgumentParser:
    """The options of the command."""
    from load.options import add_options

    found = configargparse.ArgumentParser(
        prog="aiconform load",
        epilog=EPILOG,
        description="Put load on an AI API: honest latency from the arrival of bytes, the contract checked on every "
        "answer.\nAlso: aiconform load calibrate, aiconform load compare BEFORE AFTER.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found.add_argument("url", metavar="URL", help="base URL, for instance http://127.0.0.1:8000/api/v1")
    found.add_argument("--users", type=int, default=None, metavar="N", help="closed loop: users (default 8)")
    found.add_argument("--duration", type=float, default=30.0, metavar="S", help="seconds")
    found.add_argument("--spawn-rate", type=float, default=None, metavar="N", help="users started per second")
    found.add_argument("--processes", type=int, default=1, metavar="N", help="load processes on this machine")
    add_options(found)
    return found


def run(arguments: list[str]) -> int:
    """Check the options, then hand over to Locust in this process."""
    from load.options import read_config
    from load.outcome import objectives_of

    options = parser().parse_args(arguments)
    if options.users is not None and options.users < 1:
        raise LoadError(f"--users must be at least 1, not {options.users}")
    if options.processes < 1:
        raise LoadError(f"--processes must be at least 1, not {options.processes}")
    if options.duration <= 0:
        raise LoadError(f"--duration must be above 0, not {options.duration:g}")
    config = read_config(options, options.url, options.duration)
    if config.plan is not None and options.users is not None:
        raise LoadError("--users is for a closed loop, --rate and --shape for an open one: give one of them")
    objectives_of(config)
    users = options.processes if config.plan is not None else options.users or 8
    return _locust(
        [
            "--headless",
            f"--host={config.target.base_url}",
            f"--users={users}",
            f"--stop-timeout={DRAIN}",
            f"--spawn-rate={options.spawn_rate or max(users, 1)}",
            f"--stop-after={min(options.duration, config.caps.seconds)}",
            *(_processes(options.processes) if options.processes > 1 else []),
            *_passed_on(arguments),
        ]
    )


def _processes(number: int) -> list[str]:
    """Locust's own way to several processes, on a port of this run's own: two runs must not share workers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    local = ["--master-host=127.0.0.1", "--master-bind-host=127.0.0.1"]
    return [f"--processes={number}", *local, f"--master-port={port}", f"--master-bind-port={port}"]


def _passed_on(arguments: list[str]) -> list[str]:
    """Our own options as typed, without those that are translated. ``--key`` may hold anything, so no re-quoting."""
    translated = {"--users", "--duration", "--processes", "--spawn-rate", "--stop-after"}
    known = parser()
    options = known.parse_args(arguments)
    found: list[str] = []
    for action in known._actions:
        flag = action.option_strings[-1] if action.option_strings else ""
        if not flag.startswith("--") or flag in translated or action.dest == "help":
            continue
        value = getattr(options, action.dest)
        if value is True:
            found.append(flag)
        elif value is not None and value is not False and value != action.default:
            found.append(f"{flag}={value}")
    return found


def _locust(arguments: list[str]) -> int:
    """Run Locust's own main with our locustfile; its tables stay silent, the report is ours."""
    quiet = ["--skip-log-setup", "--only-summary", "--no-locust-statistics"]
    sys.argv = ["locust", "-f", str(Path(__file__).with_name("locustfile.py")), *quiet, *arguments]
    from locust.main import main as locust_main

    try:
        locust_main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else USAGE
    return 0


def _compare(arguments: list[str]) -> int:
    from load.report.compare import compare, read_run, table

    found = configargparse.ArgumentParser(prog="aiconform load compare", allow_abbrev=False)
    found.add_argument("before", help="load.json of the earlier run, or its directory")
    found.add_argument("after", help="load.json of the later run, or its directory")
    options = found.parse_args(arguments)
    changes = compare(read_run(options.before), read_run(options.after))
    sys.stdout.write(table(changes) + "\n")
    return 1 if any(c.verdict == "worse" for c in changes) else 0
