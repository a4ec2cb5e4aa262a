"""What is fuzzed: each of our parsers of foreign bytes, as a function that raises only if the parser is wrong.

Hypothesis calls these in the tests, and atheris (guided by coverage) in `make fuzz`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from conformance.checks.limit_fields import FieldError, levels, policies
from conformance.dialects.load import read_dialect
from conformance.dialects.model import DialectError, load_dialect
from conformance.evidence import Chunk, Evidence, Exchange, Sent
from conformance.reading import Reading
from conformance.wire.sse import SseParser, parse_sse
from conformance.wire.store import EvidenceError, load, save

FILES = ("run.json", "exchanges/x1.json", "exchanges/x1.request", "exchanges/x1.response")


def sse(data: bytes) -> None:
    """Any cut into chunks gives the events of the whole; nothing raises."""
    whole = parse_sse([(0.0, data)])
    step = data[0] % 7 + 1 if data else 1
    parser = SseParser()
    events = [e for at in range(0, len(data), step) for e in parser.feed(data[at : at + step], 0.0)]
    events += parser.close(0.0)
    if [(e.event, e.data, e.id) for e in events] != [(e.event, e.data, e.id) for e in whole.events]:
        raise AssertionError("other chunks, other events")


def limit_fields(data: bytes) -> None:
    """A structured field is read, or refused with FieldError."""
    value = data.decode("latin-1")
    exchange = Exchange(
        "x1", "probe", "role", "chat", "main", {}, Sent("GET", "http://127.0.0.1/", (), b""), 0.0, status=200,
        headers=(("RateLimit", value), ("RateLimit-Policy", value)),
    )  # fmt: skip
    for parse in (levels, policies):
        with suppress(FieldError):
            parse(Reading(exchange, load_dialect("contract")))


def evidence(data: bytes) -> None:
    """A folder of which one file holds anything is read, or refused with EvidenceError."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        for name, content in _saved().items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        name = FILES[data[0] % len(FILES)] if data else FILES[0]
        Path(folder, name).write_bytes(data[1:])
        with suppress(EvidenceError):
            load(Path(folder))


def dialect(data: bytes) -> None:
    """A dialect file is read, or refused with DialectError."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder, "a.yaml")
        path.write_bytes(data)
        with suppress(DialectError):
            read_dialect(path)


PARSERS: dict[str, Callable[[bytes], None]] = {
    "sse": sse,
    "limit_fields": limit_fields,
    "evidence": evidence,
    "dialect": dialect,
}


def seeds(name: str) -> list[bytes]:
    """Sound inputs, from which a fuzzer gets further than from nothing."""
    if name == "sse":
        return [
            b'\xef\xbb\xbfid: 1\nevent: token\ndata: {"a": 1}\ndata: 2\r\n\r\n: c\n\ndata: [DONE]\n\nretry: 9\r\rx'
        ]
    if name == "limit_fields":
        return [
            b'"requests";r=5;t=4, "tokens";r=400',
            b'"a";q=5;w=60;qu="tokens", (1 2);x=?1, :YQ==:, @1, 1.5',
        ]
    if name == "evidence":
        return [bytes([n]) + _saved()[file] for n, file in enumerate(FILES)]
    return [b"extends: openai-chat\ndialect: a\nstream: {terminal: {data: x}}\nerror: {classify: []}\n"]


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@cache
def _saved() -> dict[str, bytes]:
    exchange = Exchange(
        "x1", "baseline", "chat", "chat", "main", {"prompt": "Hi"},
        Sent("POST", "http://127.0.0.1/chat", (("Accept", "*/*"),), b"{}"), 1.0, status=200, http_version="HTTP/1.1",
        headers=(("Content-Type", "application/json"),), chunks=(Chunk(0.1, b"{}"),), t_headers=0.1, t_end=0.2,
    )  # fmt: skip
    whole = Evidence({}, "contract", 1.0, 1.0, {}, (exchange,), "0", "1.0.0")
    with tempfile.TemporaryDirectory() as folder:
        save(whole, Path(folder, "run"), ())
        return {name: Path(folder, "run", name).read_bytes() for name in FILES}
