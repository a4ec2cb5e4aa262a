"""Third-party servers: installed into environments of their own, started in a process group, stopped whole."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("AICONFORM_INTEROP_CACHE") or HERE.parents[1] / ".interop").resolve()
"""Where environments, models and logs go: nothing of it belongs to the project."""

START_SECONDS = 120
STOP_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """How a server is started. ``{port}`` and ``{upstream}`` stand for free ports in ``command`` and ``files``;
    ``command[0]`` is a program of its environment. It is ready once a GET of ``ready`` is answered 200."""

    package: str
    command: Sequence[str]
    ready: str = "/health"
    environment: Mapping[str, str] | None = None
    files: Sequence[str] = ()
    prepare: Sequence[str] = ()
    upstream: Server | None = None


class ServerError(Exception):
    """A server cannot be installed or started; the message says which and where its log is."""


@contextmanager
def running(server: Server, name: str) -> Iterator[int]:
    """The port of a server that answers; it is stopped, with all its children, at the end.

    Raises:
        ServerError: it does not answer in time.
    """
    home, folder = environment(server.package), CACHE / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        ports = {"port": str(_free_port())}
        if server.upstream:
            ports["upstream"] = str(stack.enter_context(running(server.upstream, f"{name}-upstream")))
        for file in server.files:
            text = (HERE / file).read_text("utf-8")
            for key, port in ports.items():
                text = text.replace("{" + key + "}", port)
            (folder / Path(file).name).write_text(text, "utf-8")
        if server.prepare:
            _run([str(home / "bin" / "python"), *server.prepare], f"prepare {name}", folder)
        program, *rest = (part.format_map(ports) for part in server.command)
        log = folder / "server.log"
        stack.enter_context(
            _group([str(home / "bin" / program), *rest], folder, server.environment or {}, log)
        )
        _await(f"http://127.0.0.1:{ports['port']}{server.ready}", name, log)
        yield int(ports["port"])


def environment(package: str) -> Path:
    """The virtual environment with the versions of ``requirements/PACKAGE.txt``, made anew if they changed."""
    wanted = HERE / "requirements" / f"{package}.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    home = CACHE / "venvs" / package
    stamp = home / "requirements.sha256"
    if not (stamp.is_file() and stamp.read_text("ascii") == digest):
        _run(
            [sys.executable, "-m", "venv", "--clear", str(home)], f"make an environment for {package}", CACHE
        )
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--requirement", str(wanted)], f"install {package}", CACHE)
        stamp.write_text(digest, "ascii")
    return home


def version(package: str) -> str:
    """The pinned version of the package."""
    lines = (HERE / "requirements" / f"{package}.txt").read_text("utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{package}=="))


@contextmanager
def _group(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait(STOP_SECONDS)


def _await(url: str, name: str, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < ends:
        try:
            with opener.open(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServerError(f"{name} did not answer {url} within {START_SECONDS} s: see {log}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run(command: Sequence[str], what: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ServerError(f"cannot {what}: {' '.join(last)}")
