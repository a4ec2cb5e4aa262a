"""From an abstract operation and its parameters to the request on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from conformance.dialects.model import Dialect, Messages
from conformance.evidence import Principal, Sent
from conformance.target import Target

_WHOLE = re.compile(r"\{([a-z_]+)\}")
_ABSENT = object()
"""Stands for what a template leaves out, since None is a value of JSON."""

Headers = list[tuple[str, str]]


class UnsupportedOperation(ValueError):  # noqa: N818 - named after what it says
    """The dialect has no such operation, or the call lacks what its path needs."""


def build_request(
    dialect: Dialect, operation: str, params: Mapping[str, Any], target: Target, principal: Principal
) -> Sent:
    """The request of one operation.

    ``params`` are those of :data:`~conformance.dialects.model.PARAMETERS`. One that is absent or None leaves
    out its field, query parameter or header; one that the vendor has no place for is not sent. ``messages``
    win over ``prompt`` and ``system``.

    Raises:
        UnsupportedOperation: the dialect has no such operation, or a parameter of its path is missing.
    """
    found = dialect.operations.get(operation)
    if found is None:
        raise UnsupportedOperation(f"the dialect {dialect.name} has no operation {operation}")
    params = settled(dialect, params)
    values = {**params, **_conversation(dialect.messages, params)}
    url = target.base_url.rstrip("/") + _path(found.path, values, operation)
    query = [(name, _text(v)) for name, v in _members(found.query, values) if v is not _ABSENT]
    url = with_query(url, (*query, *dialect.auth_query(target, principal)))
    headers = _headers({**dialect.request_headers, **found.headers}, values)
    body = b""
    if found.body is not None:
        headers.append(("Content-Type", "application/json"))
        body = _json({k: v for k, v in _members(found.body, values) if v is not _ABSENT})
    headers.extend(dialect.auth_headers(target, principal))
    return Sent(found.method, url, _overridden(headers, target.headers), body)


def settled(dialect: Dialect, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the vendor takes them: its defaults filled in, a number below its minimum raised to it."""
    found = dict(params)
    for name, demanded in dialect.parameters.items():
        value = found.get(name)
        if value is None and demanded.default is not None:
            found[name] = demanded.default
        elif isinstance(value, int | float) and value > 0 and demanded.minimum is not None:
            found[name] = max(value, demanded.minimum)
    return found


# ---- templates


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its placeholders filled, or ``_ABSENT`` if all that it held is absent.

    A string that is exactly one placeholder becomes the value with its type; else values are put in as text.
    """
    if isinstance(template, str):
        return _fill_text(template, values)
    if isinstance(template, Mapping):
        kept = {k: v for k, v in _members(template, values) if v is not _ABSENT}
        return kept if kept or not template else _ABSENT
    if isinstance(template, list):
        items = [v for v in (_fill(t, values) for t in template) if v is not _ABSENT]
        return items if items or not template else _ABSENT
    return template


def _members(template: Mapping[str, Any], values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, _fill(part, values)) for key, part in template.items()]


def _fill_text(template: str, values: Mapping[str, Any], encode: Callable[[str], str] = str) -> Any:
    whole = _WHOLE.fullmatch(template)
    if whole is not None and encode is str:
        value = values.get(whole[1])
        return _ABSENT if value is None else value
    if any(values.get(name) is None for name in _WHOLE.findall(template)):
        return _ABSENT
    return _WHOLE.sub(lambda m: encode(_text(values[m[1]])), template)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---- parts of the request


def _path(template: str, values: Mapping[str, Any], operation: str) -> str:
    filled = _fill_text(template, values, lambda text: quote(text, safe="", errors="surrogatepass"))
    if filled is _ABSENT:
        missing = ", ".join(n for n in _WHOLE.findall(template) if values.get(n) is None)
        raise UnsupportedOperation(f"{operation} cannot be sent without {missing}")
    return str(filled)


def with_query(url: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """The URL with these parameters added to its query, percent-encoded."""
    if not pairs:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(pairs, quote_via=quote, errors="surrogatepass")


def with_headers(
    headers: tuple[tuple[str, str], ...], changes: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The headers with these in the place of those of the same name in any case; an empty value removes one."""
    lowered = {name.lower() for name in changes}
    kept = tuple((k, v) for k, v in headers if k.lower() not in lowered)
    return kept + tuple((k, v) for k, v in changes.items() if v != "")


def _headers(template: Mapping[str, str], values: Mapping[str, Any]) -> Headers:
    return [(name, _text(v)) for name, v in _members(template, values) if v is not _ABSENT]


def _overridden(headers: Headers, own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The target's own headers take the place of the dialect's of the same name, in any case."""
    names = {name.lower() for name in own}
    return (*((k, v) for k, v in headers if k.lower() not in names), *own.items())


def _json(body: Any) -> bytes:
    """Compact UTF-8 JSON. A lone surrogate, which UTF-8 cannot hold, is sent as its ``\\uXXXX`` escape."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


# ---- the conversation


def _conversation(rules: Messages, params: Mapping[str, Any]) -> dict[str, Any]:
    """``messages`` as the vendor writes them, and ``system`` where the vendor has it apart."""
    messages, system = params.get("messages"), params.get("system")
    if messages is None and params.get("prompt") is not None:
        messages = [{"role": "user", "content": params["prompt"]}]
        if system is not None and not rules.apart:
            messages.insert(0, {"role": "system", "content": system})
    if not isinstance(messages, list):
        return {"messages": messages}  # absent, or wrong on purpose
    if rules.apart:
        told = [m for m in messages if _role(m) == "system"]
        messages = [m for m in messages if _role(m) != "system"]
        system = "\n\n".join(str(m.get("content")) for m in told) if told else system
    return {"messages": [_message(rules, m) for m in messages], "system": system}


def _message(rules: Messages, message: Any) -> Any:
    """One message in the vendor's form; what is none of the contract stays as it is, wrong on purpose."""
    role = _role(message)
    if role is None:
        return message
    renamed = rules.roles.get(role, role)
    if rules.item is None:
        return {**message, "role": renamed}
    return _fill(rules.item, {"role": renamed, "content": message.get("content")})


def _role(message: Any) -> str | None:
    role = message.get("role") if isinstance(message, dict) else None
    return role if isinstance(role, str) else None
