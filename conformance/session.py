"""What a probe has in hand: it sends through the dialect, and everything is recorded.

The session keeps the run's budget, its concurrency and its circuit breaker; a probe never has to.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from conformance.budget import GENERATING, Share, most_of
from conformance.dialects.model import Dialect
from conformance.dialects.request import UnsupportedOperation, build_request, settled, with_query
from conformance.evidence import AUTHORIZATION_SERVER, Exchange, Frame, Outcome, Principal, ProbeRecord, Sent
from conformance.reading import Probed, Reading, borrowed
from conformance.run import Run
from conformance.target import Limits, OAuth, Target
from conformance.wire.http import Recorded
from conformance.wire.receiver import Receiver
from conformance.wire.websocket import Conversation, converse

TRIES = 2
"""How often a refused call is sent again: when its turn comes, and once more after the wait it is told then."""

LIMITED = "!429"
"""Suffix of the role of an answer that was refused by a limit and then sent again as told."""

NO_CLIENT = "needs a client: --oauth-token-url, --client-id and --client-secret, or oauth in aiconform.toml"

HangUp = Callable[[bytes], bool]


class ProbeSkipped(Exception):  # noqa: N818 - a signal
    """The probe cannot be sent: names the missing provocation, key or operation."""


@dataclass(frozen=True)
class Ask:
    """A call of :meth:`Session.in_turn`; the fields are the parameters of :meth:`Session.call`."""

    operation: str
    role: str
    principal: Principal = "main"
    body: bytes | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


class Session:
    """The run as one probe sees it."""

    def __init__(self, run: Run, probe: str, *, exhausts: bool = False) -> None:
        self._run, self._probe, self._exhausts = run, probe, exhausts
        self._wire = run.wire
        self._mine: list[Exchange] = []
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
        target = self.target
        if target.callback_url is not None:
            port = target.callback_port or urlsplit(target.callback_url).port
            return Receiver("0.0.0.0", port or 0, target.callback_url)  # noqa: S104 - the tester asked for it
        if target.local:
            return Receiver("127.0.0.1", 0)
        raise ProbeSkipped(
            "webhooks need a way back: say with --callback-url where the target reaches this machine"
        )

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
        other._wire = self._run.bare_wire
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
        return await self._send(sent, operation, role, principal, params, hang_up, limits)

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
        does not depend on when, or how often, they are sent. ``provoked``: a 5xx is what was asked for.
        """
        asked = settled(self.dialect, {"model": self.target.model, **params})
        sent = self._built(operation, asked, principal, headers, body)

        async def send() -> Reading:
            return await self._send(sent, operation, role, principal, asked, None, None)

        return await self._once_a_run(sent, role, send, provoked=provoked)

    @property
    def mark(self) -> str:
        """32 hex digits that no other run has: also a trace id."""
        return self._run.mark

    def run_key(self, name: str) -> str:
        """An idempotency key of this run, the same for each probe that asks for it by this name."""
        return f"aiconform-{name}-{self._run.mark}"

    async def in_turn(self, *asked: Ask) -> list[Reading]:
        """Calls one after the other on one connection; fewer readings than calls if it could not be kept open.

        What a limit refuses is not sent again.
        """
        named = [settled(self.dialect, {"model": self.target.model, **a.params}) for a in asked]
        sent = [
            self._built(a.operation, p, a.principal, None, a.body) for a, p in zip(asked, named, strict=True)
        ]
        most = [most_of(a.operation, p, s.body) for a, p, s in zip(asked, named, sent, strict=True)]
        async with self._run.slots:
            for share in most:
                self._run.admit(share)
            started = time.time()
            answers = await self._wire.send_in_turn(sent, self._limits("chat"))
        readings = []
        for ask, params, share, recorded in zip(asked, named, most, answers, strict=False):
            reading = self._recorded(recorded, ask.operation, ask.role, ask.principal, params, started)
            started += reading.exchange.t_end or 0.0
            self._run.note(reading, share)
            readings.append(reading)
        for share in most[len(answers) :]:
            self._run.withdraw(share)
        return readings

    async def models(self, role: str = "models") -> Reading:
        """The list of models, once a run."""
        return await self.shared("models", role)

    async def capabilities(self) -> Reading:
        """What the API says that it offers, once a run; with the key where it tells nobody without."""
        public = await self.shared("capabilities", "capabilities", principal="none")
        return public if public.ok else await self.shared("capabilities", "capabilities")

    async def _once_a_run(
        self, sent: Sent, role: str, send: Callable[[], Awaitable[Reading]], *, provoked: bool = False
    ) -> Reading:
        reading, fresh = await self._run.sharing.once(sent, send, provoked=provoked)
        if fresh:
            return reading
        self._borrowed[role] = reading.exchange.id
        mine = borrowed(reading, self._probe, role)
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
        changed = replace(sent, headers=_override(sent.headers, headers or {}))
        return changed if body is None else replace(changed, body=body)

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
        sent = replace(built, body=b"")

        async def talk(conversation: Conversation) -> None:
            await script(conversation, message)

        async with self._run.slots:
            most = most_of("chat_socket", params, built.body)
            self._run.admit(most)
            started = time.time()
            recorded, frames = await converse(self._wire, sent, limits or self.target.limits, talk)
        reading = self._recorded(recorded, "chat_socket", role, principal, params, started, frames)
        # What the answers on it took stands in their frames; only an upgrade that was refused took nothing for sure.
        self._run.note(reading, most, most if reading.status == 101 else Share())
        return reading

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
        sent = Sent(
            method,
            with_query(
                self.target.base_url.rstrip("/") + path, self.dialect.auth_query(self.target, principal)
            ),
            _override(self.dialect.auth_headers(self.target, principal), headers or {}),
            body,
        )
        return await self._send(sent, "raw", role, principal, {}, None, limits)

    async def odd(self, operation: str, role: str, body: bytes | None) -> Reading:
        """Send an operation with a body that need not make sense. It is budgeted like the operation, and recorded as
        ``raw``: its answer says nothing about those to sensible requests."""
        sent = self._built(operation, {"model": self.target.model}, "main", None, body)
        return await self._send(sent, "raw", role, "main", {}, None, None, budgeted_as=operation)

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

        async def send() -> Reading:
            return await self._send(sent, AUTHORIZATION_SERVER, role, "none", {}, None, None)

        return await (self._once_a_run(sent, role, send) if shared else send())

    async def _send(
        self,
        sent: Sent,
        operation: str,
        role: str,
        principal: Principal,
        params: Mapping[str, Any],
        hang_up: HangUp | None,
        limits: Limits | None,
        budgeted_as: str | None = None,
    ) -> Reading:
        like = budgeted_as or operation
        reading = await self._once(sent, operation, role, principal, params, hang_up, limits, like)
        if self._exhausts or self._run.wait_of(reading) is None:
            return reading
        refused_at = time.monotonic()
        async with self._run.line(principal):
            for _ in range(TRIES):
                wait = self._run.wait_of(reading)
                if wait is None:
                    break
                await asyncio.sleep(max(0.0, refused_at + wait - time.monotonic()))
                reading = await self._once(sent, operation, role, principal, params, hang_up, limits, like)
                refused_at = time.monotonic()
        return reading

    async def _once(
        self,
        sent: Sent,
        operation: str,
        role: str,
        principal: Principal,
        params: Mapping[str, Any],
        hang_up: HangUp | None,
        limits: Limits | None,
        like: str,
    ) -> Reading:
        async with self._run.slots:
            most = most_of(like, params, sent.body)
            self._run.admit(most)
            started = time.time()
            recorded: Recorded = await self._wire.send(sent, limits or self._limits(like), hang_up)
        if recorded.recording.status == 429 and not self._exhausts:
            role += LIMITED
        reading = self._recorded(recorded, operation, role, principal, params, started)
        self._run.note(reading, most)
        return reading

    def _recorded(
        self,
        recorded: Recorded,
        operation: str,
        role: str,
        principal: Principal,
        params: Mapping[str, Any],
        started: float,
        frames: tuple[Frame, ...] = (),
    ) -> Reading:
        exchange = Exchange(
            id=self._run.next_id(),
            probe=self._probe,
            role=role,
            operation=operation,
            principal=principal,
            params=params,
            sent=recorded.sent,
            started_at=started,
            frames=frames,
            **recorded.response(),
        )
        self._mine.append(exchange)
        return Reading(exchange, self.dialect)

    def _limits(self, operation: str) -> Limits:
        # A model may work as long as the whole call may take before the head of its answer comes.
        limits = self.target.limits
        return replace(limits, headers=limits.total) if operation in GENERATING else limits

    def so_far(self) -> Probed:
        """What this probe recorded until now, for a probe whose next step depends on it."""
        return Probed(self.record("done"), tuple(Reading(e, self.dialect) for e in self._mine))

    def record(self, outcome: Outcome, reason: str = "") -> ProbeRecord:
        """What became of the probe."""
        return ProbeRecord(self._probe, outcome, reason, self.notes, self._borrowed)


def _override(
    headers: tuple[tuple[str, str], ...], changes: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    lowered = {name.lower() for name in changes}
    kept = tuple((k, v) for k, v in headers if k.lower() not in lowered)
    return kept + tuple((k, v) for k, v in changes.items() if v != "")
