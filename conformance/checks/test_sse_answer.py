"""What a stream says: its text, its usage, one id and one model, headers that keep it out of caches."""

from __future__ import annotations

from conformance.checks.stream_evidence import byte_of, ended, whole
from conformance.dialects.facts import Placed
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, expect

TOLERANCE_TOKENS = 3
TOLERANCE_SHARE = 0.05
COUNTED = ("usage.input", "usage.output")


@check("SSE-07")
def test_a_stream_reports_the_usage_of_the_whole_answer(
    streams: tuple[Reading, ...], exchanges: tuple[Reading, ...]
) -> str:
    """Input and output tokens, at the latest before the terminal."""
    judged = whole(ended(streams))
    if not any(r.stream.usages for r in judged) and not any(_reports_usage(r) for r in exchanges):
        raise NotOffered("no answer of this target, streamed or not, reports usage")
    for reading in judged:
        facts = reading.stream
        missing = [n for n in ("input", "output") if n not in facts.usage]
        expect(
            not missing,
            expected="input and output tokens of the whole answer before the terminal",
            seen=f"no {' and no '.join(missing)} tokens",
            at=reading,
            where=byte_of(reading, facts.terminals[0]),
        )
        first, terminal = facts.usages[0].event, facts.terminals[0]
        expect(
            first <= terminal,
            expected="usage before the terminal",
            seen="usage after it",
            at=reading,
            where=byte_of(reading, first),
        )
        expect(
            facts.usage["output"] > 0 or not facts.text,
            expected="at least one output token for an answer with text",
            seen="0 output tokens",
            at=reading,
            where=byte_of(reading, facts.usages[-1].event),
        )
    return f"{len(judged)} streams report it"


@check("SSE-08")
def test_streamed_and_plain_answers_count_the_same_tokens(stream_twin: Probed) -> str:
    """The same request: the same input, and the same output where the text is the same."""
    plain, streamed = _twins(stream_twin)
    usage = streamed.stream.usage
    counted = {n: plain.facts[n] for n in COUNTED}
    if not usage or not all(counted.values()):
        raise Inconclusive("one of the two answers reports no usage: SSE-07 and TRC-11 tell")
    _same_count("input", counted["usage.input"].value, usage.get("input"), streamed)
    if plain.facts["text"].value != streamed.stream.text:
        raise Inconclusive("both count the same input, but the texts differ, so the output is not comparable")
    if plain.facts["usage.reasoning_output"].value or max(
        counted["usage.output"].value, usage.get("output", 0)
    ) > len(streamed.stream.text):
        raise Inconclusive("both count the same input; the output holds reasoning, which differs each time")
    _same_count("output", counted["usage.output"].value, usage.get("output"), streamed)
    return f"{usage['input']} input and {usage['output']} output tokens in both"


@check("SSE-18")
def test_a_streamed_answer_forbids_storing_it(streams: tuple[Reading, ...]) -> str:
    """``Cache-Control`` with no-store or no-cache."""
    buffering = 0
    for reading in ended(streams):
        value = reading.header("cache-control")
        directives = {d.split("=")[0].strip().lower() for d in (value or "").split(",")}
        expect(
            directives & {"no-store", "no-cache"},
            expected="Cache-Control: no-store (or no-cache)",
            seen=value or "no Cache-Control",
            at=reading,
            where="header Cache-Control",
        )
        buffering += (reading.header("x-accel-buffering") or "").strip().lower() == "no"
    return f"{len(streams)} streams; {buffering} of them with X-Accel-Buffering: no"


@check("SSE-25")
def test_all_events_of_a_stream_name_one_id_and_one_model(streams: tuple[Reading, ...]) -> str:
    """Neither changes within a stream."""
    named = 0
    for reading in ended(streams):
        for what, found in (
            ("response id", reading.stream.response_ids),
            ("model", reading.stream.model_versions),
        ):
            placed = [p for p in found if p.value != ""]
            named += bool(placed)
            other = _first_other(placed)
            expect(
                other is None,
                expected=f"one {what}, {placed[0].value if placed else ''!r}",
                seen=f"also {other.value!r}" if other else "",
                at=reading,
                where=byte_of(reading, other.event) if other else "",
            )
    if not named:
        raise Inconclusive("no event names a response id or a model")
    return f"the same throughout each of {len(streams)} streams"


@check("SSE-37")
def test_a_stream_delivers_the_text_of_the_answer(stream_twin: Probed) -> str:
    """Not empty where the plain answer is not."""
    plain, streamed = _twins(stream_twin)
    if streamed.stream.text:
        return f"{len(streamed.stream.text)} characters in {len(streamed.stream.deltas)} pieces"
    if not plain.facts["text"].value:
        raise Inconclusive("the plain answer holds no text either")
    whole([streamed])
    thought = plain.facts["usage.reasoning_output"].value != 0  # also where nobody tells
    if thought and "length" in (plain.facts["finish_reason"].value, streamed.stream.finish_reason):
        raise Inconclusive("the token limit was reached before any text")
    expect(
        False,
        expected=f"text, as in the plain answer {plain.exchange.id}",
        seen=f"none in {len(streamed.exchange.sse.events)} events",
        at=streamed,
    )
    return ""


def _twins(probe: Probed) -> tuple[Reading, Reading]:
    plain, streamed = probe["json"], probe["stream"]
    if not (plain.ok and streamed.ok and streamed.exchange.is_sse):
        raise Inconclusive(f"the two answers have the status {plain.status} and {streamed.status}")
    return plain, streamed


def _same_count(what: str, plain: int, streamed: int | None, at: Reading) -> None:
    if streamed is None:
        raise Inconclusive(f"the stream reports no {what} tokens")
    expect(
        abs(plain - streamed) <= max(TOLERANCE_TOKENS, TOLERANCE_SHARE * plain),
        expected=f"{plain} {what} tokens, as in the plain answer, give or take 3 or 5 %",
        seen=streamed,
        at=at,
    )


def _reports_usage(reading: Reading) -> bool:
    return reading.ok and not reading.exchange.is_sse and bool(reading.facts["usage.output"])


def _first_other(placed: list[Placed]) -> Placed | None:
    return next((p for p in placed if p.value != placed[0].value), None)
