from __future__ import annotations

import pytest
from building import answer, event, gathered, stream
from sample_streams import BOTH, changed, good, sent

from conformance.checks import test_sse_format as checks
from conformance.verdict import Inconclusive, NotTested, Violation

TEXT = "Repeat exactly: The 日本語のテスト 🎉 Größe, 10 €brown fox."


@pytest.mark.parametrize("speaks", BOTH)
def test_a_good_stream_passes_every_check_of_its_bytes(speaks: str) -> None:
    streams = (sent(speaks, good(speaks)), sent(speaks, good(speaks)))
    for check in (
        checks.test_a_streamed_answer_has_the_media_type_of_an_event_stream,
        checks.test_each_event_is_one_json_value_or_a_known_literal,
        checks.test_a_stream_has_no_byte_order_mark,
        checks.test_a_stream_uses_one_kind_of_line_end,
        checks.test_data_lines_have_one_space_after_the_colon,
        checks.test_no_block_has_fields_but_no_data,
        checks.test_no_blank_line_without_data_follows_an_id,
        checks.test_the_last_event_too_ends_with_a_blank_line,
    ):
        assert check(streams)


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/json", None, "text/event-stream; charset=iso-8859-1"]
)
def test_sse_01_names_any_other_type(content_type: str | None) -> None:
    bad = sent("openai-chat", good("openai-chat"), content_type=content_type)
    with pytest.raises(Violation, match="seen"):
        checks.test_a_streamed_answer_has_the_media_type_of_an_event_stream((bad,))


def test_sse_01_leaves_refusals_and_clients_that_accept_only_json_alone() -> None:
    check = checks.test_a_streamed_answer_has_the_media_type_of_an_event_stream
    refused = answer({"error": {}}, status=400, operation="chat_stream")
    with pytest.raises(Inconclusive, match="400"):
        check((refused,))
    negotiated = answer({}, operation="chat_stream", sent_headers={"Accept": "application/json"})
    with pytest.raises(NotTested):
        check((negotiated,))
    charset = sent("contract", good("contract"), content_type='text/event-stream; charset="UTF-8"')
    assert check((charset, refused, negotiated))


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize("data", [b'{"id":"cha', b"{}{}", b": OK", b'{"a":NaN}'])
def test_sse_02_names_the_byte_of_the_first_bad_event(speaks: str, data: bytes) -> None:
    events = good(speaks)
    bad = sent(speaks, [*events[:2], b"data: " + data + b"\n\n", *events[2:]])
    with pytest.raises(Violation) as raised:
        checks.test_each_event_is_one_json_value_or_a_known_literal((bad,))
    assert raised.value.where == f"byte {len(events[0] + events[1])}"


def test_sse_02_ignores_unknown_events_and_fields() -> None:
    new = event({"type": "thinking", "novel": [1]}, "thinking")
    padded = changed(good("openai-chat"), b'"created":1', b'"created":1,"obfuscation":"aG1t"')
    judged = (sent("contract", [new, *good("contract")]), sent("openai-chat", padded))
    assert checks.test_each_event_is_one_json_value_or_a_known_literal(judged)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_09_passes_when_the_characters_come_back(speaks: str) -> None:
    events = changed(good(speaks), b"quick ", "日本語のテスト 🎉".encode())
    reading = sent(speaks, events, role="unicode", params={"prompt": TEXT})
    assert "characters came back" in checks.test_streams_are_utf8_and_no_character_is_replaced(
        (reading,), gathered("stream_unicode", reading)
    )


def test_sse_09_names_invalid_bytes_and_replaced_characters() -> None:
    check = checks.test_streams_are_utf8_and_no_character_is_replaced
    params = {"prompt": TEXT}
    cut = sent("openai-chat", changed(good("openai-chat"), b"quick ", b"\xe6\x97 "), params=params)
    with pytest.raises(Violation, match="byte"):
        check((cut,), gathered("stream_unicode", cut))
    replaced = changed(good("openai-chat"), b"quick ", "日本語のテス\ufffd\ufffd 🎉 Größe, 10 €".encode())
    all_but_latin = changed(good("openai-chat"), b"quick ", "\ufffd\ufffd \ufffd Größe, 10 \ufffd".encode())
    for events in (replaced, all_but_latin):
        bad = sent("openai-chat", events, role="unicode", params=params)
        with pytest.raises(Violation, match=r"U\+FFFD"):
            check((bad,), gathered("stream_unicode", bad))


def test_sse_09_does_not_blame_a_server_for_what_its_model_says() -> None:
    check = checks.test_streams_are_utf8_and_no_character_is_replaced
    for text in ("\ufffd\ufffdxyz", "I cannot do that."):
        events = changed(good("contract"), b"quick ", text.encode())
        reading = sent("contract", events, role="unicode", params={"prompt": TEXT})
        with pytest.raises(Inconclusive):
            check((reading,), gathered("stream_unicode", reading))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_10_names_a_byte_order_mark(speaks: str) -> None:
    with pytest.raises(Violation, match="EF BB BF"):
        checks.test_a_stream_has_no_byte_order_mark((sent(speaks, [b"\xef\xbb\xbf", *good(speaks)]),))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_11_names_mixed_line_ends_only(speaks: str) -> None:
    crlf = [e.replace(b"\n", b"\r\n") for e in good(speaks)]
    assert "CRLF" in checks.test_a_stream_uses_one_kind_of_line_end((sent(speaks, crlf),))
    with pytest.raises(Violation, match="LF"):
        checks.test_a_stream_uses_one_kind_of_line_end((sent(speaks, [*crlf[:2], *good(speaks)[2:]]),))


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize("spelled", [b"data:", b"data:  "])
def test_sse_12_names_another_number_of_spaces(speaks: str, spelled: bytes) -> None:
    bad = sent(speaks, changed(good(speaks), b"data: {", spelled + b"{"))
    with pytest.raises(Violation, match="space"):
        checks.test_data_lines_have_one_space_after_the_colon((bad,))


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize("block", [b"retry: 3000\n\n", b"event: ping\n\n", b"id: 7\n\n"])
def test_sse_13_names_blocks_without_data(speaks: str, block: bytes) -> None:
    with pytest.raises(Violation, match="a block of only"):
        checks.test_no_block_has_fields_but_no_data((sent(speaks, [block, *good(speaks)]),))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_14_needs_an_id_and_a_blank_line(speaks: str) -> None:
    check = checks.test_no_blank_line_without_data_follows_an_id
    first, *rest = good(speaks)
    ping = b": ping\n\n"
    assert check((sent(speaks, [first, ping, *rest]),))
    assert check((sent(speaks, [b"id: 1\n" + first, b": ping\n", *rest]),))
    with pytest.raises(Violation, match="ping"):
        check((sent(speaks, [b"id: 1\n" + first, ping, *rest]),))
    with pytest.raises(Violation, match="blank line"):
        check((sent(speaks, [b"id: 1\n" + first, b"\n", *rest]),))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_38_names_a_last_event_without_its_blank_line(speaks: str) -> None:
    with pytest.raises(Violation, match="DONE"):
        checks.test_the_last_event_too_ends_with_a_blank_line(
            (sent(speaks, [*good(speaks)[:-1], b"data: [DONE]\n"]),)
        )


def test_without_a_stream_nothing_passes() -> None:
    for check in (
        checks.test_each_event_is_one_json_value_or_a_known_literal,
        checks.test_a_stream_has_no_byte_order_mark,
        checks.test_no_block_has_fields_but_no_data,
    ):
        with pytest.raises(Inconclusive):
            check(())
    with pytest.raises(Inconclusive):
        checks.test_each_event_is_one_json_value_or_a_known_literal((stream(b""),))
