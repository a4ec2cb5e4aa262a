"""Mutants of webhooks: what a receiver would trip over, or the server's own network."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from reference_impl.mutants.model import QUICK, mutant, variant
from reference_impl.mutants.wire import edit_answers
from reference_impl.policies import Policies
from reference_impl.policies.callbacks import SECRET_PREFIX, Next, StandardWebhooks
from reference_impl.policies.egress import CheckedEgress, Reply

Change = Callable[[Policies], Policies]


class _Unsigned(StandardWebhooks):
    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        whole = super().headers(message_id, body, signing, now, created_at)
        return {k: v for k, v in whole.items() if k != "webhook-signature"}


class _SignsAnotherText(StandardWebhooks):
    """Serializes the JSON once for the signature and once for the wire."""

    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        return super().headers(message_id, json.dumps(json.loads(body)).encode(), signing, now, created_at)


class _Milliseconds(StandardWebhooks):
    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        whole = super().headers(message_id, body, signing, now, created_at)
        at = str(int(now * 1000))
        text = b".".join((message_id.encode(), at.encode(), body))
        keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in signing]
        signed = [base64.b64encode(hmac.digest(key, text, "sha256")).decode() for key in keys]
        signatures = " ".join(f"v1,{signature}" for signature in signed)
        return {**whole, "webhook-timestamp": at, "webhook-signature": signatures}


class _NewIds(StandardWebhooks):
    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        return super().headers(f"msg_{secrets.token_hex(8)}", body, signing, now, created_at)


class _NewestSecretOnly(StandardWebhooks):
    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        return super().headers(message_id, body, signing[:1], now, created_at)


class _OneAttempt(StandardWebhooks):
    def after(self, attempts: int, status: int | None, retry_after_s: float | None) -> Next:
        found = super().after(attempts, status, retry_after_s)
        return Next("abandon") if found.step == "retry" else found


class _FixedInterval(StandardWebhooks):
    def after(self, attempts: int, status: int | None, retry_after_s: float | None) -> Next:
        found = super().after(attempts, status, retry_after_s)
        return Next("retry", 0.1) if found.step == "retry" else found


class _Deaf(StandardWebhooks):
    """410 is a failure like any other."""

    def after(self, attempts: int, status: int | None, retry_after_s: float | None) -> Next:
        return super().after(attempts, 500 if status == 410 else status, retry_after_s)


class _TwoSchemes(StandardWebhooks):
    """An asymmetric signature first, as Standard Webhooks allows, and headers of CloudEvents."""

    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        whole = super().headers(message_id, body, signing, now, created_at)
        both = f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {whole['webhook-signature']}"
        return {**whole, "webhook-signature": both, "ce-specversion": "1.0", "ce-id": message_id}


class _Follows(CheckedEgress):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        reply = await super().post(url, headers, body, timeout_s)
        while 300 <= reply.status < 400 and "location" in reply.headers:
            url = urljoin(url, reply.headers["location"])
            reply = await super().post(url, headers, body, timeout_s)
        return reply


class _AnyAddress(CheckedEgress):
    async def check(self, url: str) -> None:
        return


class _ByText(CheckedEgress):
    """Looks at the text of the host: an address in disguise passes."""

    async def check(self, url: str) -> None:
        try:
            ipaddress.IPv4Address(urlsplit(url).hostname or "")
        except ValueError:
            return
        await super().check(url)


class _OwnShape(CheckedEgress):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        message = json.loads(body)
        own = {"event": message["type"], "data": message["data"]}
        return await super().post(url, headers, json.dumps(own).encode(), timeout_s)


class _Silent(CheckedEgress):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        return Reply(200, {})


def _callbacks(make: Callable[[Sequence[float]], StandardWebhooks]) -> Change:
    return lambda policies: replace(policies, callbacks=make(QUICK.webhook_delays_s))


def _egress(make: Callable[[Sequence[str]], CheckedEgress]) -> Change:
    return lambda policies: replace(policies, egress=make(QUICK.webhook_networks))


_shows_secret = edit_answers(
    lambda a: (
        a.with_json({**a.json, "secret": "whsec_c2hvd24gYWdhaW4gdG8gd2hvZXZlciBhc2tz"})
        if a.status == 200 and "/webhooks/wh_" in a.scope["path"] and a.scope["method"] == "GET"
        else a
    )
)

MUTANTS = (
    mutant("webhook-silent", "HOOK-01", "nobody is told", policies=_egress(_Silent)),
    mutant("webhook-own-shape", "HOOK-01 HOOK-03", "messages of an undocumented shape", policies=_egress(_OwnShape)),
    mutant("webhook-unsigned", "HOOK-02", "messages without a signature", policies=_callbacks(_Unsigned)),
    mutant("webhook-signs-another-text", "HOOK-03", "the JSON is serialized again after signing", policies=_callbacks(_SignsAnotherText)),
    mutant("webhook-milliseconds", "HOOK-04", "the timestamp is in milliseconds", policies=_callbacks(_Milliseconds)),
    mutant("webhook-new-id-per-attempt", "HOOK-05", "every attempt has its own id", policies=_callbacks(_NewIds)),
    mutant("webhook-one-attempt", "HOOK-05 HOOK-06", "a message is sent once", policies=_callbacks(_OneAttempt)),
    mutant("webhook-fixed-interval", "HOOK-06", "delays do not grow", policies=_callbacks(_FixedInterval)),
    mutant("webhook-follows-redirects", "HOOK-07", "redirects are followed", policies=_egress(_Follows)),
    mutant("webhook-any-address", "HOOK-08", "internal addresses are taken", policies=_egress(_AnyAddress)),
    mutant("webhook-address-by-text", "HOOK-08", "internal addresses in disguise are taken", policies=_egress(_ByText)),
    mutant("webhook-old-secret-dropped", "HOOK-09", "a rotation is an outage", policies=_callbacks(_NewestSecretOnly)),
    mutant("webhook-deaf-to-410", "HOOK-10", "an endpoint that is gone is called again", policies=_callbacks(_Deaf)),
    mutant("webhook-shows-secret", "HOOK-12", "the secret can be read again", wrap=_shows_secret),
)  # fmt: skip

VARIANTS = (
    variant("webhook-two-schemes", "signatures of two schemes and headers of CloudEvents", policies=_callbacks(_TwoSchemes)),
)  # fmt: skip
