"""After the baseline: is this a target at all, or was it described wrongly? One line that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.dialects.model import Dialect
from conformance.evidence import NOT_JSON, Exchange
from conformance.reading import Reading

_UNREACHABLE = ("connect", "tls")


class UnusableTarget(Exception):  # noqa: N818 - a signal
    """The run cannot start; ``exit_code`` 2 for a wrong description, 3 for an unreachable target."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def refuse_unusable(baseline: Sequence[Exchange], dialect: Dialect) -> None:
    """Raise :class:`UnusableTarget` when no call of this run could succeed.

    A target that merely answers badly (hangs, resets, a wrong shape) is judged, not refused.
    """
    chats = {e.role.partition("!")[0]: e for e in baseline if e.operation == "chat"}
    if not chats and "{model}" in dialect.operations["chat"].path:
        raise UnusableTarget("no model is known, and the target lists none: give --model", 2)
    for role, chat in chats.items():
        further = role.startswith("replica ")
        where = chat.sent.url.split("?", 1)[0]
        _refuse(chat, f"{role}, {where}" if further else where, dialect)
        if further and chat.status is None:
            told = chat.failure.detail if chat.failure else "no response"
            raise UnusableTarget(f"{role}, {where}, does not answer: {told}; the run needs every replica", 3)


def _refuse(chat: Exchange, base: str, dialect: Dialect) -> None:
    if chat.failure and chat.failure.kind in _UNREACHABLE:
        hint = "is it running, and is the port right?"
        if chat.failure.kind == "tls":
            hint = "check the certificate, or give --ca-bundle FILE or --insecure"
        raise UnusableTarget(f"cannot reach {base}: {chat.failure.detail}; {hint}", 3)
    if chat.failure and chat.failure.kind == "redirect_refused":
        raise UnusableTarget(
            f"{base} sends every call elsewhere, where no key is sent: {chat.failure.detail};"
            " give the URL it points to, if that is the API",
            3,
        )
    if chat.failure or chat.status is None or chat.status < 400:
        if chat.failure is None and _is_html(chat):
            raise UnusableTarget(f"{base} answers {chat.status} with an HTML page: is the base URL right?", 2)
        return
    error = Reading(chat, dialect).error
    if (error.raw_code.value, error.param.value) == ("unsupported_parameter", "max_tokens"):
        raise UnusableTarget(
            f"{base} does not take max_tokens with this model, but max_completion_tokens: give --dialect openai",
            2,
        )
    if chat.status in (401, 403):
        given = "the key was refused" if _sent_credential(chat, dialect) else "a key is needed: give --key"
        raise UnusableTarget(f"{base} answers {chat.status}: {given}", 2)
    if error.code == "MODEL_NOT_FOUND":
        raise UnusableTarget(f"{base} knows no model '{chat.params.get('model')}': give --model", 2)
    if chat.status in (404, 405) and (_is_html(chat) or chat.json is NOT_JSON or error.code is None):
        raise UnusableTarget(f"{base} answers {chat.status}: is the base URL right, and the dialect?", 2)


def _sent_credential(chat: Exchange, dialect: Dialect) -> bool:
    auth = dialect.auth
    return bool(chat.sent_header(auth.header) if auth.header else f"{auth.query}=" in chat.sent.url)


def _is_html(exchange: Exchange) -> bool:
    return exchange.media_type == "text/html" or exchange.content[:200].lstrip().lower().startswith(
        (b"<!doctype", b"<html")
    )
