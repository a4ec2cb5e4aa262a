"""CON: JSON that is broken, of a wrong shape, or at the edge of what the grammar allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from conformance.checks.described import escape
from conformance.checks.refusals import (
    brief,
    complete,
    decisive,
    expect_error,
    expect_refused,
    is_json,
    not_limited,
    unless_down,
)  # fmt: skip
from conformance.evidence import NOT_JSON
from conformance.reading import Probed, Reading, faults_of
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail
from conformance.wire.strict_json import json_fault

BOM = b"\xef\xbb\xbf"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
RFC3339 = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
)
IDENTIFIER = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
ID_FIELDS = frozenset({"id", "turn_id", "request_id", "trace_id", "model_version", "job_id"})


@check("CON-09")
def test_malformed_json_is_refused(json_edges: Probed, baseline: Probed) -> str:
    """A body cut off in the middle is refused with a 4xx that nobody retries."""
    reading = unless_down(json_edges["malformed"], baseline)
    expect_refused(reading, "malformed JSON")
    return f"answered {brief(reading)}"


@check("CON-32")
def test_malformed_json_is_located(json_edges: Probed) -> str:
    """400 INVALID_JSON, and the details say where."""
    reading = json_edges["malformed"]
    expect_error(reading, 400, "INVALID_JSON")
    position: dict[str, int] = {}
    for name, least in (("offset", 0), ("line", 1), ("column", 0)):
        position[name] = value = reading.error.details.get(name, -1)
        expect(
            isinstance(value, int) and not isinstance(value, bool) and value >= least,
            expected=f"an integer >= {least}",
            seen=reading.error.details.get(name),
            at=reading,
            where=f"/error/details/{name}",
        )
    size = len(reading.exchange.sent.body)
    expect(
        position["offset"] <= size,
        expected=f"an offset within the {size} bytes sent",
        seen=position["offset"],
        at=reading,
        where="/error/details/offset",
    )
    return f"located at {position}"


@check("CON-10")
def test_a_body_of_the_wrong_shape_is_refused(json_edges: Probed, baseline: Probed) -> str:
    """An object without any required field, and an array, are refused with a 4xx that nobody retries."""
    for role, what in (("empty_object", "an object without any field"), ("array", "an array for an object")):
        expect_refused(unless_down(json_edges[role], baseline), what)
    return f"answered {brief(json_edges['empty_object'])} and {brief(json_edges['array'])}"


@check("CON-33")
def test_an_invalid_field_is_named_by_its_pointer(contract_edges: Probed) -> str:
    """400 INVALID_REQUEST, whose param is the JSON Pointer of the field: of several, of one, and details list all."""
    readings = not_limited(contract_edges, "invalid:")
    for reading in readings:
        pointer = reading.role.removeprefix("invalid:")
        expect_error(reading, 400, "INVALID_REQUEST")
        param = reading.error.param
        several = (
            faults_of(reading) if sum(r.exchange.id == reading.exchange.id for r in readings) > 1 else ()
        )
        expect(
            param.value == pointer or (pointer in several and param.value in several),
            expected=f"param {pointer}",
            seen=repr(param.value),
            at=reading,
            where=param.where or "/error/param",
        )
    return f"{len(readings)} invalid fields named by pointer"


@check("CON-11")
def test_an_unknown_field_is_refused_by_name(contract_edges: Probed) -> str:
    """400 INVALID_REQUEST, and param or details contain the field's name."""
    reading = contract_edges["unknown_field"]
    expect_error(reading, 400, "INVALID_REQUEST")
    name = _unknown_field_sent(reading)
    expect(
        any("aiconform_" in text for text in _named(reading)),
        expected=f"the unknown field '{name}' named in param or details",
        seen={"param": reading.error.param.value, "details": reading.error.details},
        at=reading,
        where="/error/param",
    )
    return "refused by name"


@check("CON-12")
def test_json_beyond_the_grammar_is_invalid_json(json_edges: Probed, contract_edges: Probed) -> str:
    """Duplicate names, NaN, Infinity and lone surrogates are 400 INVALID_JSON."""
    readings = [
        contract_edges["strict:duplicate"], contract_edges["strict:infinity"], json_edges["nan"],
        json_edges["lone_surrogate"],
    ]  # fmt: skip
    for reading in readings:
        expect_error(reading, 400, "INVALID_JSON")
    return "duplicate names, Infinity, NaN and a lone surrogate are refused"


@check("CON-34")
def test_json_at_the_edge_of_the_grammar_does_not_crash(json_edges: Probed, baseline: Probed) -> str:
    """NaN and a lone surrogate are answered or refused, not 5xx."""
    readings = [
        unless_down(r, baseline) for r in (*json_edges.some("lone_surrogate"), *json_edges.all("nan"))
    ]
    for reading in readings:
        expect((reading.status or 0) < 500, expected="an answer or a 4xx", seen=brief(reading), at=reading)
    return ", ".join(f"{r.role} {r.status}" for r in readings)


@check("CON-18")
def test_json_is_utf8_without_a_bom(exchanges: tuple[Reading, ...]) -> str:
    """Every JSON body is UTF-8, has no byte order mark, and no other charset is declared."""
    readings = _json_bodies(exchanges)
    for reading in readings:
        content = reading.exchange.content
        expect(
            not content.startswith(BOM),
            expected="no byte order mark",
            seen="EF BB BF",
            at=reading,
            where="byte 0",
        )
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            seen = content[error.start : error.start + 8].hex(" ")
            fail(expected="UTF-8", seen=seen, at=reading, where=f"byte {error.start}")
        charset = re.search(r";\s*charset\s*=\s*\"?([^\";\s]+)", reading.header("content-type") or "", re.I)
        expect(
            charset is None or charset[1].lower() in ("utf-8", "utf8"),
            expected="no charset, or utf-8",
            seen=reading.header("content-type"),
            at=reading,
            where="header Content-Type",
        )
    return f"{len(readings)} JSON bodies"


@check("CON-35")
def test_json_is_well_formed(exchanges: tuple[Reading, ...]) -> str:
    """What is labelled JSON parses by RFC 8259, which has no NaN."""
    readings = _json_bodies(exchanges)
    for reading in readings:
        expect(
            reading.exchange.json is not NOT_JSON,
            expected="JSON by RFC 8259",
            seen=f"{json_fault(reading.exchange.content)}: {reading.exchange.content[:120].decode('utf-8', 'replace')}",
            at=reading,
        )
    return f"{len(readings)} JSON bodies"


@check("CON-19")
def test_text_beyond_ascii_survives(json_edges: Probed, contract_edges: Probed, baseline: Probed) -> str:
    """Non-ASCII text comes back as it went in; nothing is replaced or decoded in the wrong charset."""
    answered = decisive(json_edges["non_ascii"])
    echoed = contract_edges.get("unknown_field")
    if echoed is not None and echoed.status == 400:
        name = _unknown_field_sent(echoed)
        named = [t for t in _named(echoed) if "aiconform_" in t]
        expect(
            all(name in t for t in named),
            expected=f"the field's name as it was sent: {name}",
            seen=named,
            at=echoed,
            where="/error/param",
        )
    if not answered.ok and (not baseline["chat"].ok or answered.error.code == "CONTENT_FILTER_TRIGGERED"):
        raise Inconclusive(f"the prompt was answered {brief(answered)}, not because it is beyond ASCII")
    expect(answered.ok, expected="a 2xx answer to a prompt beyond ASCII", seen=brief(answered), at=answered)
    asked = str(answered.exchange.params["prompt"]).removeprefix("Repeat exactly: ")
    text = answered.facts["text"]
    got = str(text.value or "")
    # A model cut off by its output limit may end inside a character; anywhere else it is damage.
    expect(
        REPLACEMENT not in got.rstrip(REPLACEMENT),
        expected="no U+FFFD",
        seen=got,
        at=answered,
        where=text.where,
    )
    for word in asked.split():
        damaged = word.encode().decode("latin-1")
        expect(
            word.isascii() or damaged not in got,
            expected=word,
            seen=f"{damaged} (UTF-8 read as Latin-1)",
            at=answered,
            where=text.where,
        )
    if asked not in got:
        raise Inconclusive("the model did not repeat the text it was asked to repeat")
    return "text beyond ASCII came back as it was sent"


@check("CON-21")
def test_timestamps_and_ids_have_the_contract_form(exchanges: tuple[Reading, ...]) -> str:
    """Fields that end in `_at` are RFC 3339 with an offset or null; ids are short and safe in a URL."""
    times = ids = 0
    for reading in complete(exchanges):
        if not is_json(reading.exchange.media_type) or _is_description(reading):
            continue
        for pointer, name, value in _fields(reading.exchange.json):
            if name.endswith("_at") and value is not None:
                times += 1
                expect(
                    isinstance(value, str) and RFC3339.fullmatch(value),
                    expected="an RFC 3339 timestamp with an offset",
                    seen=value,
                    at=reading,
                    where=pointer,
                )
            elif name in ID_FIELDS and value is not None:
                ids += 1
                expect(
                    isinstance(value, str) and IDENTIFIER.fullmatch(value),
                    expected="a string of at most 128 URL-safe characters",
                    seen=value,
                    at=reading,
                    where=pointer,
                )
    if not times + ids:
        raise NotTested("no answer had a timestamp or an id")
    return f"{times} timestamps, {ids} ids"


def _json_bodies(exchanges: tuple[Reading, ...]) -> list[Reading]:
    found = [r for r in complete(exchanges) if is_json(r.exchange.media_type) and r.exchange.raw]
    if not found:
        raise NotTested("no answer had a JSON body")
    return found


def _unknown_field_sent(reading: Reading) -> str:
    sent = json.loads(reading.exchange.sent.body)
    return str(next(name for name in sent if name.startswith("aiconform_")))


def _named(reading: Reading) -> list[str]:
    """Every text in which an error names fields: param, and the strings and names in its details."""
    return [str(reading.error.param.value), *_texts(dict(reading.error.details))]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [t for k, v in value.items() if k != "message" for t in (str(k), *_texts(v))]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [value] if isinstance(value, str) else []


def _fields(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Every member of every object in a document: JSON Pointer, name, value."""
    waiting = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, dict):
            members = [(f"{pointer}/{escape(name)}", name, member) for name, member in value.items()]
            yield from members
            waiting += [(here, member) for here, _, member in members]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{index}", member) for index, member in enumerate(value)]


def _is_description(reading: Reading) -> bool:
    """An OpenAPI document has schemas where answers have values; a link may lead to it as well."""
    return isinstance(reading.body, dict) and "openapi" in reading.body
