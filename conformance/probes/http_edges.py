"""The edges of HTTP and JSON: what an API does with requests that a correct client would not send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from conformance.probes.combining import ORIGIN, from_a_page, with_longest_key
from conformance.probes.shaping import body_of, odd_case, path_of
from conformance.probes.shared import non_ascii
from conformance.reading import Reading, faults_of
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

UNKNOWN_PATH = "/aiconform-no-such-path"
UNKNOWN_FIELD = "aiconform_日本_é_🙂"
LARGEST_UPLOAD = 16 * 1024 * 1024
"""Bytes. A larger documented maximum is not tried unasked."""

_MARK = "aiconform-mark"
_NUMBER = 0.125
_SHORT: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 16}


@probe(calls=8, tokens=80, vendor_calls=9)
async def http_edges(session: Session) -> None:
    """A usual request with an Origin; then wrong path, method, media type, Accept, header case; HEAD."""
    free, params = "chat", _SHORT
    listed = "models" in session.dialect.operations
    carried = await from_a_page(session)
    if carried is not None:
        session.also(carried, "usual")
        free, params = "models", {}
    elif listed and (await session.call("models", "usual", headers={"Origin": ORIGIN})).ok:
        free, params = "models", {}
    else:
        await session.call("chat", "usual", headers={"Origin": ORIGIN}, **_SHORT)
    calls: list[Awaitable[Reading]] = [
        session.raw("GET", UNKNOWN_PATH, "unknown_path"),
        session.raw("DELETE", path_of(session, "chat"), "wrong_method"),
        session.call(
            "chat", "plain_text", headers={"Content-Type": "text/plain"}, body=b"This is not JSON.", **_SHORT
        ),
        session.call(free, "accept_xml", headers={"Accept": "application/xml"}, **params),
        session.raw("OPTIONS", path_of(session, "chat"), "options"),
    ]
    if session.dialect.name != "contract":  # where contract_edges sends a POST so
        calls.append(session.call(free, "odd_case", headers=odd_case(session, free, **params), **params))
    if free == "models":
        calls.append(session.raw("HEAD", path_of(session, "models"), "head"))
    await asyncio.gather(*calls)


@probe(calls=4, tokens=150, shares=("chat:non_ascii", "chat:empty_object"))
async def json_edges(session: Session) -> None:
    """Bodies that are broken JSON, JSON of a wrong shape, and JSON at the edge of what the grammar allows."""
    calls: list[Awaitable[Reading]] = [
        session.call("chat", "malformed", body=b'{"messages": [{"role": "user", "content": "Hi"', **_SHORT),
        session.shared("chat", "empty_object", body=b"{}", **_SHORT),
        session.call("chat", "array", body=b"[]", **_SHORT),
        non_ascii(session, "non_ascii"),
    ]
    surrogate = body_of(session, "chat", prompt=_MARK, max_output_tokens=16).replace(
        _MARK.encode(), rb"Say yes. \ud800"
    )
    calls.append(session.call("chat", "lone_surrogate", body=surrogate, **_SHORT))
    number = body_of(session, "chat", temperature=_NUMBER, **_SHORT)
    if str(_NUMBER).encode() in number:
        calls.append(
            session.call("chat", "nan", body=number.replace(str(_NUMBER).encode(), b"NaN"), **_SHORT)
        )
    await asyncio.gather(*calls)


@probe(
    calls=10,
    operations=("chat", "classify", "capabilities"),
    tokens=40,
    shares=("chat:empty_object", "capabilities"),
)
async def contract_edges(session: Session) -> None:
    """What only the contract says: which field is wrong, what strict JSON is, how large a body may be."""
    if session.dialect.name != "contract":
        raise ProbeSkipped("only the contract's own format has this")
    hello = [{"role": "user", "content": "Say yes."}]
    valid = {"messages": hello, "max_output_tokens": 8}
    wrong: dict[str, dict[str, Any]] = {
        "invalid:/messages/0/role": {"messages": [{"role": "robot", "content": "Hi"}]},
        "invalid:/temperature": {"temperature": 3},
        "invalid:/max_output_tokens": {"max_output_tokens": "eight"},
        "unknown_field": {UNKNOWN_FIELD: 1},
    }
    bodies: dict[str, bytes] = {
        "strict:duplicate": b'{"messages": [{"role": "user", "content": "Say yes."}], "seed": 1, "seed": 2}',
        "strict:infinity": _json(valid)[:-1] + b', "temperature": Infinity}',
    }
    everything = {name: value for fields in wrong.values() for name, value in fields.items()}
    refused = await session.combined("chat", body=_json({**valid, **everything}), **_SHORT)
    found = faults_of(refused)
    for role, fields in wrong.items():
        pointer = f"/{UNKNOWN_FIELD}" if role == "unknown_field" else role.removeprefix("invalid:")
        if pointer in found:
            session.also(refused, role)
        else:
            bodies[role] = _json({**valid, **fields})
    await asyncio.gather(
        session.shared("chat", "invalid:/messages", body=b"{}", **_SHORT),
        *(session.call("chat", role, body=body, **_SHORT) for role, body in bodies.items()),
    )
    carried = await with_longest_key(session)
    if carried is not None:
        session.also(carried, "odd_case")
    else:
        keyed: dict[str, Any] = {**_SHORT, "idempotency_key": "aiconform-odd-case"}
        await session.call("chat", "odd_case", headers=odd_case(session, "chat", **keyed), **keyed)
    await session.raw("GET", UNKNOWN_PATH, "unknown_path", principal="none")
    await _oversized(session)


async def _oversized(session: Session) -> None:
    """One byte more than the documented maximum, in an otherwise valid body."""
    capabilities = await session.capabilities()
    limits = capabilities.body.get("limits") if isinstance(capabilities.body, dict) else None
    largest = limits.get("max_body_bytes") if isinstance(limits, dict) else None
    if not isinstance(largest, int) or largest > LARGEST_UPLOAD:
        return
    empty = _json({"messages": [{"role": "user", "content": ""}]})
    padding = b"x" * (largest + 1 - len(empty))
    await session.call("chat", "oversized", body=empty.replace(b'""', b'"' + padding + b'"'), **_SHORT)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
