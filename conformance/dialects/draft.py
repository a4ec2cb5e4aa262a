"""A first version of a dialect, guessed from one recorded exchange or from an OpenAPI operation.

Names of fields are compared with those that vendors use. What is not recognised is left out, so that lint names it:
a guess that nobody looks at is worse than a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conformance.dialects.facts import STREAM_FACTS
from conformance.evidence import NOT_JSON, Exchange
from conformance.wire.transcript import SseEvent

Steps = tuple[str | int, ...]

PARAMETERS: Mapping[str, str] = {
    "model": r"model(_?id|_?name)?",
    "messages": r"messages|contents|input|conversation",
    "prompt": r"prompt|query|question|message|text",
    "system": r"system(_?(prompt|instruction))?|instructions|preamble",
    "max_output_tokens": r"max_?(output|new|completion|gen)?_?tokens(_to_sample)?|max_?gen_?len",
    "temperature": r"temperature",
    "seed": r"(random_?)?seed",
}
"""By placeholder: what vendors call the field of the request."""

NUMBERS: Mapping[str, str] = {
    "usage.input": r"(prompt|input|request)_?tokens?(_?count)?",
    "usage.output": r"(completion|output|generated|candidates|response)_?tokens?(_?count)?",
    "usage.total": r"total_?tokens?(_?count)?",
    "usage.cached_input": r"cached(_?(content|input|prompt))?_?tokens?(_?count)?|cache_?read_?input_?tokens",
    "usage.reasoning_output": r"(reasoning|thinking|thoughts)_?tokens?(_?count)?",
    "latency_ms": r"latency_?ms",
}
TEXTS: Mapping[str, str] = {
    "finish_reason": r"(finish|stop|end)_?reason",
    "response_id": r"(response_?|message_?|completion_?)?id",
    "model_version": r"model(_?version|_?id|_?name)?",
    "trace_id": r"trace_?id",
}
ERRORS: Mapping[str, str] = {
    "code": r"code|error_?code|status",
    "message": r"message|detail|error|title",
    "type": r"type",
    "param": r"param|field",
    "request_id": r"request_?id",
}
PROSE = r"text|content|answer|output|response|completion|generated_?text|delta|token|generation"
REASONS: Mapping[str, str] = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "complete": "stop", "completed": "stop",
    "eos": "stop", "eos_token": "stop", "length": "length", "max_tokens": "length", "model_length": "length",
    "tool_calls": "tool_call", "tool_use": "tool_call", "tool_call": "tool_call", "function_call": "tool_call",
    "content_filter": "content_filter", "safety": "content_filter", "refusal": "content_filter", "error": "error",
    "timeout": "timeout",
}  # fmt: skip
CLASSIFY: list[dict[str, Any]] = [
    {"code": "UNAUTHENTICATED", "status": [401]},
    {"code": "INSUFFICIENT_SCOPE", "status": [403]},
    {"code": "NOT_FOUND", "status": [404]},
    {"code": "METHOD_NOT_ALLOWED", "status": [405]},
    {"code": "NOT_ACCEPTABLE", "status": [406]},
    {"code": "PAYLOAD_TOO_LARGE", "status": [413]},
    {"code": "UNSUPPORTED_MEDIA_TYPE", "status": [415]},
    {"code": "RATE_LIMITED", "status": [429]},
    {"code": "BUDGET_EXCEEDED", "status": [402]},
    {"code": "INTERNAL", "status": [500]},
    {"code": "UPSTREAM_ERROR", "status": [502]},
    {"code": "MODEL_OVERLOADED", "status": [503]},
    {"code": "MODEL_TIMEOUT", "status": [408, 504]},
    {"code": "INVALID_REQUEST", "status": [400, 422]},
]
"""By status alone; the vendor's own codes belong before these."""

_LIMITS = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")


def leaves(document: Any, at: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Every value that is neither object nor list, with where it is."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*at, key))
    elif isinstance(document, list):
        for index, value in enumerate(document[:3]):
            yield from leaves(value, (*at, index))
    else:
        yield at, document


def path_text(steps: Steps) -> str:
    """The steps as a JSONPath."""
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step) else f"['{step}']"
    return text


def _names(pattern: str, steps: Steps) -> bool:
    name = next((s for s in reversed(steps) if isinstance(s, str)), "")
    return re.fullmatch(f"(?i){pattern}", name) is not None


def request_body(document: Mapping[str, Any], kept: Iterable[str] | None = None) -> dict[str, Any]:
    """A body as a template: known fields become placeholders, others stay as they are, or only those of ``kept``."""
    template: dict[str, Any] = {}
    used: set[str] = set()
    for key, value in document.items():
        known = next((p for p, names in PARAMETERS.items() if p not in used and _names(names, (key,))), None)
        if known == "messages" and isinstance(value, str):
            known = None if "prompt" in used else "prompt"
        if known == "prompt" and not isinstance(value, str):
            known = None
        if known is not None:
            used.add(known)
            template[key] = f"{{{known}}}"
        elif key != "stream" and (kept is None or key in kept):
            template[key] = request_body(value) if isinstance(value, dict) else value
    return template


def answer_facts(document: Any) -> dict[str, Any]:
    """Rules for what is recognised in one plain answer."""
    found = _recognised(list(leaves(document)))
    text = _prose(list(leaves(document)))
    return {"text": _of_parts(text, document), **found} if text else found


def _of_parts(steps: Steps, document: Any) -> Any:
    """A text inside a list of typed parts is all parts of its type, joined; else the text itself."""
    if len(steps) < 2 or not isinstance(steps[-2], int):
        return path_text(steps)
    part = document
    for step in steps[:-1]:
        part = part[step]
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or "'" in kind or "\\" in kind:
        return path_text(steps)
    parts = path_text(steps[:-2])
    return {"select": f"{parts}[?@.type == '{kind}']{path_text(steps[-1:])[1:]}", "join": ""}


def _recognised(values: Iterable[tuple[Steps, Any]]) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for steps, value in sorted(values, key=lambda item: len(item[0])):
        number = isinstance(value, int) and not isinstance(value, bool)
        table = NUMBERS if number else TEXTS if isinstance(value, str) else {}
        for fact, names in table.items():
            if fact not in rules and _names(names, steps):
                rules[fact] = _reason(steps, str(value)) if fact == "finish_reason" else path_text(steps)
                break
    return rules


def _reason(steps: Steps, value: str) -> dict[str, Any]:
    mapped = {value: REASONS.get(value.lower(), "other")}
    return {"select": path_text(steps), "map": mapped, "default": "other"}


def _prose(values: list[tuple[Steps, Any]]) -> Steps | None:
    """The longest text in a field of a usual name."""
    texts = [(s, v) for s, v in values if isinstance(v, str) and v and _names(PROSE, s)]
    return max(texts, key=lambda item: len(item[1]))[0] if texts else None


def header_facts(exchange: Exchange) -> dict[str, Any]:
    """Rules for the usual headers that the answer has, and for the wait that every 429 should name."""
    rules: dict[str, Any] = {
        "retry_after": [{"header": "retry-after", "seconds": form} for form in ("number", "http_date_delta")]
    }
    for name in dict.fromkeys(k.lower() for k, _ in exchange.headers):
        if re.fullmatch(r"(x-)?([a-z]+-)?request-id", name):
            rules.setdefault("request_id", {"header": name})
        limit = _LIMITS.fullmatch(name)
        if limit and limit[1] != "reset":
            rules[f"ratelimit.{limit[2]}.{limit[1]}"] = {"header": name, "as": "int"}
        elif limit:
            forms = ("go_duration", "number")
            rules[f"ratelimit.{limit[2]}.reset"] = [{"header": name, "seconds": form} for form in forms]
    return rules


def error_facts(document: Any) -> dict[str, Any]:
    """Rules for an error answer; the usual places if none is given."""
    if not isinstance(document, dict):
        return {"code": ["$.error.code", "$.code"], "message": ["$.error.message", "$.message", "$.detail"]}
    # What stands inside of an object `error` is the error's own; `$.type` may be that of the answer.
    values = sorted(
        leaves(document), key=lambda item: (item[0][0] != "error" if item[0] else True, len(item[0]))
    )
    rules: dict[str, Any] = {}
    for steps, value in values:
        for fact, pattern in ERRORS.items():
            if fact not in rules and isinstance(value, str) and _names(pattern, steps):
                rules[fact] = path_text(steps)
                break
    return {"code": rules["type"], **rules} if "type" in rules else rules


def stream_rules(events: tuple[SseEvent, ...]) -> dict[str, Any]:
    """The grammar and the facts of one recorded stream."""
    facts: dict[str, Any] = {}
    pieces: dict[Steps, tuple[int, set[str]]] = {}
    for event in events:
        if event.json is NOT_JSON:
            continue
        values = list(leaves(event.json))
        facts |= {fact: rule for fact, rule in _recognised(values).items() if fact in STREAM_FACTS}
        for steps, value in values:
            if isinstance(value, str) and _names(PROSE, steps):
                length, names = pieces.get(steps, (0, set()))
                pieces[steps] = (length + len(value), names | {event.event})
    if pieces:
        steps, (_, names) = max(pieces.items(), key=lambda item: _spread(item[0], events))
        named = names != {"message"}
        facts["text_delta"] = (
            {"select": path_text(steps), "events": sorted(names)} if named else path_text(steps)
        )
    return {
        "framing": "sse",
        "terminal": _terminal(events),
        "facts": facts,
        "error": {"events": ["error"], "when": "$.error"},
    }


def _spread(steps: Steps, events: tuple[SseEvent, ...]) -> int:
    """In how many events a text is: the pieces of an answer come in most, a whole answer once."""
    return sum(any(at == steps and v for at, v in leaves(e.json)) for e in events if e.json is not NOT_JSON)


def _terminal(events: tuple[SseEvent, ...]) -> dict[str, str]:
    if not events:
        return {"data": "[DONE]"}
    last = events[-1]
    if last.json is NOT_JSON:
        return {"data": last.data}
    if last.named:
        return {"event": last.event}
    reasons = [s for s, v in leaves(last.json) if isinstance(v, str) and _names(TEXTS["finish_reason"], s)]
    return {"eof_after": path_text(reasons[0] if reasons else next(iter(leaves(last.json)))[0])}


def sample(schema: Any, document: Mapping[str, Any], depth: int = 0) -> Any:
    """An instance of a schema of an OpenAPI document, for its shape: examples and defaults first."""
    if not isinstance(schema, dict) or depth > 12:
        return None
    if "$ref" in schema:
        return sample(resolve(schema["$ref"], document), document, depth + 1)
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if "allOf" in schema:
        parts = [sample(part, document, depth + 1) for part in schema["allOf"]]
        return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}
    for key in ("oneOf", "anyOf"):
        if schema.get(key):
            return sample(schema[key][0], document, depth + 1)
    kind = schema.get("type")
    kind = next((k for k in kind if k != "null"), None) if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        return {k: sample(s, document, depth + 1) for k, s in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items"), document, depth + 1)]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


def resolve(reference: str, document: Mapping[str, Any]) -> Any:
    """What a local reference names; None if it names nothing."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
