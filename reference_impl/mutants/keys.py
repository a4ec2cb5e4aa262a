"""Mutants of idempotency keys and of caches: whose answer it is, and whether it is a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.mutants.asked import answer_json, fields_of, given, header_of, whole_body
from reference_impl.mutants.edits import edit_metadata, set_header_on, when
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import Answer, edit_answers, without
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import LedgerIdempotency, Ticket
from reference_impl.policies.parsing import StrictJson
from reference_impl.store.ledger import Ledger, StoredAnswer

DAY = 86_400.0
HOUR = 3_600.0


class _Stuck(LedgerIdempotency):
    """Loses the answer and keeps the claim."""

    async def complete(self, ledger: Ledger, ticket: Ticket, answer: StoredAnswer) -> None:
        return


class _StreamsUnkept(LedgerIdempotency):
    """Keeps answers, and forgets streams."""

    async def complete(self, ledger: Ledger, ticket: Ticket, answer: StoredAnswer) -> None:
        if answer.media_type == "text/event-stream":
            await self.release(ledger, ticket)
        else:
            await super().complete(ledger, ticket, answer)


class _SeedRefused(StrictJson):
    def parse(self, body: bytes) -> Any:
        value = super().parse(body)
        if isinstance(value, dict) and isinstance(value.get("seed"), int):
            raise ContractError("INVALID_REQUEST", "There are no seeds.", param="/seed", details={"errors": [{"pointer": "/seed", "message": "unknown"}]})  # fmt: skip
        return value


Key = Callable[[Any, dict[str, Any]], str]


def _caller(scope: Any) -> str:
    return header_of(scope, b"authorization").decode("latin-1")


def _everything(scope: Any, asked: dict[str, Any]) -> str:
    return _caller(scope) + repr(sorted(asked.items()))


def _whoever_asks(_scope: Any, asked: dict[str, Any]) -> str:
    return repr(sorted(asked.items()))


def _last_message(scope: Any, asked: dict[str, Any]) -> str:
    return _caller(scope) + str(asked["messages"][-1])


def _cache(
    key: Key, *, label: tuple[bytes, bytes] | None = (b"x-cache", b"HIT"), heeds_no_cache: bool = True
) -> Callable[[ASGIApp], ASGIApp]:
    """A gateway that gives whole chat answers again to requests without an idempotency key."""

    def wrap(app: ASGIApp) -> ASGIApp:
        kept: dict[str, Answer] = {}

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/chat"):
                await app(scope, receive, send)
                return
            body = await whole_body(receive)
            asked = fields_of(body)
            usable = isinstance(asked.get("messages"), list) and asked["messages"] and not asked.get("stream")
            keyed = "idempotency_key" in asked or header_of(scope, b"idempotency-key")
            if not usable or keyed or asked.get("deferred"):
                await app(scope, given(body, receive), send)
                return
            fresh = heeds_no_cache and header_of(scope, b"cache-control") == b"no-cache"
            name = key(scope, asked)
            if name in kept and not fresh:
                answer = kept[name]
                headers = without(answer.headers, b"content-length", b"content-type")
                await answer_json(send, 200, answer.json, [*headers, *([label] if label else [])])
                return

            def keep(answer: Answer) -> Answer:
                if answer.status == 200:
                    kept[name] = answer
                return answer

            await edit_answers(keep)(app)(scope, given(body, receive), send)

        return wrapped

    return wrap


def _is_replay(answer: Answer) -> bool:
    return answer.status == 200 and any(k.lower() == b"idempotency-replayed" for k, _ in answer.headers)


def _stored_request_id(answer: Answer) -> Answer:
    return set_header_on(answer, b"x-request-id", answer.json["metadata"]["request_id"].encode())


def _without_expiry(metadata: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in metadata.items() if k != "idempotency"}


MUTANTS = (
    mutant("key-stuck", "IDEM-07 IDEM-01", "a key stays in progress for ever", says="409", policies=lambda p: replace(p, idempotency=_Stuck(DAY))),
    mutant("key-of-stream-forgotten", "IDEM-17 IDEM-18", "a repeated stream is generated again", says="again|another one", policies=lambda p: replace(p, idempotency=_StreamsUnkept(DAY))),
    mutant("key-kept-an-hour", "IDEM-13", "a key is kept for an hour", says=r"1\.0 hours", policies=lambda p: replace(p, idempotency=LedgerIdempotency(HOUR))),
    mutant("key-expiry-untold", "IDEM-13", "nobody tells until when a key is kept", says="expiry", wrap=edit_metadata(_without_expiry)),
    mutant("replay-with-old-request-id", "IDEM-19", "a replay has the request id of the first answer", says="request id of its own", wrap=when(_is_replay, _stored_request_id)),
    mutant("cache-on-by-default", "CACHE-01", "equal requests are answered from a cache", says="execution for each", wrap=_cache(_everything)),
    mutant("cache-unlabelled", "CACHE-02", "a cached answer looks like a new one", says="unlabelled", wrap=_cache(_everything, label=None)),
    mutant("cache-ignores-no-cache", "CACHE-03", "no-cache is not heeded", says="given before", wrap=_cache(_everything, heeds_no_cache=False)),
    mutant("cache-by-last-message", "CACHE-04", "the cache looks at the last message only", says="changed", wrap=_cache(_last_message)),
    mutant("cache-of-all-tenants", "CACHE-06", "one cache for all tenants", says="another principal", wrap=_cache(_whoever_asks)),
    mutant("seed-refused", "CACHE-05", "a seed is refused", says="seed", policies=lambda p: replace(p, parsing=_SeedRefused())),
)  # fmt: skip
