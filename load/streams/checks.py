"""What one stream breaks: the byte-level checks that need no second request.

A rule here is as careful as the suite's own check of the same requirement. What depends on time is judged with
the lag of our own loop granted to the server.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from conformance.dialects.interpret import terminal_name
from load.ledger import Broken
from load.streams.plan import StreamPlan
from load.streams.reader import StreamRecord
from load.transport.exchange import Reply

CLOSE_WITHIN = 1.0
NETWORK = 1.0
SILENT_FOR_GOOD = 15.0
PAUSE, PAUSE_RATIO = 5.0, 20.0

BEGUN = ("SSE-34", "SSE-36")
ENDED = ("SSE-02", "SSE-09", "SSE-10", "SSE-11", "SSE-12", "SSE-13", "SSE-25", "SSE-38")

Report = Callable[[Broken], None]


def judge_stream(
    plan: StreamPlan, reply: Reply, record: StreamRecord, usage_offered: bool, lag: float
) -> tuple[tuple[str, ...], list[Broken]]:
    """``(requirements judged, violations)`` of a 2xx ``text/event-stream`` answer, whole or not."""
    judged: list[str] = list(BEGUN)
    broken: list[Broken] = []
    add = broken.append
    _breaks_off(reply, record, lag, add)
    if record.terminals and not record.errors:
        judged.append("SSE-05")
        _closes(reply, record, record.terminals[-1], "SSE-05", "the terminal", lag, add)
    if record.errors:
        judged += ["SSE-20", "SSE-22"]
        _errors(plan, reply, record, lag, judged, add)
    if reply.failure is not None:
        return tuple(judged), broken
    judged += ENDED
    _form(record, add)
    if not record.errors:
        judged.append("SSE-04")
        _terminal(plan, record, add)
    if record.whole:
        judged += ["SSE-06", "SSE-35"]
        _finish(record, add)
        _pause(reply, record, lag, add)
        if usage_offered:
            judged.append("SSE-07")
            if not {"input", "output"} <= record.usage.keys():
                add(
                    Broken(
                        "SSE-07", "input and output tokens before the terminal", f"{record.usage or 'none'}"
                    )
                )
        if plan.is_contract:
            judged.append("SSE-03")
            _text(record, add)
    return tuple(judged), broken


def _at(record: StreamRecord, index: int) -> str:
    ends = record.events.ends
    return f"byte {ends[index - 1] if index > 0 else 0}"


def _breaks_off(reply: Reply, record: StreamRecord, lag: float, add: Report) -> None:
    if reply.failure in ("reset", "protocol") and not record.errors:
        add(Broken("SSE-34", "the end of the stream: its terminal or an error event", reply.detail,
                   f"byte {reply.size}"))  # fmt: skip
    if reply.failure == "timeout_body" and record.deltas and not record.terminals and not record.errors:
        silence = (reply.t_end or 0.0) - reply.pieces[-1][0]
        if silence - lag >= SILENT_FOR_GOOD:
            add(Broken("SSE-36", "the end of the stream, or further bytes",
                       f"silence for the last {silence:.1f} s until the deadline", f"byte {reply.size}"))  # fmt: skip


def _closes(
    reply: Reply, record: StreamRecord, event: int, requirement: str, what: str, lag: float, add: Report
) -> None:
    if reply.failure in ("reset", "protocol"):
        return  # it did end; how is SSE-34's matter
    took = (reply.t_end or 0.0) - record.events.times[event]
    if took > CLOSE_WITHIN + NETWORK + lag:
        add(Broken(requirement, f"the end of the response within {CLOSE_WITHIN:.0f} s of {what}",
                   f"{'still open' if reply.failure else 'it ended'} after {took:.1f} s",
                   _at(record, event)))  # fmt: skip


def _errors(
    plan: StreamPlan, reply: Reply, record: StreamRecord, lag: float, judged: list[str], add: Report
) -> None:
    first, code, message = record.errors[0]
    where = _at(record, first)
    if not code or not message:
        add(
            Broken(
                "SSE-20",
                "a code and a message in the error event",
                f"code {code!r}, message {message!r}",
                where,
            )
        )
    elif record.last_delta > first:
        add(
            Broken(
                "SSE-20",
                "nothing but the end after the error event",
                "more text",
                _at(record, record.last_delta),
            )
        )
    elif any(i > first and reason == "stop" for i, reason in record.finishes):
        add(Broken("SSE-20", "nothing but the end after the error event", "finish_reason stop", where))
    _closes(reply, record, first, "SSE-22", "the error event", lag, add)
    if plan.is_contract:
        judged.append("SSE-40")
        if record.terminals:
            add(
                Broken(
                    "SSE-40", "no terminal after an error", "the terminal", _at(record, record.terminals[0])
                )
            )


def _form(record: StreamRecord, add: Report) -> None:
    events = record.events
    if record.invalid:
        index = record.invalid[0]
        add(
            Broken("SSE-02", "JSON, or a literal of the format", events.data[index][:100], _at(record, index))
        )
    ids, models = record.response_ids, record.models
    if len(ids) > 1 or len(models) > 1:
        several = sorted(ids if len(ids) > 1 else models)
        add(Broken("SSE-25", "one id and one model in all events", " and ".join(several)[:200]))
    transcript = events.transcript
    if transcript is None:
        return  # in plain form there is nothing else
    if transcript.invalid_utf8:
        add(Broken("SSE-09", "UTF-8", "bytes that are not", f"byte {transcript.invalid_utf8[0]}"))
    if transcript.bom:
        add(Broken("SSE-10", "no byte order mark", "EF BB BF", "byte 0"))
    if len(transcript.line_endings) > 1:
        add(Broken("SSE-11", "one kind of line end", ", ".join(sorted(transcript.line_endings))))
    if others := set(transcript.spacing) - {"one"}:
        kind = next(iter(others))
        add(Broken("SSE-12", "`data`, colon, one space, value", f"{kind} space after the colon",
                   f"byte {transcript.spacing[kind].offset}"))  # fmt: skip
    if transcript.empty_blocks:
        block = transcript.empty_blocks[0]
        add(Broken("SSE-13", "data in every block", ", ".join(block.fields)[:100], f"byte {block.offset}"))
    if transcript.unterminated is not None:
        add(Broken("SSE-38", "a blank line after the last event", "none", f"byte {transcript.size}"))


def _terminal(plan: StreamPlan, record: StreamRecord, add: Report) -> None:
    terminals, events = record.terminals, record.events
    name = terminal_name(plan.rules.terminal)
    if not terminals:
        rest = events.transcript.unterminated if events.transcript is not None else None
        if rest is None or rest.data != name:  # else it is there, without its blank line: SSE-38
            add(Broken("SSE-04", f"{name} before the end: without it the answer counts as cut off",
                       f"a clean end after {len(events.data)} events", f"byte {events.size}"))  # fmt: skip
        return
    if plan.rules.terminal.eof_after is not None:
        return
    if len(terminals) > 1:
        add(Broken("SSE-04", f"{name} once", f"{len(terminals)} times", _at(record, terminals[0])))
    elif terminals[0] != len(events.data) - 1:
        add(Broken("SSE-04", f"nothing after {name}", f"{len(events.data) - 1 - terminals[0]} more events",
                   _at(record, terminals[0])))  # fmt: skip


def _finish(record: StreamRecord, add: Report) -> None:
    terminal = record.terminals[0]
    reasons = sorted({str(reason) for _, reason in record.finishes})
    if not any(index <= terminal for index, _ in record.finishes):
        add(Broken("SSE-06", "a finish_reason before the terminal", "none", _at(record, terminal)))
    elif len(reasons) > 1:
        add(Broken("SSE-06", "one finish_reason", " and ".join(reasons)[:100]))


def _pause(reply: Reply, record: StreamRecord, lag: float, add: Report) -> None:
    if not record.deltas or len(reply.pieces) < 4:
        return
    begun = record.delta_times[0]
    gaps = gaps_of([t for t, _ in reply.pieces if t >= begun])  # any byte ends a pause, a comment too
    if len(gaps) < 3:
        return
    worst, usual = max(gaps), sorted(gaps)[len(gaps) // 2]
    if worst - lag > PAUSE and worst - lag > PAUSE_RATIO * usual:
        add(Broken("SSE-35", f"no pause above {PAUSE:.0f} s in a stream whose pieces come every {usual * 1000:.0f} ms",
                   f"a pause of {worst:.1f} s"))  # fmt: skip


def _text(record: StreamRecord, add: Report) -> None:
    if record.index_break is not None:
        add(Broken("SSE-03", "`index` counting from 0", "another number", _at(record, record.index_break)))
    elif record.final_text is not None and record.final_text != (joined := "".join(record.deltas)):
        add(Broken("SSE-03", "the tokens joined, as `text` of the done event",
                   f"{len(joined)} characters of tokens, {len(record.final_text)} of text"))  # fmt: skip


def gaps_of(times: list[float]) -> list[float]:
    """The gaps between receives that brought text: what one receive brought together has no gap."""
    return [b - a for a, b in pairwise(times) if b > a]
