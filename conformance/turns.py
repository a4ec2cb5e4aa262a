"""Between several replicas a run is the balancer: which replica each call of a probe goes to.

What is to be seen is whether replicas share their state. So the choice is no matter of luck, and the same in every run:
who comes back to something comes to another replica (docs/decisions/0042-replicas-in-turn.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.evidence import Exchange, Principal, Sent
from conformance.replicas import Replicas
from conformance.wire.redact import CREDENTIAL_HEADERS

_KEY = "idempotency-key"
_BODY_KEY = "idempotency_key_body"


class Turns:
    """The calls of one probe, each given to a replica when it is asked for, so that calls side by side are too.

    A call with an idempotency key that the probe has used before goes to another replica than the first one with it: a
    retry is always across. A call that names a thing by an id which an answer gave out (a job, a session, a run) goes
    to the replica after the one that gave it out, and from there in turn for each thing: a job is polled at all of
    them. All other calls go to the replicas in turn. ``seen`` are the exchanges of the probe so far.

    A call without one of the tester's keys that brings another credential goes to the first replica. An access token is
    for one address (``aud``, RFC 9068 section 4), and that of the first replica need not be known to the others: each
    may take the Host of a request for its own, which behind a balancer is the same for all.
    """

    def __init__(self, bases: Sequence[str], seen: Sequence[Exchange]) -> None:
        self._replicas, self._seen = Replicas(tuple(base.rstrip("/") for base in bases)), seen
        self._next = 0
        self._homes: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def given(self, sent: Sent, params: Mapping[str, Any], principal: Principal) -> Sent:
        """The request, which was made for the first replica, as it goes to the one whose turn it is."""
        if not self._replicas.several:
            return sent
        if principal == "none" and any(name.lower() in CREDENTIAL_HEADERS for name, _ in sent.headers):
            return self.at_first(sent, params)
        return self.to(self._choose(sent, params), sent)

    def together(self, requests: Sequence[Sent]) -> list[Sent]:
        """Requests for one connection, as they go to the one replica whose turn it is."""
        if not self._replicas.several:
            return list(requests)
        index = self._choose(requests[0], {})
        return [self.to(index, sent) for sent in requests]

    def at_first(self, sent: Sent, params: Mapping[str, Any]) -> Sent:
        """The request as it is, for the first replica; the next call goes to the second."""
        if self._replicas.several:
            self._next = 1
            for key in _keys(sent, params):
                self._homes.setdefault(key, 0)
        return sent

    def to(self, index: int, sent: Sent) -> Sent:
        """The request for the replica of that index, counted from 0."""
        bases = self._replicas.bases
        return replace(sent, url=bases[index] + sent.url.removeprefix(bases[0]))

    def _choose(self, sent: Sent, params: Mapping[str, Any]) -> int:
        keys = _keys(sent, params)
        known = next((key for key in keys if key in self._homes), None)
        if known is not None:
            index = self._away(known)
        elif (thing := self._thing(params)) is not None:
            index = self._last[thing] = self._after(self._last[thing])
        else:
            index, self._next = self._next, self._after(self._next)
        for key in keys:
            self._homes.setdefault(key, index)
        return index

    def _away(self, key: str) -> int:
        home = self._homes[key]
        index = self._after(self._last.get(key, home))
        self._last[key] = index = self._after(index) if index == home else index
        return index

    def _thing(self, params: Mapping[str, Any]) -> str | None:
        """The thing that the call names, if this probe has it from an answer."""
        for name, value in params.items():
            if not name.endswith("_id") or not isinstance(value, str) or not value:
                continue
            if value in self._last or self._given_out(value):
                return value
        return None

    def _given_out(self, identity: str) -> bool:
        for exchange in self._seen:
            if identity.encode("utf-8", "surrogatepass") in exchange.content:
                self._last[identity] = (self._replicas.number(exchange.sent.url) or 1) - 1
                return True
        return False

    def _after(self, index: int) -> int:
        return (index + 1) % len(self._replicas.bases)


def _keys(sent: Sent, params: Mapping[str, Any]) -> list[str]:
    """The idempotency keys of a request, as one key whether quoted or bare, in the header or in the body."""
    found: Iterable[Any] = (
        *(value for name, value in sent.headers if name.lower() == _KEY),
        params.get(_BODY_KEY),
    )
    return [key.strip().strip('"') for key in found if isinstance(key, str)]
