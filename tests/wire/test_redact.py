"""Nothing that is written holds a credential."""

from __future__ import annotations

import base64
import gzip
import json
from itertools import pairwise
from urllib.parse import quote

import brotli
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance.evidence import Chunk, Evidence, Exchange, Failure, ProbeRecord, Sent
from conformance.wire.recode import encode_content
from conformance.wire.redact import (
    Redactor,
    Scrubber,
    redact_evidence,
    redact_exchange,
    redact_headers,
    scrub,
)

SECRET = 'sk-"a/b&c d+é'


def exchange(**changes: object) -> Exchange:
    fields: dict[str, object] = {
        "id": "x0001",
        "probe": "p",
        "role": "r",
        "operation": "chat",
        "principal": "main",
        "params": {},
        "sent": Sent("POST", "http://h/"),
        "started_at": 0.0,
    }
    return Exchange(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_limits_of_a_key_are_no_secret_but_what_may_be_a_key_is() -> None:
    """LiteLLM's names; RATE-25 read the replacement, and found no limit told."""
    told = (("x-ratelimit-api_key-remaining-requests", "2"), ("x-ratelimit-model_per_key-limit-tokens", "9"))
    assert redact_headers(told) == told
    assert redact_headers((("x-ratelimit-api_key", "sk"),)) == (
        ("x-ratelimit-api_key", "[redacted 2 chars]"),
    )


def test_headers_pass_only_if_known_to_be_safe() -> None:
    given_headers = (
        ("Authorization", "Bearer sk-demo"),
        ("authorization", "sk-demo"),
        ("X-API-Key", "sk-demo"),
        ("Set-Cookie", "session=1"),
        ("x-goog-api-key", "k"),
        ("Retry-After", "3"),
        ("X-RateLimit-Remaining-Requests", "4"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-24T08:00:00Z"),
        ("x-amzn-RequestId", "r1"),
        ("X-Client-Request-Id", "r2"),
        ("OpenAI-Version", "2020-10-01"),
        ("Proxy-Authorization", "Basic dTpw"),
        ("Authorization", "sk demo"),
        ("Idempotency-Key", "k-sk-demo-1"),
    )
    assert redact_headers(given_headers, ["sk-demo"]) == (
        ("Authorization", "Bearer [redacted 7 chars]"),
        ("authorization", "[redacted 7 chars]"),
        ("X-API-Key", "[redacted 7 chars]"),
        ("Set-Cookie", "[redacted 9 chars]"),
        ("x-goog-api-key", "[redacted 1 chars]"),
        *given_headers[5:11],
        ("Proxy-Authorization", "Basic [redacted 4 chars]"),
        ("Authorization", "[redacted 7 chars]"),
        ("Idempotency-Key", "k-[redacted]-1"),
    )


@pytest.mark.parametrize(
    "name", ["x-token", "x-api-version-key", "private-token", "x-request-id-secret", "x"]
)
def test_a_header_nobody_thought_of_is_hidden(name: str) -> None:
    assert redact_headers([(name, "value")]) == ((name, "[redacted 5 chars]"),)


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").replace("%2F", "%2f"),
        json.dumps(SECRET).replace("\\u00e9", "\\u00E9"),
        "sk-%22a%2Fb%26c+d%2B%C3%A9",
        "sk-&quot;a/b&amp;c d+é",
    ],
)
def test_a_secret_is_found_in_every_spelling(spelling: str) -> None:
    assert scrub(f"?key={spelling}#", [SECRET]).replace('"', "") == "?key=[redacted]#"
    assert b"[redacted]" in scrub(f"?key={spelling}#".encode(), [SECRET])


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert scrub("sk-demo-other sk-demo", ["sk-demo", "sk-demo-other"]) == "[redacted] [redacted]"


def test_what_is_too_short_to_be_a_secret_is_not_searched_for() -> None:
    assert scrub("abc", ["", "a", "abc"]) == "abc"


@given(
    st.lists(st.sampled_from([b"sk-demo", b"sk-", b"demo", b"x", b"sk-demo-other", b""]), max_size=12),
    st.data(),
)
def test_chunks_stay_what_they_were_around_a_secret(parts: list[bytes], data: st.DataObject) -> None:
    body = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    edges = [0, *places, len(body)]
    chunks = tuple(Chunk(float(n), body[a:b]) for n, (a, b) in enumerate(pairwise(edges)))
    scrubber = Scrubber(["sk-demo", "sk-demo-other"])
    clean = scrubber.chunks(chunks)
    assert b"".join(c.data for c in clean) == scrubber.scrub(body)
    assert [c.t for c in clean] == [c.t for c in chunks]
    untouched = [(a, b) for a, b in zip(chunks, clean, strict=True) if a.data == b.data]
    if b"sk-demo" not in body:
        assert len(untouched) == len(chunks)


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("br", brotli.compress)])
def test_a_compressed_body_is_opened(coding: str, compress: object) -> None:
    raw = compress(b'{"echo": "Bearer sk-demo"}')  # type: ignore[operator]
    found = exchange(
        headers=(("Content-Encoding", coding),), chunks=(Chunk(0.1, raw[:9]), Chunk(0.2, raw[9:]))
    )
    clean = redact_exchange(found, ["sk-demo"])
    assert clean.json == {"echo": "Bearer [redacted]"}
    assert [c.t for c in clean.chunks] == [0.1, 0.2]
    assert redact_exchange(found, ["sk-other"]).chunks == found.chunks


@given(st.text('ab/"é +%&', min_size=4, max_size=8), st.sampled_from(["gzip", "br", ""]))
def test_no_secret_is_left_anywhere(secret: str, coding: str) -> None:
    assume(secret not in "[redacted]")
    said = json.dumps({"k": secret})
    found = Evidence(
        target={"base_url": f"http://h/{secret}"},
        dialect="d",
        started_at=0.0,
        duration=1.0,
        probes={"p": ProbeRecord("p", "failed", f"because {secret}", {secret: [secret]})},
        exchanges=(
            exchange(
                params={"prompt": secret},
                sent=Sent(
                    "POST", f"http://h/?k={quote(secret)}", (("Authorization", secret),), said.encode()
                ),
                headers=(("Location", f"/{secret}"), ("Content-Encoding", coding), ("X-Echo", secret)),
                chunks=(Chunk(0.0, encode_content(said.encode(), coding)),),
                failure=Failure("protocol", f"not HTTP: {secret}", 1.0),
                redirects=(f"307 http://h/{secret}",),
            ),
        ),
    )
    clean = redact_evidence(found, [secret])
    assert redact_evidence(clean, [secret]) == clean
    text = repr(clean) + clean.exchanges[0].content.decode() + clean.exchanges[0].sent.body.decode()
    for spelling in (repr(secret)[1:-1], secret, json.dumps(secret)[1:-1], quote(secret)):
        assert spelling not in text


def test_base64_of_a_header_is_gone_too() -> None:
    coded = base64.b64encode(b"user:sk-demo").decode()
    assert coded not in repr(redact_headers([("Authorization", f"Basic {coded}")]))


@given(
    st.lists(st.text(alphabet='ab-/+é"%', min_size=4, max_size=9), min_size=1, max_size=3),
    st.lists(st.sampled_from(["x", "/", "%2F", "%2f", "\\u00e9", "\\u00E9", "&quot;"]), max_size=4),
    st.data(),
)
def test_the_quick_search_misses_no_secret(
    secrets: list[str], around: list[str], data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(secrets))
    spelled = data.draw(
        st.sampled_from(
            [secret, quote(secret, safe=""), quote(secret, safe="").lower(), json.dumps(secret)[1:-1]]
        )
    )
    assume(secret not in "".join(around))
    text = "".join(around) + spelled + "".join(reversed(around))
    clean = Scrubber(secrets).scrub(text)
    assert spelled not in clean
    assert "[redacted]" in clean
    assert Scrubber(secrets).scrub(text.encode()) == clean.encode()


def test_evidence_that_grows_is_redacted_anew_for_a_new_secret_only() -> None:
    first = exchange(sent=Sent("POST", "http://h/", (), b"one-secret two-secret"))
    second = exchange(id="x0002", sent=Sent("POST", "http://h/", (), b"two-secret"))
    redactor = Redactor()

    def bodies(secrets: tuple[str, ...], *exchanges: Exchange) -> list[bytes]:
        evidence = Evidence({}, "contract", 0.0, 1.0, {}, exchanges)
        return [e.sent.body for e in redactor.evidence(evidence, secrets).exchanges]

    assert bodies(("one-secret",), first) == [b"[redacted] two-secret"]
    assert bodies(("one-secret",), first, second) == [b"[redacted] two-secret", b"two-secret"]
    everything = bodies(("one-secret", "two-secret"), first, second)
    assert everything == [b"[redacted] [redacted]", b"[redacted]"]
