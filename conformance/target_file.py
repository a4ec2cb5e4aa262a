"""``aiconform.toml``: a team's targets, with everything about them but their secrets.

A secret is named by its source, an environment variable or a command. One that is written into the file is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from datetime import time as clock_time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from conformance.addresses import replicas_of
from conformance.budget import Budget, Price
from conformance.dialects.schema import dialect_schema, problem_in
from conformance.target import (
    ClientCertificate,
    Declared,
    Limits,
    OAuth,
    Target,
    TargetError,
    client_certificate,
    oauth_client,
)

FILE = "aiconform.toml"
COMMAND_SECONDS = 30.0
_SOURCES = '{env = "NAME"} or {command = [...]}'
_USER_IN_URL = re.compile(r"//[^/?#]*@")
_CREDENTIAL_HEADER = re.compile(r"(?i)authorization|cookie|secret|token|(^|-)key$|api-?key|password")


@dataclass(frozen=True)
class TargetFile:
    """``targets`` as written, valid against ``targets.schema.json``. Paths in it start from the file's folder."""

    path: Path
    default: str | None
    targets: Mapping[str, Mapping[str, Any]]

    def choose(self, name: str | None) -> str:
        """The name of a target; without one, the default or the only target.

        Raises:
            TargetError: there is none of that name, or several and no default.
        """
        chosen = name or self.default or (next(iter(self.targets)) if len(self.targets) == 1 else None)
        known = ", ".join(self.targets)
        if chosen is None:
            raise TargetError(f"{self.path} has several targets: name one of {known}, or set 'default'")
        if chosen not in self.targets:
            raise TargetError(f"{self.path} has no target '{chosen}': choose {known}")
        return chosen


@cache
def target_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, for editors and for :func:`read_targets`."""
    text = files("conformance").joinpath("targets.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Draft202012Validator:
    dialect = Resource.from_contents(dialect_schema(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:aiconform:dialect:1", dialect)
    return Draft202012Validator(target_schema(), registry=registry)


def read_targets(path: Path) -> TargetFile:
    """Read and validate one file, and its targets.

    Raises:
        TargetError: as :func:`read_document`, or it describes no target.
    """
    document = read_document(path)
    if "targets" not in document:
        raise TargetError(f"{path}: the key 'targets' is missing: write [targets.NAME], or give a URL")
    default = document.get("default")
    found = TargetFile(path, default, document["targets"])
    if default is not None:
        found.choose(default)
    return found


def read_document(path: Path) -> Mapping[str, Any]:
    """The whole file, valid; dates are ISO 8601 text.

    Raises:
        TargetError: unreadable, not TOML, against the schema, or with a secret in it; one line that says where.
    """
    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{path} is not TOML: {' '.join(str(error).split())}") from None
    document: dict[str, Any] = _dates_as_text(read)
    problem = _literal_secret(document) or problem_in(document, _validator())
    if problem:
        raise TargetError(f"{path}: {problem}")
    return document


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dates_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, date | clock_time) else value


def _literal_secret(document: Mapping[str, Any]) -> str | None:
    """Where a secret is written into the file, without the secret itself."""
    targets = document.get("targets")
    for name, target in targets.items() if isinstance(targets, dict) else ():
        if not isinstance(target, dict):
            continue
        for table, what in (("keys", "a key"), ("headers", "a credential")):
            entries = target.get(table)
            for field, value in entries.items() if isinstance(entries, dict) else ():
                if isinstance(value, str) and (table == "keys" or _CREDENTIAL_HEADER.search(field)):
                    place = f"/targets/{name}/{table}/{field}"
                    return f"{place}: {what} does not belong into the file: write {_SOURCES}"
        if "key" in target:
            return f'/targets/{name}/key: write keys = {{main = {{env = "NAME"}}}}; a key does not belong into the file'
        if isinstance(target.get("proxy"), str) and "@" in target["proxy"]:
            return f'/targets/{name}/proxy: a password does not belong into the file: write {{env = "NAME"}}'
        if problem := _literal_secret_of(target.get("oauth")):
            return f"/targets/{name}{problem}"
    return None


def _literal_secret_of(client: Any) -> str | None:
    if client is None:
        return None
    if not isinstance(client, dict):
        return "/oauth: write a table with token_url, client_id and client_secret"
    if not isinstance(client.get("client_secret", {}), dict):
        return f"/oauth/client_secret: a secret does not belong into the file: write {_SOURCES}"
    if _USER_IN_URL.search(str(client.get("token_url"))):
        return "/oauth/token_url: credentials do not belong into the URL: write client_id and client_secret"
    return None


def target_of(file: TargetFile, name: str, dialect: str) -> Target:
    """The target of that name, its secrets fetched.

    Raises:
        TargetError: a secret cannot be had, or the target is described wrongly.
    """
    entry, place = file.targets[name], f"{file.path}: /targets/{name}"
    keys = {p: _secret(source, f"{place}/keys/{p}") for p, source in entry.get("keys", {}).items()}
    headers = {h: _text(value, f"{place}/headers/{h}") for h, value in entry.get("headers", {}).items()}
    budget = entry.get("budget", {})
    timeout = float(entry.get("timeout", Limits.total))
    target = Target.create(
        entry["url"],
        dialect,
        model=entry.get("model"),
        max_calls=budget.get("calls"),
        limits=Limits(headers=min(timeout, Limits.headers), total=timeout),
        verify=not entry.get("insecure", False),
        ca_bundle=_file(file, entry, "ca_bundle"),
        replicas=target_replicas(file, name),
    )
    return replace(
        target,
        name=name,
        keys={principal: key for principal, key in keys.items() if key},
        headers={header: value for header, value in headers.items() if value},
        hidden=tuple(v for h, v in headers.items() if v and isinstance(entry["headers"][h], dict)),
        concurrency=entry.get("concurrency", target.concurrency),
        certificate=_certificate(file, entry),
        oauth=_client(file, name),
        proxy=_text(entry["proxy"], f"{place}/proxy") if "proxy" in entry else None,
        declared=Declared(entry.get("capabilities", {}), entry.get("provocations", {})),
        budget=Budget(None, budget.get("tokens"), budget.get("cost"), budget.get("seconds")),
        price=Price(**entry["price"]) if "price" in entry else None,
    )


def target_replicas(file: TargetFile, name: str) -> tuple[str, ...]:
    """The further replicas of a target.

    Raises:
        TargetError: one is no base URL, or is there twice.
    """
    entry = file.targets[name]
    try:
        return replicas_of(entry["url"], entry.get("replicas", ()))
    except TargetError as problem:
        reason = str(problem).removeprefix("--replica: ")
        raise TargetError(f"{file.path}: /targets/{name}/replicas: {reason}") from None


def dialect_name(file: TargetFile, name: str) -> str:
    """The dialect of a target; a file's name starts from the folder of ``aiconform.toml``."""
    given = str(file.targets[name].get("dialect", "contract"))
    return str(file.path.parent / given) if given.endswith((".yaml", ".yml")) else given


def oauth_of(file: TargetFile, name: str, secret: str) -> OAuth | None:
    """The client at the authorization server that the target has, if it has one, with this secret.

    Raises:
        TargetError: its token URL is none.
    """
    client = file.targets[name].get("oauth")
    if client is None:
        return None
    try:
        described = OAuth(client["token_url"], client["client_id"], secret, client.get("redirect_uri"))
        return oauth_client(None, None, None, over=described)
    except ValueError:
        place = f"{file.path}: /targets/{name}/oauth/token_url"
        raise TargetError(
            f"{place}: '{client['token_url']}' is not an http(s) URL without a fragment"
        ) from None


def _client(file: TargetFile, name: str) -> OAuth | None:
    """That client, its secret fetched; none if the secret is optional and not there."""
    client = file.targets[name].get("oauth")
    if client is None:
        return None
    secret = _secret(client["client_secret"], f"{file.path}: /targets/{name}/oauth/client_secret")
    return oauth_of(file, name, secret) if secret else None


def _certificate(file: TargetFile, entry: Mapping[str, Any]) -> ClientCertificate | None:
    """The client's certificate; its key may be in the same file."""
    certificate = _file(file, entry, "client_certificate")
    return client_certificate(certificate, _file(file, entry, "client_key") or certificate)


def _file(file: TargetFile, entry: Mapping[str, Any], key: str) -> str | None:
    if key not in entry:
        return None
    path = file.path.parent / entry[key]
    if not path.is_file():
        raise TargetError(f"{file.path}: {key}: {path} is not a file")
    return str(path)


def _text(value: Any, place: str) -> str | None:
    return value if isinstance(value, str) else _secret(value, place)


def _secret(source: Mapping[str, Any], place: str) -> str | None:
    """A secret from its source; None if it is optional and not there."""
    found = _from_environment(source["env"]) if "env" in source else _from_command(source["command"], place)
    if not found and not source.get("optional"):
        where = f"the environment variable {source['env']}" if "env" in source else "the command's output"
        raise TargetError(f"{place}: {where} is empty or not set")
    if found and not (found.isascii() and found.isprintable()):
        raise TargetError(f"{place}: its value has characters that cannot stand in a header")
    return found or None


def _from_environment(name: str) -> str:
    return os.environ.get(name, "").strip()


def _from_command(command: list[str], place: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(f"{place}: the command did not end within {COMMAND_SECONDS:g} s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TargetError(f"{place}: the command '{command[0]}' cannot be run: {reason.lower()}") from None
    if done.returncode != 0:
        raise TargetError(f"{place}: the command '{command[0]}' ended with exit code {done.returncode}")
    return done.stdout.strip()
