"""From an abstract operation and its parameters to the request on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from conformance.dialects.model import Dialect
from conformance.evidence import Principal, Sent
from conformance.target import Target

_WHOLE = re.compile(r"^\{([a-z_]+)\}$")
_PART = re.compile(r"\{([a-z_]+)\}")
_ABSENT = object()


class UnsupportedOperation(ValueError):  # noqa: N818 - named after what it says
    """The dialect has no such operation."""


def build_request(
    dialect: Dialect, operation: str, params: Mapping[str, Any], target: Target, principal: Principal
) -> Sent:
    """The request of one operation. A parameter that is absent or None leaves its field or header out.

    ``prompt`` and ``system`` are short for ``messages``.

    Raises:
        UnsupportedOperation: the dialect does not have the operation.
    """
    found = dialect.operations.get(operation)
    if found is None:
        raise UnsupportedOperation(f"the dialect {dialect.name} has no operation {operation}")
    values = {**params, "messages": _messages(params)}
    path = _PART.sub(lambda m: quote(str(values[m[1]]), safe=""), found.path)
    query = {k: v for k, v in ((k, _fill(v, values)) for k, v in found.query.items()) if v is not _ABSENT}
    url = target.base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    headers = [*dialect.auth_headers(target, principal)]
    headers += [(k, str(v)) for k, v in ((k, _fill(v, values)) for k, v in found.headers.items()) if v is not _ABSENT]
    headers += target.headers.items()
    body = b""
    if found.body is not None:
        headers.append(("Content-Type", "application/json"))
        body = json.dumps(_fill(found.body, values), ensure_ascii=False).encode()
    return Sent(found.method, url, tuple(headers), body)


def _messages(params: Mapping[str, Any]) -> Any:
    if params.get("messages") is not None:
        return params["messages"]
    if params.get("prompt") is None:
        return None
    system = [{"role": "system", "content": params["system"]}] if params.get("system") else []
    return [*system, {"role": "user", "content": params["prompt"]}]


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A string that is one placeholder becomes the typed value; objects lose members without a value."""
    if isinstance(template, str):
        whole = _WHOLE.match(template)
        if whole:
            value = values.get(whole[1])
            return _ABSENT if value is None else value
        return _PART.sub(lambda m: str(values.get(m[1], "")), template)
    if isinstance(template, Mapping):
        filled = {k: _fill(v, values) for k, v in template.items()}
        return {k: v for k, v in filled.items() if v is not _ABSENT}
    if isinstance(template, list):
        return [v for v in (_fill(t, values) for t in template) if v is not _ABSENT]
    return template
