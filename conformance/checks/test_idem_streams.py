"""IDEM: idempotency keys on streamed requests."""

from __future__ import annotations

from conformance.checks.sameness import answered, identity
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect


@check("IDEM-17")
def test_a_repeated_stream_has_the_same_text_and_its_end(idempotent_streams: Probed) -> str:
    """The replay of a stream is a stream: same id, same text, and its terminal."""
    first, replay = answered(idempotent_streams["stream"]), idempotent_streams["stream_replay"]
    expect(
        replay.ok and replay.exchange.is_sse,
        expected="the replay of a stream is a stream",
        seen=f"{replay.status} {replay.exchange.media_type}",
        at=replay,
    )
    expect(
        replay.stream.text == first.stream.text and identity(replay) == identity(first),
        expected=f"the text of {identity(first)} again",
        seen=f"{identity(replay)}, {len(replay.stream.text)} characters instead of {len(first.stream.text)}",
        at=replay,
    )
    expect(
        replay.stream.terminals,
        expected=f"the terminal {replay.stream.terminal_name}",
        seen="none",
        at=replay,
    )
    return f"{len(first.stream.text)} characters, the same twice"


@check("IDEM-18")
def test_a_cut_stream_is_not_generated_a_second_time(idempotent_streams: Probed) -> str:
    """After a hang-up the same key gives the generation that was cut, from its beginning."""
    cut = idempotent_streams.get("cut")
    if cut is None:
        raise NotTested(idempotent_streams.record.reason or "no stream was cut")
    if cut.exchange.left_at is None or not cut.stream.text:
        raise Inconclusive("the stream ended before it could be cut")
    retry = idempotent_streams["cut_retry"]
    if retry.status == 409:
        raise Inconclusive("the cut generation was still running after every retry")
    answered(retry)
    expect(
        identity(retry) == identity(cut) and retry.stream.text.startswith(cut.stream.text),
        expected=f"the generation {identity(cut)} that was cut",
        seen=f"another one: {identity(retry)}",
        at=retry,
    )
    return f"the retry gave {identity(cut)} in full"
