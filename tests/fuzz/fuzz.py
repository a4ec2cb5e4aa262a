"""Coverage-guided fuzzing of our parsers with atheris: ``python tests/fuzz/fuzz.py all|NAME [--seconds 60]``.

Each parser in a process of its own, bounded in time, memory and length of input. A finding is printed with its bytes,
and the exit code is 1; it belongs into ``tests/fuzz/test_parsers.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz one parser in this process, or all in child processes. Imports come late: atheris instruments them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="all, or one of tests/fuzz/parsers.py")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(arguments)
    if options.name == "all":
        from parsers import PARSERS

        this = [sys.executable, __file__]
        codes = [
            subprocess.run([*this, n, "--seconds", str(options.seconds)], check=False).returncode
            for n in PARSERS
        ]
        return 1 if any(codes) else 0
    return _fuzz(options.name, options.seconds)


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        sys.stderr.write("atheris is not installed: `make fuzz` installs it\n")
        return 2
    with atheris.instrument_imports(include=["conformance", "http_sf", "parsers"]):
        import parsers

    if name not in parsers.PARSERS:
        sys.stderr.write(f"there is no parser '{name}': {', '.join(parsers.PARSERS)}\n")
        return 2
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(parsers.seeds(name)):
            Path(corpus, str(number)).write_bytes(seed)
        bounds = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-rss_limit_mb=1024",
            "-timeout=10",
            "-verbosity=0",
        ]
        atheris.Setup(
            [
                sys.argv[0],
                *bounds,
                "-print_final_stats=1",
                f"-artifact_prefix={tempfile.gettempdir()}/",
                corpus,
            ],
            parsers.PARSERS[name],
        )
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
