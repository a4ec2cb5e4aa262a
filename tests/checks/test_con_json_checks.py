"""CON checks of JSON, on recorded bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_con_json as con
from conformance.probes.http_edges import UNKNOWN_FIELD
from conformance.probes.shared import ECHO
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

UP = gathered("baseline", answer({"text": "Red."}, role="chat"))
NOTHING = gathered("contract_edges", outcome="skipped", reason="only the contract's own format has this")


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "words", "details": {}, "param": None, **more}}


def refused(role: str, body: Any = None, **more: Any) -> Reading:
    return answer(body or {"error": {"message": "no"}}, **({"status": 400, "role": role} | more))


def edges(*readings: Reading) -> Probed:
    return gathered("json_edges", *readings)


@pytest.mark.parametrize("status", [400, 422])
def test_con_09_and_10_accept_both_customs(status: int) -> None:
    con.test_malformed_json_is_refused(edges(refused("malformed", status=status, speaks="openai-chat")), UP)
    con.test_a_body_of_the_wrong_shape_is_refused(
        edges(refused("empty_object", status=status), refused("array", status=status)), UP
    )


@pytest.mark.parametrize("status", [200, 409, 500])
def test_con_09_and_10_catch_success_retry_and_crash(status: int) -> None:
    with pytest.raises(Violation):
        con.test_malformed_json_is_refused(edges(refused("malformed", status=status)), UP)
    with pytest.raises(Violation):
        con.test_a_body_of_the_wrong_shape_is_refused(
            edges(refused("empty_object"), refused("array", status=status)), UP
        )


def located(**details: Any) -> Probed:
    body = error("INVALID_JSON", details=details)
    return edges(refused("malformed", body, sent_body=b'{"messages": ['))


def test_con_32_wants_a_position_within_the_body() -> None:
    con.test_malformed_json_is_located(located(offset=14, line=1, column=15))
    for bad in (located(), located(offset=99, line=1, column=1), located(offset="14", line=1, column=1)):
        with pytest.raises(Violation):
            con.test_malformed_json_is_located(bad)


def test_con_33_compares_the_pointer() -> None:
    def named(param: Any) -> Probed:
        return gathered(
            "contract_edges", refused("invalid:/temperature", error("INVALID_REQUEST", param=param))
        )

    con.test_an_invalid_field_is_named_by_its_pointer(named("/temperature"))
    for param in (None, "temperature", "/max_output_tokens"):
        with pytest.raises(Violation):
            con.test_an_invalid_field_is_named_by_its_pointer(named(param))


def test_con_33_takes_one_refusal_for_all_that_it_lists() -> None:
    pointers = ("/temperature", "/max_output_tokens")

    def several(param: str, *listed: str) -> Probed:
        errors = [{"pointer": pointer, "message": "is wrong"} for pointer in listed]
        body = error("INVALID_REQUEST", param=param, details={"errors": errors})
        one = refused("invalid:/temperature", body)
        other = replace(one.exchange, role="invalid:/max_output_tokens")
        return gathered("contract_edges", one, replace(one, exchange=other))

    con.test_an_invalid_field_is_named_by_its_pointer(several("/temperature", *pointers))
    for wrong in (
        several("/temperature", "/temperature"),
        several("temperature", *pointers),
        several("/seed", *pointers),
    ):
        with pytest.raises(Violation):
            con.test_an_invalid_field_is_named_by_its_pointer(wrong)


def unknown_field(status: int = 400, **more: Any) -> Reading:
    sent = json.dumps({"messages": [], UNKNOWN_FIELD: 1})
    return refused("unknown_field", error("INVALID_REQUEST", **more), status=status, sent_body=sent)


def test_con_11_wants_the_name_in_param_or_details() -> None:
    for good in (
        unknown_field(param=f"/{UNKNOWN_FIELD}"),
        unknown_field(param="", details={"errors": [{"pointer": f"/{UNKNOWN_FIELD}", "message": "unknown"}]}),
    ):
        con.test_an_unknown_field_is_refused_by_name(gathered("contract_edges", good))
    # A name that occurs in prose only is not machine-readable.
    prose = unknown_field(details={"errors": [{"pointer": "", "message": f"{UNKNOWN_FIELD} is unknown"}]})
    for bad in (prose, unknown_field(status=200)):
        with pytest.raises(Violation):
            con.test_an_unknown_field_is_refused_by_name(gathered("contract_edges", bad))


def test_con_12_wants_all_four_refused() -> None:
    body = error("INVALID_JSON")
    strict = gathered("contract_edges", refused("strict:duplicate", body), refused("strict:infinity", body))
    con.test_json_beyond_the_grammar_is_invalid_json(
        edges(refused("nan", body), refused("lone_surrogate", body)), strict
    )
    with pytest.raises(Violation):
        con.test_json_beyond_the_grammar_is_invalid_json(
            edges(refused("nan", body), answer({}, role="lone_surrogate")), strict
        )


def test_con_34_only_minds_a_crash() -> None:
    for status in (200, 400):
        con.test_json_at_the_edge_of_the_grammar_does_not_crash(
            edges(refused("lone_surrogate", status=status, speaks="openai-chat")), UP
        )
    with pytest.raises(Violation):
        con.test_json_at_the_edge_of_the_grammar_does_not_crash(
            edges(refused("lone_surrogate", status=500)), UP
        )
    with pytest.raises(NotTested):
        con.test_json_at_the_edge_of_the_grammar_does_not_crash(edges(), UP)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xef\xbb\xbf{}", "application/json"),
        ('{"a": "é"}'.encode("latin-1"), "application/json"),
        (b"{}", "application/json; charset=iso-8859-1"),
        (b"{}", 'application/problem+json; charset="UTF-16"'),
    ],
)
def test_con_18_reads_the_bytes(body: bytes, content_type: str) -> None:
    with pytest.raises(Violation):
        con.test_json_is_utf8_without_a_bom((answer(body, content_type=content_type),))


def test_con_18_accepts_utf8() -> None:
    good = (
        answer({"a": "é日"}),
        answer({}, content_type='application/json; charset="UTF-8"'),
        answer(b"\xef\xbb\xbfhello", content_type="text/plain"),
        answer(b"", role="head", method="HEAD"),
    )
    assert con.test_json_is_utf8_without_a_bom(good) == "2 JSON bodies"
    with pytest.raises(NotTested):
        con.test_json_is_utf8_without_a_bom(good[2:])


def test_con_35_knows_no_nan() -> None:
    con.test_json_is_well_formed((answer({"score": None}),))
    for bad in (b'{"score": NaN}', b'{"a": 1', b"", b"OK"):
        with pytest.raises((Violation, NotTested)) as caught:
            con.test_json_is_well_formed((answer(bad),))
        assert (caught.type is NotTested) == (bad == b"")
        if b"NaN" in bad:
            assert "NaN is not JSON" in str(caught.value)


def repeated(text: str, **more: Any) -> Reading:
    body = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "metadata": {}}
    return answer(body, role="non_ascii", params={"prompt": f"Repeat exactly: {ECHO}"}, **more)


def test_con_19_tells_damage_from_disobedience() -> None:
    usual = gathered("baseline", answer({}, role="chat"))
    echoed = gathered("contract_edges", unknown_field(param=f"/{UNKNOWN_FIELD}"))

    def asked(reading: Reading, contract: Probed = NOTHING, baseline: Probed = usual) -> str:
        return con.test_text_beyond_ascii_survives(edges(reading), contract, baseline)

    asked(repeated(f"Sure: {ECHO}"), echoed)
    asked(repeated(ECHO + " \ufffd\ufffd"))
    with pytest.raises(Inconclusive):
        asked(repeated("I would rather not."), echoed)
    for damaged in (ECHO.replace("本", "\ufffd"), ECHO.encode().decode("latin-1")):
        with pytest.raises(Violation):
            asked(repeated(damaged))
    with pytest.raises(Violation):
        asked(repeated(ECHO), gathered("contract_edges", unknown_field(param="/aiconform_???_?_?")))
    refusal = refused("non_ascii", error("INVALID_REQUEST"))
    with pytest.raises(Violation):
        asked(refusal)
    with pytest.raises(Inconclusive):
        asked(refusal, baseline=gathered("baseline", answer({}, status=400, role="chat")))
    with pytest.raises(Inconclusive):
        asked(refused("non_ascii", error("CONTENT_FILTER_TRIGGERED")))


def test_con_21_looks_into_every_object() -> None:
    good = {
        "id": "chat_1",
        "metadata": {"trace_id": "0" * 32, "idempotency": {"expires_at": "2026-11-25T00:00:00Z"}},
    }
    assert con.test_timestamps_and_ids_have_the_contract_form((answer(good),)) == "1 timestamps, 2 ids"
    for bad in (
        {"data": [{"released_at": 1700000000}]},
        {"data": [{"released_at": "2026-11-25T00:00:00"}]},
        {"data": [{"released_at": "2026-13-25T00:00:00Z"}]},
        {"id": "a/b"},
        {"id": "x" * 129},
        {"id": 7},
    ):
        with pytest.raises(Violation):
            con.test_timestamps_and_ids_have_the_contract_form((answer(bad),))
    with pytest.raises(NotTested):
        con.test_timestamps_and_ids_have_the_contract_form((answer({"data": []}),))
