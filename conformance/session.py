"""What a probe has in hand: it sends through the dialect, and everything is recorded.

The session keeps the run's budget, its concurrency and its circuit breaker; a probe never has to.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from conformance.budget import most_of
from conformance.dialects.model import Dialect
from conformance.dialects.request import (
    UnsupportedOperation,
    build_request,
    settled,
    with_headers,
    with_query,
)
from conformance.evidence import AUTHORIZATION_SERVER, Outcome, Principal, ProbeRecord, Sent
from conformance.needs import NO_CLIENT, ProbeSkipped, receiver_for
from conformance.reading import Probed, Reading, borrowed
from conformance.run import Run
from conformance.sending import Ask, HangUp, Outgoing, Sender
from conformance.target import Limits, OAuth, Target
from conformance.turns import Turns
from conformance.wire.receiver import Receiver
from conformance.wire.websocket import Conversation

__all__ = ["NO_CLIENT", "Ask", "HangUp", "ProbeSkipped", "Session"]

COMBINED = "combined"
"""In place of a probe: a request that serves several (:mod:`conformance.probes.combining`)."""


class Session:
    """The run as one probe sees it. Where the target has several replicas, its calls go to them in turn
    (:class:`~conformance.turns.Turns`); a call that a limit refused stays where it was."""

    def __init__(self, run: Run, probe: str, *, exhausts: bool = False) -> None:
        self._run, self._probe = run, probe
        self._sender = Sender(run, probe, exhausts=exhausts)
        self._mine = self._sender.sent
        self._turns = Turns(run.target.bases, self._mine)
        self.notes: dict[str, Any] = {}
        self._borrowed: dict[str, str] = {}

    @property
    def target(self) -> Target:
        return self._run.target

    @property
    def dialect(self) -> Dialect:
        return self._run.dialect

    def use_model(self, model: str) -> None:
        """The model of every later call of the run that names none."""
        self._run.use_model(model)

    def hide(self, value: str) -> None:
        """Keep a signing secret out of whatever is written; unlike a credential, the target may repeat it."""
        self._run.secrets.add(value)

    def receiver(self) -> Receiver:
        """A server for the target's webhooks, or skip this probe if the target cannot reach this machine."""
        return receiver_for(self.target)

    def has_key(self, principal: Principal) -> bool:
        return principal in self.target.keys

    def need_key(self, principal: Principal) -> None:
        """Skip this probe unless the tester gave that principal's key."""
        if not self.has_key(principal):
            raise ProbeSkipped(f"needs a second credential: --{principal}-key")

    def need_oauth(self) -> OAuth:
        """The client at the authorization server, or skip this probe."""
        if self.target.oauth is None:
            raise ProbeSkipped(NO_CLIENT)
        return self.target.oauth

    def need_oauth_trick(self, name: str) -> Mapping[str, str]:
        """The parameters that make the authorization server do what is rare, or skip this probe."""
        found = self.dialect.oauth.get(name)
        if found is None:
            raise ProbeSkipped(f"needs '{name}' in the dialect's section oauth")
        return found

    def without_certificate(self) -> Session:
        """The same probe, over connections on which the client shows no certificate."""
        other = copy.copy(self)
        other._sender = self._sender.without_certificate()
        return other

    def keep_secret(self, credential: str) -> None:
        """Have a credential that came up during the run removed from whatever is written."""
        self._run.issued.add(credential)

    def need_provocation(self, name: str) -> Mapping[str, Any]:
        """The call parameters that provoke a rare behaviour, or skip this probe."""
        found = self.dialect.provocations.get(name)
        if found is None:
            raise ProbeSkipped(f"needs a provocation for '{name}', which neither dialect nor target declares")
        return found

    async def call(
        self,
        operation: str,
        role: str,
        *,
        principal: Principal = "main",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        hang_up: HangUp | None = None,
        limits: Limits | None = None,
        **params: Any,
    ) -> Reading:
        """Send one abstract operation (``chat``, ``chat_stream``, ``classify``, ``models``, …) and record it.

        ``headers`` replace those of the same name in any case (an empty value removes one). ``body`` replaces the
        dialect's body byte for byte. ``hang_up`` is asked after each chunk with all body bytes so far; True closes
        the connection.
        Never raises for what the target does; raises :class:`RunStopped` when the budget is used up.
        """
        params = settled(self.dialect, {"model": self.target.model, **params})
        sent = self._built(operation, params, principal, headers, body)
        sent = self._turns.given(sent, params, principal)
        return await self._sender.send(Outgoing(sent, operation, role, principal, params, hang_up, limits))

    async def each_further_replica(self, operation: str, **params: Any) -> None:
        """One call to each replica but the first, in the roles ``replica 2``, ``replica 3``, …"""
        params = settled(self.dialect, {"model": self.target.model, **params})
        sent = self._built(operation, params, "main", None, None)
        for index in range(1, len(self.target.bases)):
            here = self._turns.to(index, sent)
            await self._sender.send(Outgoing(here, operation, f"replica {index + 1}", "main", params))

    async def shared(
        self,
        operation: str,
        role: str,
        *,
        principal: Principal = "main",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        provoked: bool = False,
        **params: Any,
    ) -> Reading:
        """Like :meth:`call`, but once a run: an equal request that any probe has shared is not sent again.

        The answer is evidence of each of these probes, under the role that each has for it. For requests whose answer
        does not depend on when, or how often, they are sent. ``provoked``: a 5xx is what was asked for. Of several
        replicas the first is asked, so that the call stays one for all probes; the probe's next goes to the second.
        """
        asked = settled(self.dialect, {"model": self.target.model, **params})
        sent = self._turns.at_first(self._built(operation, asked, principal, headers, body), asked)
        return await self._once_a_run(Outgoing(sent, operation, role, principal, asked), provoked=provoked)

    async def combined(self, operation: str, **request: Any) -> Reading:
        """Like :meth:`shared`, of a request that is peculiar in several ways: it is of no probe until :meth:`also`."""
        # What is peculiar may make a server fail: that is an answer, too, and would come again.
        return await Session(self._run, COMBINED).shared(operation, COMBINED, provoked=True, **request)

    def also(self, reading: Reading, *roles: str) -> None:
        """Make an answer evidence of this probe under more roles."""
        for role in roles:
            self._borrowed[role] = reading.exchange.id
            self._mine.append(borrowed(reading, self._probe, role).exchange)

    @property
    def mark(self) -> str:
        """32 hex digits that no other run has: also a trace id."""
        return self._run.mark

    def run_key(self, name: str) -> str:
        """An idempotency key of this run, the same for each probe that asks for it by this name."""
        return f"aiconform-{name}-{self._run.mark}"

    async def in_turn(self, *asked: Ask) -> list[Reading]:
        """Calls one after the other on one connection, and so at one replica; fewer readings than calls if it could not
        be kept open.

        What a limit refuses is not sent again.
        """
        named = [settled(self.dialect, {"model": self.target.model, **a.params}) for a in asked]
        sent = [
            self._built(a.operation, p, a.principal, None, a.body) for a, p in zip(asked, named, strict=True)
        ]
        return await self._sender.send_in_turn(
            [
                Outgoing(s, a.operation, a.role, a.principal, p)
                for a, p, s in zip(asked, named, self._turns.together(sent), strict=True)
            ]
        )

    async def models(self, role: str = "models") -> Reading:
        """The list of models, once a run."""
        return await self.shared("models", role)

    async def capabilities(self) -> Reading:
        """What the API says that it offers, once a run; with the key where it tells nobody without."""
        public = await self.shared("capabilities", "capabilities", principal="none")
        return public if public.ok else await self.shared("capabilities", "capabilities")

    async def _once_a_run(self, call: Outgoing, *, provoked: bool = False) -> Reading:
        reading, fresh = await self._run.sharing.once(
            call.sent, lambda: self._sender.send(call), provoked=provoked
        )
        if fresh:
            return reading
        self._borrowed[call.role] = reading.exchange.id
        mine = borrowed(reading, self._probe, call.role)
        self._mine.append(mine.exchange)
        return mine

    def _built(
        self,
        operation: str,
        params: Mapping[str, Any],
        principal: Principal,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> Sent:
        """The request of an abstract operation, as it goes out."""
        try:
            sent = build_request(self.dialect, operation, params, self.target, principal)
        except UnsupportedOperation as missing:
            raise ProbeSkipped(str(missing)) from None
        changed = with_headers(sent.headers, headers or {})
        return replace(sent, headers=changed, body=sent.body if body is None else body)

    async def socket(
        self,
        role: str,
        script: Callable[[Conversation, Mapping[str, Any]], Awaitable[None]],
        *,
        principal: Principal = "main",
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        **params: Any,
    ) -> Reading:
        """Open a WebSocket (operation ``chat_socket``) and run ``script`` on it, with the dialect's first message.

        The frames of both sides are recorded in the exchange. A refused upgrade is recorded like any response.
        """
        params = {"model": self.target.model, **params}
        built = self._built("chat_socket", params, principal, {"Content-Type": "", **(headers or {})}, None)
        message = json.loads(built.body) if built.body else {}
        sent = self._turns.given(replace(built, body=b""), params, principal)

        async def talk(conversation: Conversation) -> None:
            await script(conversation, message)

        call = Outgoing(sent, "chat_socket", role, principal, params, limits=limits)
        return await self._sender.converse(call, most_of("chat_socket", params, built.body), talk)

    async def raw(
        self,
        method: str,
        path: str,
        role: str,
        *,
        principal: Principal = "main",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limits: Limits | None = None,
    ) -> Reading:
        """Send a request that is no operation of the dialect; ``path`` is below the base URL."""
        url = self.target.base_url.rstrip("/") + path
        sent = Sent(
            method,
            with_query(url, self.dialect.auth_query(self.target, principal)),
            with_headers(self.dialect.auth_headers(self.target, principal), headers or {}),
            body,
        )
        sent = self._turns.given(sent, {}, principal)
        return await self._sender.send(Outgoing(sent, "raw", role, principal, limits=limits))

    async def odd(self, operation: str, role: str, body: bytes | None) -> Reading:
        """Send an operation with a body that need not make sense. It is budgeted like the operation, and recorded as
        ``raw``: its answer says nothing about those to sensible requests."""
        sent = self._turns.given(
            self._built(operation, {"model": self.target.model}, "main", None, body), {}, "main"
        )
        return await self._sender.send(Outgoing(sent, "raw", role, budgeted_as=operation))

    async def fetch(
        self,
        method: str,
        url: str,
        role: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        shared: bool = False,
    ) -> Reading:
        """Send a request to an authorization server, whose answers are not in the API's format. No key goes there.

        ``shared``: once a run, as by :meth:`shared`.
        """
        sent = Sent(method, url, tuple((headers or {}).items()), body)
        call = Outgoing(sent, AUTHORIZATION_SERVER, role, "none")
        return await (self._once_a_run(call) if shared else self._sender.send(call))

    def so_far(self) -> Probed:
        """What this probe recorded until now, for a probe whose next step depends on it."""
        return Probed(self.record("done"), tuple(Reading(e, self.dialect) for e in self._mine))

    def record(self, outcome: Outcome, reason: str = "") -> ProbeRecord:
        """What became of the probe."""
        return ProbeRecord(self._probe, outcome, reason, self.notes, self._borrowed)
