"""``aiconform init URL``: find out how a target speaks, and write it down in ``aiconform.toml``."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from conformance.cli.stop import stop
from conformance.dialects.model import DialectError, load_dialect
from conformance.discover import MOST_CALLS, Discovered, NotDiscovered, discover, vendor_of
from conformance.target import Target, TargetError
from conformance.target_file import FILE, read_targets


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="Base URL of the API.")],
    name: Annotated[str | None, typer.Option(help="Name of the target (default: from the host).")] = None,
    dialect: Annotated[
        str | None, typer.Option(help="Its wire format, if it is known (default: it is found out).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to call (default: the first that answers).")
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Environment variable with the key (default: the vendor's usual, or AICONFORM_KEY).",
        ),
    ] = None,
    other_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with a second principal's key.")
    ] = None,
    limited_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with a key of small limits.")
    ] = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CA certificates (PEM) to trust.")
    ] = None,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, or to add to.")] = Path(
        FILE
    ),
) -> None:
    """Describe a target in aiconform.toml, with at most ten calls; afterwards `aiconform check` needs no flags.

    Example: aiconform init https://api.example.com/v1 --key-env EXAMPLE_KEY
    """
    try:
        chosen = name or _name(url)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", chosen):
            raise TargetError(f"--name: '{chosen}' is not a name of letters, digits, '-', '_' and '.'")
        if config.exists() and chosen in read_targets(config).targets:
            raise TargetError(
                f"{config} has a target '{chosen}' already: give another --name, or edit the file"
            )
        variable = key_env or _usual_variable(url)
        trusted = str(ca_bundle.absolute()) if ca_bundle else None
        target = Target.create(url, "contract", key=_key(variable), model=model, ca_bundle=trusted)
        if dialect:
            load_dialect(dialect)
        found = asyncio.run(discover(target, dialect))
    except (TargetError, DialectError, ValueError) as error:
        stop(str(error), 2)
    except NotDiscovered as error:
        stop(str(error), 3)
    keys = {"main": variable, "other": other_key_env, "limited": limited_key_env}
    text = entry(chosen, target, dialect or found.dialect, found, {p: v for p, v in keys.items() if v})
    try:
        _add(config, text)
    except OSError as error:
        stop(f"{config} cannot be written: {error.strerror}", 2)
    typer.echo(
        f"{chosen}: {found.dialect}, model {found.model or '(its own)'}, found with {found.calls} of {MOST_CALLS} calls"
    )
    for note in found.notes:
        typer.echo(f"  {note}")
    typer.echo(f"written to {config}; now: aiconform check {chosen}")


def entry(name: str, target: Target, dialect: str, found: Discovered, keys: dict[str, str]) -> str:
    """The table of one target in TOML."""
    quoted = name if "." not in name else _quoted(name)
    lines = [
        f"[targets.{quoted}]",
        f"url = {_quoted(target.base_url)}",
        f"dialect = {_quoted(dialect)}",
    ]
    if target.ca_bundle:
        lines.append(f"ca_bundle = {_quoted(target.ca_bundle)}")
    if found.model:
        lines.append(f"model = {_quoted(found.model)}")
    if keys:
        sources = ", ".join(
            f"{principal} = {{env = {_quoted(variable)}}}" for principal, variable in keys.items()
        )
        lines.append(f"keys = {{{sources}}}")
    if found.capabilities:
        states = ", ".join(f"{_quoted(c)} = {_quoted(s)}" for c, s in found.capabilities.items())
        lines.append(f"capabilities = {{{states}}}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's is one, but for DEL, for the surrogate pairs of its escapes, and for a lone surrogate
    (which a server may send, and UTF-8 cannot hold)."""
    written = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return written.encode("utf-8", "replace").decode("utf-8")


def _add(path: Path, text: str) -> None:
    before = path.read_text("utf-8").rstrip("\n") + "\n\n" if path.exists() else ""
    path.write_text(before + text, "utf-8")


def _name(url: str) -> str:
    host = (urlsplit(url).hostname if "://" in url else None) or "target"
    if host == "localhost" or host.replace(".", "").isdigit() or ":" in host:
        return "local"
    parts = [part for part in host.split(".") if part not in ("api", "www")]
    return parts[0] if parts else host


def _usual_variable(url: str) -> str | None:
    """The variable that holds the key: the vendor's own, else ours, if it is set."""
    vendor = vendor_of(url)
    own = (vendor.variable,) if vendor else ()
    return next((v for v in (*own, "AICONFORM_KEY") if os.environ.get(v)), None)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise TargetError(f"the environment variable {variable} is empty or not set")
    return value
