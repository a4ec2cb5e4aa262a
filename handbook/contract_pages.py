"""The contract for those who call it: API reference, WebSocket, error codes, capabilities and profiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from conformance.dialects.model import builtin_dialects, load_dialect
from conformance.gate.policy import BUILT_IN
from handbook.markdown import code
from handbook.page import Found, Item, Page, in_turn
from handbook.wording import CAPABILITIES
from spec.asyncapi import load_asyncapi
from spec.catalogue import requirements
from spec.document import load_document, operations, resolve
from spec.errors import ERRORS, ErrorEntry

METHOD_WORDS = {"receive": "the client sends", "send": "the server sends"}


def contract_pages() -> list[Page]:
    """All of them."""
    document = load_document()
    return [_reference(document), _websocket(), *_errors(document), *_capabilities()]


def _reference(document: Mapping[str, Any]) -> Page:
    # "</" would end the script element that holds the document; JSON allows the escape.
    inline = json.dumps(document, ensure_ascii=False).replace("</", "<\\/")
    search = [
        Found("operation", f"{method.upper()} {path}", "api/index.html", operation["summary"])
        for path, method, operation in operations(document)
    ]
    about = "Every operation with its streams, webhooks and errors, from the OpenAPI 3.2 document."
    return Page("api/index.html", "API reference", "api.html.j2", about, {"document": inline}, search=search)


def _websocket() -> Page:
    document = load_asyncapi()
    channel = document["channels"]["chat"]
    messages = [
        {
            "name": name,
            "schema": code(json.dumps(resolve(document, m["payload"]), indent=2), "json"),
            "about": resolve(document, m["payload"]).get("description", ""),
            "examples": [code(json.dumps(e["payload"]), "json") for e in m.get("examples", ())],
        }
        for name, m in document["components"]["messages"].items()
    ]
    spoken = [
        {
            "title": o["title"],
            "summary": o["summary"],
            "who": METHOD_WORDS[o["action"]],
            "messages": [_last(m) for m in o["messages"]],
            "reply": [_last(m) for m in o.get("reply", {}).get("messages", ())],
        }
        for o in document["operations"].values()
    ]
    aside = [
        Item("WebSocket"),
        *(Item(m["name"], f"websocket/index.html#message-{m['name']}") for m in messages),
    ]
    data = {"document": document, "channel": channel, "messages": messages, "spoken": spoken}
    about = "What is spoken after the upgrade of GET /chat/ws, from the AsyncAPI 3.0 document."
    search = [Found("page", "WebSocket", "websocket/index.html", about)]
    return Page("websocket/index.html", "WebSocket", "websocket.html.j2", about, data, aside, search)


def _last(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rsplit("/", 1)[-1]


def _errors(document: Mapping[str, Any]) -> list[Page]:
    answered: dict[str, list[str]] = {}
    for path, method, operation in operations(document):
        for name in operation["x-errors"]:
            answered.setdefault(name, []).append(f"{method.upper()} {path}")
    aside = [
        Item("All error codes", "errors/index.html"),
        *(Item(c, f"errors/{c}/index.html") for c in ERRORS),
    ]
    about = "What each code means, whether a retry can help, and what to do."
    overview = Page("errors/index.html", "Error codes", "errors.html.j2", about, {"errors": ERRORS})
    return [
        overview,
        *in_turn([_error(e, document, answered.get(e.code, []), aside) for e in ERRORS.values()]),
    ]


def _error(entry: ErrorEntry, document: Mapping[str, Any], answered: list[str], aside: list[Item]) -> Page:
    examples = document["components"]["examples"]
    path = f"errors/{entry.code}/index.html"
    data = {
        "e": entry,
        "envelope": code(json.dumps(examples[entry.code]["value"], indent=2), "json"),
        "problem": code(json.dumps(examples[f"{entry.code}.problem"]["value"], indent=2), "json"),
        "everywhere": len(answered) == sum(1 for _ in operations(document)),
        "answered": answered,
        "named": [r for r in requirements().values() if entry.code in r.text + r.fix],
    }
    search = [Found("error", entry.code, path, entry.meaning)]
    return Page(path, entry.code, "error.html.j2", entry.meaning, data, aside, search)


def _capabilities() -> list[Page]:
    names = ["core", *sorted({r.capability for r in requirements().values()} - {"core"})]
    dialects = [load_dialect(name) for name in builtin_dialects()]
    aside = [
        Item("All capabilities", "capabilities/index.html"),
        *(Item(n, f"capabilities/{n}/index.html") for n in names),
    ]
    pages = []
    for name in names:
        path = f"capabilities/{name}/index.html"
        data = {
            "name": name,
            "requirements": [r for r in requirements().values() if r.capability == name],
            "profiles": [p.name for p in BUILT_IN.values() if name in p.capabilities],
            "offered": [(d.name, d.offer(name).state) for d in dialects],
        }
        about = CAPABILITIES.get(name, "")
        search = [Found("capability", name, path, about)]
        pages.append(Page(path, name, "capability.html.j2", about, data, aside, search))
    overview_data: dict[str, Any] = {
        "listed": {n: [r for r in requirements().values() if r.capability == n] for n in names},
        "profiles": BUILT_IN,
        "words": CAPABILITIES,
    }
    about = "Named parts of the contract. A profile is a set of them that a gate demands."
    overview = Page(
        "capabilities/index.html", "Capabilities and profiles", "capabilities.html.j2", about, overview_data
    )
    return [overview, *in_turn(pages)]
