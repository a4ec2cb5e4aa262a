"""Each check of webhooks passes on an honest sender's messages and fails on one defect."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_hook as hook
from conformance.checks import test_hook_addresses as addressed
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation
from conformance.wire.webhook import signature

NEW, OLD = b"n" * 32, b"o" * 32
NOW = 1_795_514_400.0
DELAYS = [1, 3, 10]


@dataclass(frozen=True)
class Message:
    """One delivery as an honest sender makes it; `keys` sign, the suite knows `known`."""

    endpoint: str = "good"
    job: str = "job_1"
    at: float = NOW
    id: str = "msg_1"
    keys: Sequence[bytes] = (NEW,)
    known: Sequence[bytes] = (NEW,)
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"

    def noted(self) -> dict[str, Any]:
        content = {
            "type": "job.completed",
            "timestamp": "2026-11-24T10:00:00Z",
            "data": {"job_id": self.job, "status": "complete"},
        } | self.body
        body = json.dumps(content).encode()
        timestamp = self.headers.get("webhook-timestamp", str(int(self.at)))
        headers = {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signature(k, self.id, timestamp, body) for k in self.keys),
        } | self.headers
        return {
            "endpoint": self.endpoint,
            "at": self.at,
            "method": self.method,
            "headers": [[k, v] for k, v in headers.items() if v],
            "body": base64.b64encode(body).decode(),
            "expected": [signature(k, self.id, timestamp, body) for k in self.known],
        }


GOOD_1 = Message()
GOOD_2 = Message(job="job_2", id="msg_2", at=NOW + 8, keys=(NEW, OLD), known=(NEW, OLD))
FAILING = tuple(Message("failing", at=NOW + t, id="msg_f") for t in (0, 1, 4))
REDIRECTING = Message("redirecting", id="msg_r")
GONE = Message("gone", id="msg_g")


def shown(role: str, **body: Any) -> Reading:
    content = {"job_id": "job_1", "status": "complete", "progress": 1} | body
    return answer(content, role=role, operation="get_job")


def capabilities(delays: list[float] | None = DELAYS, networks: Sequence[str] = ()) -> Reading:
    told = {"networks": list(networks)} | ({} if delays is None else {"retry_delays_seconds": delays})
    return answer({"capabilities": {"webhooks": told}}, role="capabilities", operation="capabilities")


def run(
    *more: Message,
    good: Sequence[Message] = (GOOD_1, GOOD_2),
    failing: Sequence[Message] = FAILING,
    others: Sequence[Message] = (REDIRECTING, GONE),
    readings: Sequence[Reading] = (),
    delays: list[float] | None = DELAYS,
    **notes: Any,
) -> Probed:
    """The probe `webhook_run` against an honest sender, with some of its messages replaced."""
    messages = (*good, *failing, *others, *more)
    facts = {
        "first_job": "job_1",
        "second_job": "job_2",
        "first_waited": 5.0,
        "retries_waited": 6.0,
        "secret_bytes": [32, 32, 32, 32, 32],
        "deliveries": [m.noted() for m in messages],
    } | notes
    default = (
        shown("first.shown"),
        answer({"id": "wh_1", "status": "disabled"}, role="gone", operation="get_webhook"),
    )
    return gathered("webhook_run", capabilities(delays), *default, *readings, notes=facts)


def addresses(*, networks: Sequence[str] = (), **statuses: int) -> Probed:
    from conformance.probes.webhooks import ADDRESSES

    tried = [
        answer(
            {"error": {"code": "CALLBACK_REFUSED", "message": "No.", "details": {}}},
            status=statuses.get(name, 400),
            role=name,
            operation="register_webhook",
            params={"url": url},
        )
        for name, url in ADDRESSES.items()
    ]
    return gathered("webhook_addresses", capabilities(networks=networks), *tried)


GOOD: dict[str, tuple[Callable[..., str | None], Probed]] = {
    "HOOK-01": (hook.test_the_end_of_a_job_is_told, run()),
    "HOOK-02": (hook.test_every_message_has_the_standard_headers, run()),
    "HOOK-03": (hook.test_signatures_verify_over_the_exact_bytes, run()),
    "HOOK-04": (hook.test_the_timestamp_is_that_of_the_attempt, run()),
    "HOOK-05": (hook.test_a_failed_delivery_is_repeated_under_its_id, run()),
    "HOOK-06": (hook.test_delays_between_attempts_grow, run()),
    "HOOK-07": (hook.test_redirects_are_not_followed, run()),
    "HOOK-08": (addressed.test_internal_addresses_are_refused, addresses()),
    "HOOK-09": (hook.test_a_rotated_secret_overlaps_with_the_old_one, run()),
    "HOOK-10": (hook.test_an_endpoint_that_is_gone_is_left_alone, run()),
    "HOOK-11": (hook.test_a_message_is_never_ahead_of_the_api, run()),
    "HOOK-12": (hook.test_a_secret_is_told_once, run()),
}
BAD: dict[str, tuple[str, Probed]] = {
    "nothing came": ("HOOK-01", run(good=())),
    "another type": ("HOOK-01", run(good=(replace(GOOD_1, body={"type": "done"}),))),
    "no timestamp": ("HOOK-01", run(good=(replace(GOOD_1, body={"timestamp": 5}),))),
    "PUT": ("HOOK-01", run(good=(replace(GOOD_1, method="PUT"),))),
    "form": ("HOOK-01", run(good=(replace(GOOD_1, headers={"content-type": "text/plain"}),))),
    "other state": (
        "HOOK-01",
        run(good=(replace(GOOD_1, body={"data": {"job_id": "job_1", "status": "ok"}}),)),
    ),
    "unsigned": ("HOOK-02", run(good=(replace(GOOD_1, headers={"webhook-signature": ""}),))),
    "no id": ("HOOK-02", run(good=(replace(GOOD_1, headers={"webhook-id": ""}),))),
    "timestamp in ISO": (
        "HOOK-02",
        run(good=(replace(GOOD_1, headers={"webhook-timestamp": "2026-11-24T10:00:00Z"}),)),
    ),
    "signature of another scheme": (
        "HOOK-02",
        run(good=(replace(GOOD_1, headers={"webhook-signature": "sha256=ab"}),)),
    ),
    "short secret": ("HOOK-02", run(secret_bytes=[16])),
    "no whsec": ("HOOK-02", run(secret_bytes=[None])),
    "signed with another key": ("HOOK-03", run(good=(replace(GOOD_1, keys=(OLD,)),))),
    "milliseconds": (
        "HOOK-04",
        run(good=(replace(GOOD_1, headers={"webhook-timestamp": str(int(NOW * 1000))}),)),
    ),
    "time of the event": (
        "HOOK-04",
        run(failing=(replace(FAILING[0], headers={"webhook-timestamp": str(int(NOW - 400))}),)),
    ),
    "one attempt": ("HOOK-05", run(failing=FAILING[:1])),
    "new id": ("HOOK-05", run(failing=(FAILING[0], replace(FAILING[1], id="msg_other")))),
    "retry unsigned": ("HOOK-05", run(failing=(FAILING[0], replace(FAILING[1], keys=())))),
    "fixed interval": ("HOOK-06", run(failing=tuple(replace(FAILING[0], at=NOW + t) for t in (0, 1, 2)))),
    "two attempts": ("HOOK-06", run(failing=FAILING[:2])),
    "declared to be fixed": ("HOOK-06", run(delays=[1, 1, 1])),
    "fixed and undeclared": (
        "HOOK-06",
        run(failing=tuple(replace(FAILING[0], at=NOW + t) for t in (0, 2.5, 5)), delays=None),
    ),
    "followed": ("HOOK-07", run(Message("trap", id="msg_r"))),
    "metadata service": ("HOOK-08", addresses(link_local=201)),
    "in disguise": ("HOOK-08", addresses(mapped=201)),
    "crash": ("HOOK-08", addresses(decimal=500)),
    "private though only loopback is allowed": ("HOOK-08", addresses(networks=["127.0.0.0/8"], private=201)),
    "old secret dropped": ("HOOK-09", run(good=(GOOD_1, replace(GOOD_2, keys=(NEW,))))),
    "new secret not used": ("HOOK-09", run(good=(GOOD_1, replace(GOOD_2, keys=(OLD,))))),
    "called again": ("HOOK-10", run(Message("gone", job="job_2", id="msg_3"))),
    "ahead": ("HOOK-11", run(readings=(shown("first.shown", status="processing", progress=0.5),))),
    "told again": (
        "HOOK-12",
        run(
            readings=(
                answer({"id": "wh_1", "secret": "whsec_[redacted]"}, role="gone", operation="get_webhook"),
            )
        ),
    ),
}
UNDECIDED: dict[str, tuple[str, Probed, type[Exception]]] = {
    "no way back": (
        "HOOK-01",
        gathered("webhook_run", outcome="skipped", reason="--callback-url"),
        NotTested,
    ),
    "retries after minutes": ("HOOK-05", run(failing=FAILING[:1], delays=[300, 900]), NotTested),
    "third attempt after minutes": ("HOOK-06", run(failing=FAILING[:2], delays=[1, 900]), NotTested),
    "the job goes on": (
        "HOOK-01",
        run(good=(), readings=(shown("first.shown", status="processing", progress=0.5),)),
        Inconclusive,
    ),
    "a first retry at an unknown time": ("HOOK-05", run(failing=FAILING[:1], delays=None), NotTested),
    "no time to wait for a retry": ("HOOK-05", run(failing=FAILING[:1], retries_waited=0), NotTested),
    "the first message came late": (
        "HOOK-10",
        run(others=(REDIRECTING, Message("gone", job="job_2", id="msg_3"))),
        Inconclusive,
    ),
    "no delays declared": ("HOOK-06", run(failing=FAILING[:2], delays=None), NotTested),
    "too quick to compare": (
        "HOOK-06",
        run(failing=tuple(replace(FAILING[0], at=NOW + t) for t in (0, 0.2, 0.4)), delays=None),
        Inconclusive,
    ),
    "everything allowed": ("HOOK-08", addresses(networks=["0.0.0.0/0", "::/0"]), NotTested),
    "no webhooks at all": (
        "HOOK-08",
        addresses(link_local=404, private=404, mapped=404, unspecified=404, unique_local=404, decimal=404),
        NotTested,
    ),
    "no second message": ("HOOK-09", run(good=(GOOD_1,)), Inconclusive),
    "nothing came to the endpoint that is gone": ("HOOK-10", run(others=(REDIRECTING,)), Inconclusive),
    "messages of other jobs only": ("HOOK-11", run(good=(Message(job="job_9"),)), Inconclusive),
}


@pytest.mark.parametrize("requirement", GOOD)
def test_an_honest_sender_passes(requirement: str) -> None:
    check, evidence = GOOD[requirement]
    assert check.requirement == requirement  # type: ignore[attr-defined]
    check(evidence)


@pytest.mark.parametrize("defect", BAD)
def test_a_defect_fails(defect: str) -> None:
    requirement, evidence = BAD[defect]
    with pytest.raises(Violation):
        GOOD[requirement][0](evidence)


@pytest.mark.parametrize("case", UNDECIDED)
def test_what_evidence_cannot_decide_is_not_a_verdict(case: str) -> None:
    requirement, evidence, signal = UNDECIDED[case]
    with pytest.raises(signal):
        GOOD[requirement][0](evidence)


def test_every_check_has_a_defect_that_it_fails_on() -> None:
    assert {requirement for requirement, _ in BAD.values()} == set(GOOD)


def test_a_late_first_retry_does_not_hide_that_delays_grow() -> None:
    late = tuple(replace(FAILING[0], at=NOW + t) for t in (0, 3.5, 6.6))
    hook.test_delays_between_attempts_grow(run(failing=late))


def test_a_second_scheme_beside_v1_is_no_defect() -> None:
    honest = GOOD_1.noted()
    signed = next(v for k, v in honest["headers"] if k == "webhook-signature")
    both = replace(GOOD_1, headers={"webhook-signature": f"v1a,abc= {signed}"})
    for requirement in ("HOOK-02", "HOOK-03"):
        GOOD[requirement][0](run(good=(both, GOOD_2)))
