"""Evidence as a portable folder, so that a run can be judged again later, elsewhere, by a newer suite.

``run.json`` names the format and lists the exchanges; each exchange is ``exchanges/ID.json`` (headers, times,
the length of each chunk) with the bodies beside it, byte for byte, in ``ID.request`` and ``ID.response``; of a
WebSocket, ``ID.frames`` holds the payloads of all frames one after the other.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from conformance.evidence import Chunk, Evidence, Exchange, Failure, Frame, ProbeRecord, Sent
from conformance.wire.redact import redact_evidence
from conformance.wire.shape import EXCHANGE, FAILURE, PROBE, REQUEST, RESPONSE, RUN, checked, integer, seconds

FORMAT = "aiconform-evidence"
VERSION = 1

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class EvidenceError(Exception):
    """Evidence cannot be saved or read; the message is one line that says what to do."""


def save(evidence: Evidence, directory: Path, secrets: Collection[str]) -> None:
    """Write the evidence, redacted, so that the folder is complete or not there.

    An earlier run in ``directory`` is replaced, anything else left alone. Raises :class:`EvidenceError`.
    """
    evidence = redact_evidence(evidence, secrets)
    draft = directory.parent / f".{directory.name}.{uuid.uuid4().hex}"
    try:
        _refuse_foreign(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        _write(evidence, draft)
        if directory.exists():
            previous = directory.parent / f"{draft.name}.old"
            directory.rename(previous)
            draft.rename(directory)
            shutil.rmtree(previous)
        else:
            draft.rename(directory)
    except OSError as error:
        raise EvidenceError(f"evidence cannot be written to {directory}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(directory: Path) -> Evidence:
    """Read evidence that :func:`save` wrote. Raises :class:`EvidenceError`."""
    try:
        run = json.loads((directory / "run.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise EvidenceError(f"{directory} has no run.json: give a folder of saved evidence") from None
    except OSError as error:
        raise EvidenceError(f"{directory}/run.json cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise EvidenceError(f"{directory}/run.json is not JSON: the folder is damaged") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT or not isinstance(run.get("version"), int):
        raise EvidenceError(f"{directory}/run.json was not written by aiconform")
    if run["version"] > VERSION:
        raise EvidenceError(
            f"{directory} has evidence format {run['version']}; this aiconform reads {VERSION}: upgrade it"
        )
    try:
        return _evidence(run, directory / "exchanges")
    except OSError as error:
        where = error.filename or directory
        raise EvidenceError(f"{where} cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise EvidenceError(f"{directory} is damaged: {text[:200]}") from None


def _refuse_foreign(directory: Path) -> None:
    if directory.is_dir() and any(directory.iterdir()):
        try:
            ours = json.loads((directory / "run.json").read_bytes()).get("format") == FORMAT
        except (OSError, ValueError, AttributeError):
            ours = False
        if not ours:
            raise EvidenceError(
                f"{directory} is not empty and holds no saved evidence: choose another folder"
            )
    elif directory.exists() and not directory.is_dir():
        raise EvidenceError(f"{directory} is a file: choose another folder")


def _write(evidence: Evidence, folder: Path) -> None:
    exchanges = folder / "exchanges"
    exchanges.mkdir(parents=True)
    for exchange in evidence.exchanges:
        name = _checked_id(exchange.id)
        (exchanges / f"{name}.json").write_text(_dump(_exchange_json(exchange)), encoding="utf-8")
        (exchanges / f"{name}.request").write_bytes(exchange.sent.body)
        (exchanges / f"{name}.response").write_bytes(exchange.raw)
        if exchange.frames:
            (exchanges / f"{name}.frames").write_bytes(b"".join(f.payload for f in exchange.frames))
    run = {
        "format": FORMAT,
        "version": VERSION,
        "suite_version": evidence.suite_version,
        "contract_version": evidence.contract_version,
        "dialect": evidence.dialect,
        "target": evidence.target,
        "started_at": evidence.started_at,
        "duration": evidence.duration,
        "probes": {
            name: {
                "name": p.name,
                "outcome": p.outcome,
                "reason": p.reason,
                "notes": p.notes,
                "shared": p.shared,
            }
            for name, p in evidence.probes.items()
        },
        "exchanges": [e.id for e in evidence.exchanges],
    }
    (folder / "run.json").write_text(_dump(run), encoding="utf-8")


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, default=_plain) + "\n"


def _plain(value: object) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _checked_id(name: str) -> str:
    """An id becomes a file name: one from elsewhere must not lead out of the folder."""
    if not _ID.fullmatch(name):
        raise EvidenceError(f"{name[:80]!r} cannot be the id of an exchange")
    return name


def _exchange_json(exchange: Exchange) -> dict[str, Any]:
    failure = exchange.failure
    return {
        "id": exchange.id,
        "probe": exchange.probe,
        "role": exchange.role,
        "operation": exchange.operation,
        "principal": exchange.principal,
        "params": exchange.params,
        "started_at": exchange.started_at,
        "request": {
            "method": exchange.sent.method,
            "url": exchange.sent.url,
            "headers": exchange.sent.headers,
        },
        "response": {
            "status": exchange.status,
            "http_version": exchange.http_version,
            "headers": exchange.headers,
            "t_headers": exchange.t_headers,
            "chunks": [[c.t, len(c.data)] for c in exchange.chunks],
            "t_end": exchange.t_end,
            "failure": failure and {"kind": failure.kind, "detail": failure.detail, "t": failure.t},
            "left_at": exchange.left_at,
            "redirects": exchange.redirects,
            "lag": exchange.lag,
        },
        "frames": [[f.t, f.sender, f.opcode, f.fin, len(f.payload)] for f in exchange.frames],
    }


def _evidence(run: dict[str, Any], folder: Path) -> Evidence:
    checked(run, RUN, "run.json")
    return Evidence(
        target=run["target"],
        dialect=run["dialect"],
        started_at=run["started_at"],
        duration=run["duration"],
        probes={
            name: ProbeRecord(**checked({"shared": {}, **p}, PROBE, f"the probe {name}"))
            for name, p in run["probes"].items()
        },
        exchanges=tuple(_exchange(_checked_id(str(name)), folder) for name in run["exchanges"]),
        suite_version=run["suite_version"],
        contract_version=run["contract_version"],
    )


def _exchange(name: str, folder: Path) -> Exchange:
    found = json.loads((folder / f"{name}.json").read_bytes())
    where = f"{name}.json"
    checked(found, EXCHANGE, where)
    request = checked(found.pop("request"), REQUEST, where)
    response = dict(checked(found.pop("response"), RESPONSE, where))
    body = (folder / f"{name}.response").read_bytes()
    sizes = [size for _, size in response["chunks"]]
    if any(size < 0 for size in sizes):
        raise ValueError(f"{name}.json has a chunk of no valid length")
    if sum(sizes) != len(body):
        raise ValueError(f"{name}.response has {len(body)} bytes where {sum(sizes)} were recorded")
    chunks, start = [], 0
    for t, size in response.pop("chunks"):
        chunks.append(Chunk(t, body[start : start + size]))
        start += size
    frames = _frames(found.pop("frames", ()), folder / f"{name}.frames")
    failure = response.pop("failure")
    return Exchange(
        **found,
        sent=Sent(
            request["method"],
            request["url"],
            _pairs(request["headers"]),
            (folder / f"{name}.request").read_bytes(),
        ),
        headers=_pairs(response.pop("headers")),
        chunks=tuple(chunks),
        failure=failure and Failure(**checked(failure, FAILURE, where)),
        redirects=tuple(response.pop("redirects")),
        frames=frames,
        **response,
    )


def _frames(listed: list[list[Any]], path: Path) -> tuple[Frame, ...]:
    if not listed:
        return ()
    payloads = path.read_bytes()
    frames, start = [], 0
    for t, sender, opcode, fin, size in listed:
        if not integer(size) or size < 0 or not seconds(t):
            raise ValueError(f"{path.name} has a frame of no valid length or time")
        frames.append(Frame(t, sender, opcode, payloads[start : start + size], fin))
        start += size
    if start != len(payloads):
        raise ValueError(f"{path.name} has {len(payloads)} bytes where {start} were recorded")
    return tuple(frames)


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in found)
