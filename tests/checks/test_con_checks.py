"""CON checks at the edges of HTTP, on recorded bytes: each passes on good evidence and catches a bad one."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered, no_answer

from conformance.checks import test_con as con
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

HTML = "<!DOCTYPE html><html><body>Not found</body></html>"


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "words", "details": {}, "param": None, **more}}


def edges(role: str, body: Any = None, **more: Any) -> Probed:
    return gathered("http_edges", answer(body, role=role, **more))


UP = gathered("baseline", answer({"text": "Red."}, role="chat"))
NOTHING = gathered("contract_edges", outcome="skipped", reason="only the contract's own format has this")


def test_con_05_accepts_json_and_plain_text_but_no_page() -> None:
    assert "404" in con.test_an_unknown_path_is_not_found_and_no_web_page(
        edges("unknown_path", {"detail": "Not Found"}, status=404, speaks="openai-chat"), UP
    )
    con.test_an_unknown_path_is_not_found_and_no_web_page(
        edges("unknown_path", "404 page not found", status=404, content_type="text/plain"), UP
    )
    for bad in (
        edges("unknown_path", HTML, status=200, content_type="text/html"),
        edges("unknown_path", HTML, status=404, content_type="text/html; charset=utf-8"),
        edges("unknown_path", HTML, status=404, content_type="application/json"),
        edges("unknown_path", {}, status=200),
        edges("unknown_path", {}, status=500),
    ):
        with pytest.raises(Violation):
            con.test_an_unknown_path_is_not_found_and_no_web_page(bad, UP)


def test_con_05_is_undecided_when_a_limit_answered() -> None:
    with pytest.raises(Inconclusive):
        con.test_an_unknown_path_is_not_found_and_no_web_page(edges("unknown_path", {}, status=429), UP)


def test_con_27_demands_the_envelope() -> None:
    keyed = edges("unknown_path", error("NOT_FOUND"), status=404)
    anonymous = gathered("contract_edges", answer(error("UNAUTHENTICATED"), status=401, role="unknown_path"))
    con.test_an_unknown_path_has_the_contract_error(keyed, anonymous)
    with pytest.raises(Violation, match="NOT_FOUND"):
        con.test_an_unknown_path_has_the_contract_error(
            edges("unknown_path", {"type": "about:blank", "status": 404}, status=404), anonymous
        )
    page = gathered("contract_edges", answer(HTML, status=404, role="unknown_path", content_type="text/html"))
    with pytest.raises(Violation):
        con.test_an_unknown_path_has_the_contract_error(keyed, page)


def test_con_06_wants_allow_only_on_405() -> None:
    con.test_a_wrong_method_is_refused_and_405_names_the_right_ones(edges("wrong_method", {}, status=404), UP)
    con.test_a_wrong_method_is_refused_and_405_names_the_right_ones(edges("wrong_method", {}, status=501), UP)
    con.test_a_wrong_method_is_refused_and_405_names_the_right_ones(
        edges("wrong_method", {}, status=405, headers={"Allow": ""}), UP
    )
    for status in (200, 405, 409, 500):
        with pytest.raises(Violation):
            con.test_a_wrong_method_is_refused_and_405_names_the_right_ones(
                edges("wrong_method", {}, status=status), UP
            )


def test_con_28_wants_405_with_post_in_allow() -> None:
    body = error("METHOD_NOT_ALLOWED")
    con.test_a_wrong_method_has_the_contract_error(
        edges("wrong_method", body, status=405, headers={"Allow": "OPTIONS, POST"})
    )
    for more in ({"status": 404}, {"status": 405}, {"status": 405, "headers": {"Allow": "GET"}}):
        with pytest.raises(Violation):
            con.test_a_wrong_method_has_the_contract_error(edges("wrong_method", body, **more))


def test_con_07_and_29_want_415_with_accept_post() -> None:
    good = edges(
        "plain_text", error("UNSUPPORTED_MEDIA_TYPE"), status=415, headers={"Accept-Post": "application/json"}
    )
    con.test_a_body_of_another_media_type_is_unsupported(good)
    con.test_an_unsupported_media_type_names_the_supported_ones(good)
    ignored = edges("plain_text", error("INVALID_JSON"), status=400)
    with pytest.raises(Violation):
        con.test_a_body_of_another_media_type_is_unsupported(ignored)
    with pytest.raises(Inconclusive):
        con.test_an_unsupported_media_type_names_the_supported_ones(ignored)
    with pytest.raises(Violation):
        con.test_an_unsupported_media_type_names_the_supported_ones(edges("plain_text", {}, status=415))


def test_con_30_accepts_any_lasting_refusal() -> None:
    for status in (400, 415, 422):
        con.test_text_that_is_not_json_is_refused(
            edges("plain_text", {}, status=status, speaks="openai-chat"), UP
        )
    for status in (200, 409, 500):
        with pytest.raises(Violation):
            con.test_text_that_is_not_json_is_refused(edges("plain_text", {}, status=status), UP)


def test_con_08_accepts_406_or_the_default_type() -> None:
    usual = answer({"data": []}, role="usual")

    def asked_for_xml(body: Any, **more: Any) -> Probed:
        return gathered("http_edges", usual, answer(body, role="accept_xml", **more))

    con.test_an_unsatisfiable_accept_gets_406_or_the_default(asked_for_xml({"data": []}))
    con.test_an_unsatisfiable_accept_gets_406_or_the_default(asked_for_xml({}, status=406))
    con.test_an_unsatisfiable_accept_gets_406_or_the_default(
        asked_for_xml("<models/>", content_type="application/xml")
    )
    for bad in (asked_for_xml(HTML, content_type="text/html"), asked_for_xml({}, status=500)):
        with pytest.raises(Violation):
            con.test_an_unsatisfiable_accept_gets_406_or_the_default(bad)
    broken = gathered(
        "http_edges", answer({}, status=500, role="usual"), answer({}, status=500, role="accept_xml")
    )
    with pytest.raises(Inconclusive):
        con.test_an_unsatisfiable_accept_gets_406_or_the_default(broken)


def test_con_31_wants_406() -> None:
    con.test_an_unsatisfiable_accept_has_the_contract_error(
        edges("accept_xml", error("NOT_ACCEPTABLE"), status=406)
    )
    with pytest.raises(Violation):
        con.test_an_unsatisfiable_accept_has_the_contract_error(edges("accept_xml", {"data": []}))


def test_con_13_tells_413_from_a_reset() -> None:
    body = error("PAYLOAD_TOO_LARGE")
    for reading in (
        answer(body, status=413, role="oversized"),
        answer(body, status=413, role="oversized", failure="reset"),
    ):
        con.test_a_body_over_the_maximum_is_answered_413(gathered("contract_edges", reading))
    for bad in (no_answer("reset", role="oversized"), answer({}, status=400, role="oversized")):
        with pytest.raises(Violation):
            con.test_a_body_over_the_maximum_is_answered_413(gathered("contract_edges", bad))
    with pytest.raises(NotTested):
        con.test_a_body_over_the_maximum_is_answered_413(NOTHING)


def test_con_16_compares_head_with_get() -> None:
    get = answer({"data": []}, role="usual")
    options = answer(role="options", status=204, content_type=None)

    def asked(*readings: Reading) -> str:
        return con.test_head_and_options_work(gathered("http_edges", get, *readings), UP)

    assert "HEAD is answered 200" in asked(options, answer(role="head", method="HEAD"))
    assert "no resource" in asked(options)
    asked(options, answer(role="head", method="HEAD", content_type=None))
    for bad in (
        (options, answer(role="head", status=405)),
        (options, answer(role="head", content_type="text/html")),
        (answer(role="options", status=500),),
    ):
        with pytest.raises(Violation):
            asked(*bad)


def cross_origin(**headers: str) -> Probed:
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    return gathered("http_edges", answer({"data": []}, role="usual", headers=given))


def test_con_17_judges_only_what_the_answer_carries() -> None:
    con.test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(
        cross_origin(
            Access_Control_Allow_Origin="*",
            Access_Control_Expose_Headers="x-request-id",
            X_Request_Id="1",
            Server="x",
        )
    )
    con.test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(
        cross_origin(
            Access_Control_Allow_Origin="*", Access_Control_Expose_Headers="*", X_RateLimit_Limit_Requests="5"
        )
    )
    with pytest.raises(Violation, match="retry-after"):
        con.test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(
            cross_origin(Access_Control_Allow_Origin="*", Retry_After="1")
        )
    with pytest.raises(NotOffered):
        con.test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(
            cross_origin(Retry_After="1")
        )
    with pytest.raises(Inconclusive):
        con.test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(
            cross_origin(Access_Control_Allow_Origin="*")
        )


def test_con_37_wants_all_eight() -> None:
    names = ", ".join(con.EXPOSED_BY_CONTRACT)
    con.test_a_cross_origin_answer_exposes_the_contract_headers(
        cross_origin(Access_Control_Allow_Origin="*", Access_Control_Expose_Headers=names)
    )
    with pytest.raises(Violation, match="Sunset"):
        con.test_a_cross_origin_answer_exposes_the_contract_headers(
            cross_origin(
                Access_Control_Allow_Origin="*", Access_Control_Expose_Headers=names.removesuffix(", Sunset")
            )
        )


def keyed(idempotency: dict[str, str] | None) -> Reading:
    metadata = {"idempotency": idempotency} if idempotency else {}
    return answer({"message": {"content": "Yes."}, "metadata": metadata}, role="odd_case")


def test_con_20_compares_with_usual_names() -> None:
    usual = answer({"data": []}, role="usual", operation="models")

    def asked(reading: Reading, contract: Probed = NOTHING) -> str:
        return con.test_header_names_are_matched_in_any_case(gathered("http_edges", usual, reading), contract)

    odd = answer({"data": []}, role="odd_case", operation="models")
    asked(odd)
    asked(odd, gathered("contract_edges", keyed({"expires_at": "2026-11-25T00:00:00Z"})))
    with pytest.raises(Violation):
        asked(answer({}, status=401, role="odd_case", operation="models"))
    with pytest.raises(Violation, match="Idempotency-Key"):
        asked(odd, gathered("contract_edges", keyed(None)))
    broken = gathered(
        "http_edges", answer({}, status=404, role="usual"), answer({}, status=404, role="odd_case")
    )
    with pytest.raises(Inconclusive):
        con.test_header_names_are_matched_in_any_case(broken, NOTHING)
