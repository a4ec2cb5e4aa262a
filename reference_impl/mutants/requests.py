"""Rewriting requests on their way in, and answers by what they answer, at the ASGI boundary."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reference_impl.mutants.model import ASGIApp
from reference_impl.mutants.wire import Answer, edit_answers, with_header
from reference_impl.settings import BASE_PATH

Wrap = Callable[[ASGIApp], ASGIApp]
_MAIN_KEY = b"Bearer sk-demo"
Requests = Callable[[Any, bytes], tuple[Any, bytes]]


async def read_request(receive: Any) -> bytes:
    """The whole body of a request."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def replaying(body: bytes, receive: Any) -> Callable[[], Any]:
    """A ``receive`` that gives the body first, then whatever comes."""
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def edit_requests(edit: Requests, methods: tuple[str, ...] = ("POST",)) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite requests before the application sees them; Content-Length follows the body."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] not in methods:
                await app(scope, receive, send)
                return
            body = await read_request(receive)
            scope, changed = edit(scope, body)
            if changed != body:
                length = str(len(changed)).encode()
                scope = {**scope, "headers": with_header(list(scope["headers"]), b"content-length", length)}
            await app(scope, replaying(changed, receive), send)

        return wrapped

    return wrap


def below(scope: Any, path: str) -> bool:
    return bool(scope["path"].startswith(BASE_PATH + path))


def bodies(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the JSON of requests to one path."""

    def edit(scope: Any, body: bytes) -> tuple[Any, bytes]:
        try:
            payload = json.loads(body)
        except ValueError:
            return scope, body
        if scope["path"] != BASE_PATH + path or not isinstance(payload, dict):
            return scope, body
        changed = change(payload)
        return scope, body if changed == payload else json.dumps(changed).encode()

    return edit_requests(edit)


def as_main(path: str) -> Wrap:
    """Whoever asks below this path is taken for the main principal."""

    def edit(scope: Any, body: bytes) -> tuple[Any, bytes]:
        if not below(scope, path):
            return scope, body
        return {**scope, "headers": with_header(list(scope["headers"]), b"authorization", _MAIN_KEY)}, body

    return edit_requests(edit, ("GET", "DELETE"))


def answers(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the JSON of 200 answers below one path."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or not below(answer.scope, path) or not answer.body.startswith(b"{"):
            return answer
        return answer.with_json(change(answer.json))

    return edit_answers(edit)


def chat_metadata(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    return answers("/chat", lambda b: {**b, "metadata": change(b["metadata"])} if "metadata" in b else b)


def on_code(code: str, change: Callable[[Answer], Answer]) -> Wrap:
    return edit_answers(lambda a: change(a) if a.status >= 400 and f'"{code}"'.encode() in a.body else a)
