"""What a probe has in hand: it sends through the dialect, and everything is recorded.

The session keeps the run's budget, its concurrency and its circuit breaker; a probe never has to.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from conformance.budget import GENERATING, Share, most_of
from conformance.dialects.model import Dialect
from conformance.dialects.request import UnsupportedOperation, build_request, settled, with_query
from conformance.evidence import AUTHORIZATION_SERVER, Exchange, Frame, Principal, ProbeRecord, Sent
from conformance.reading import Probed, Reading
from conformance.run import Run
from conformance.target import Limits, OAuth, Target
from conformance.wire.http import Recorded
from conformance.wire.receiver import Receiver
from conformance.wire.websocket import Conversation, converse

TRIES = 2
"""How often a refused call is sent again: when its turn comes, and once more after the wait it is told then."""

LIMITED = "!429"
"""Suffix of the role of an answer that was refused by a limit and then sent again as told."""

NO_CLIENT = "needs a client: --oauth-token-url, --client-id and --client-secret"

HangUp = Callable[[bytes], bool]


class ProbeSkipped(Exception):  # noqa: N818 - a signal
    """The probe cannot be sent: names the missing provocation, key or operation."""


class Session:
    """The run as one probe sees it."""

    def __init__(self, run: Run, probe: str, *, exhausts: bool = False) -> None:
        self._run, self._probe, self._exhausts = run, probe, exhausts
        self._wire = run.wire
        self._mine: list[Exchange] = []
        self.notes: dict[str, Any] = {}

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
        try:
            sent = build_request(self.dialect, operation, params, self.target, principal)
        except UnsupportedOperation as missing:
            raise ProbeSkipped(str(missing)) from None
        if body is not None:
            sent = replace(sent, body=body)
        return await self._send(sent, operation, role, principal, params, headers, hang_up, limits)

    async def capabilities(self) -> Reading:
        """What the API says that it offers, for a probe that has to know it. Sent once a run, not once a probe.

        The exchange belongs to the probe that asked first. A check that judges this document needs a call of its own
        probe.
        """
        async with self._run.reading_capabilities:
            known = self._run.capabilities
            if known is None or not known.ok:
                known = self._run.capabilities = await self.call("capabilities", "capabilities")
            return known

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
        try:
            built = build_request(self.dialect, "chat_socket", params, self.target, principal)
        except UnsupportedOperation as missing:
            raise ProbeSkipped(str(missing)) from None
        message = json.loads(built.body) if built.body else {}
        kept = tuple((k, v) for k, v in built.headers if k.lower() != "content-type")
        sent = replace(built, headers=_override(kept, headers or {}), body=b"")

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
            self.dialect.auth_headers(self.target, principal),
            body,
        )
        return await self._send(sent, "raw", role, principal, {}, headers, None, limits)

    async def fetch(
        self,
        method: str,
        url: str,
        role: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reading:
        """Send a request to an authorization server, whose answers are not in the API's format. No key goes there."""
        return await self._send(
            Sent(method, url, (), body), AUTHORIZATION_SERVER, role, "none", {}, headers, None, None
        )

    async def _send(
        self,
        sent: Sent,
        operation: str,
        role: str,
        principal: Principal,
        params: Mapping[str, Any],
        headers: Mapping[str, str] | None,
        hang_up: HangUp | None,
        limits: Limits | None,
    ) -> Reading:
        sent = replace(sent, headers=_override(sent.headers, headers or {}))
        reading = await self._once(sent, operation, role, principal, params, hang_up, limits)
        if self._exhausts or self._run.wait_of(reading) is None:
            return reading
        refused_at = time.monotonic()
        async with self._run.line(principal):
            for _ in range(TRIES):
                wait = self._run.wait_of(reading)
                if wait is None:
                    break
                await asyncio.sleep(max(0.0, refused_at + wait - time.monotonic()))
                reading = await self._once(sent, operation, role, principal, params, hang_up, limits)
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
    ) -> Reading:
        async with self._run.slots:
            most = most_of(operation, params, sent.body)
            self._run.admit(most)
            started = time.time()
            recorded: Recorded = await self._wire.send(sent, limits or self._limits(operation), hang_up)
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
        record = ProbeRecord(self._probe, "done")
        return Probed(record, tuple(Reading(e, self.dialect) for e in self._mine))


def _override(
    headers: tuple[tuple[str, str], ...], changes: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    lowered = {name.lower() for name in changes}
    kept = tuple((k, v) for k, v in headers if k.lower() not in lowered)
    return kept + tuple((k, v) for k, v in changes.items() if v != "")
