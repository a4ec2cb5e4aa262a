"""Schemathesis against every operation of the reference: ``python tests/generated/generate.py [--examples 1000]``.

Half of the examples of an operation match its description, half do not. Whatever is sent, the answer has to be one that the
description allows: never a 500, always the envelope where it is an error. One line for each operation; a finding is told with
the curl line that repeats it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import AcceptedNegativeData, FailureGroup

from spec.document import load_document

AUTHORIZED = {"Authorization": "Bearer sk-demo"}
SEED = 20261124
SECONDS = 30.0
"""How long one answer may take."""
MOST_FINDINGS = 3
"""Of one operation and kind that are told."""

# These send requests of their own, or hold a request to be acceptable that only its schema allows.
NOT_HERE = ("ignored_auth", "use_after_free", "ensure_resource_availability", "positive_data_acceptance")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=1000, help="for each operation")
    parser.add_argument("--only", nargs="*", default=[], metavar="OPERATION", help="operationIds")
    options = parser.parse_args(arguments)
    schema = schemathesis.openapi.from_dict(load_document())
    load_all_checks()
    found, sent = 0, 0
    with _reference() as url, requests.Session() as session:
        for result in schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]
            name = operation.definition.raw["operationId"]
            if options.only and name not in options.only:
                continue
            clock = time.perf_counter()
            run = Run(url, session, _resources(url, session))
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                run.of(operation.as_strategy(generation_mode=mode), max(1, options.examples // 2))
            seconds = time.perf_counter() - clock
            print(f"{name:20} {run.sent:5} requests {seconds:6.1f} s  {run.told()}", flush=True)
            found, sent = found + run.found, sent + run.sent
    print(f"{sent} requests, {found} findings")
    return 1 if found else 0


class Run:
    """The examples of one operation: what was answered, and what is wrong with it."""

    def __init__(self, url: str, session: requests.Session, known: dict[str, str]) -> None:
        self._url, self._session = url, session
        self._known = known
        self._excluded = [check for check in CHECKS.get_all() if check.__name__ in NOT_HERE]
        self._findings: dict[str, list[str]] = {}
        self._statuses: dict[int, int] = {}
        self.sent = 0

    @property
    def found(self) -> int:
        return sum(map(len, self._findings.values()))

    def told(self) -> str:
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(self._statuses.items()))
        lines = [line for found in self._findings.values() for line in found[:MOST_FINDINGS]]
        return "\n  ".join([statuses, *lines])

    def of(self, strategy: Any, examples: int) -> None:
        """Send so many examples of a strategy; fewer where there are no more."""

        @seed(SEED)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def ask(case: Any) -> None:
            self._ask(tamed(case))

        try:
            ask()
        except Unsatisfiable:
            pass  # an operation without parameters has no invalid request

    def _ask(self, case: Any) -> None:
        self.sent += 1
        if case.meta.generation.mode is GenerationMode.POSITIVE and self.sent % 2:
            self._existing(case)
        # Credentials are judged elsewhere; with generated ones nothing behind them would be reached.
        case.headers = {n: v for n, v in (case.headers or {}).items() if n.lower() != "authorization"}
        try:
            answer = case.call(base_url=self._url, session=self._session, headers=AUTHORIZED, timeout=SECONDS)
        except (requests.exceptions.InvalidHeader, UnicodeError, requests.exceptions.InvalidURL):
            self.sent -= 1  # no HTTP client could send it
            return
        except requests.exceptions.RequestException as problem:
            self._note(type(problem).__name__, case, str(problem))
            return
        status = answer.status_code
        if case.method == "POST" and case.path == "/webhooks" and status == 201:
            _forget_webhook(self._url, self._session, answer.json()["id"])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        if status >= 400 and not enveloped(answer.content):
            self._note("no envelope", case, answer.content[:200].decode("utf-8", "replace"))
        try:
            case.validate_response(answer, excluded_checks=self._excluded)
        except FailureGroup as group:
            for failure in group.exceptions:
                if isinstance(failure, AcceptedNegativeData) and status >= 400:
                    continue  # refused, by a status that Schemathesis has not in mind: 410, 413, 426
                self._note(type(failure).__name__, case, str(failure))

    def _existing(self, case: Any) -> None:
        """Every other valid request is about something that exists."""
        for given_values in (case.path_parameters or {}, case.query or {}):
            for name in given_values.keys() & self._known.keys():
                given_values[name] = self._known[name]

    def _note(self, kind: str, case: Any, words: str) -> None:
        place = self._findings.setdefault(kind, [])
        place.append(f"{kind}: {' '.join(words.split())[:300]}\n    {case.as_curl_command()[:600]}")


def tamed(case: Any) -> Any:
    """The same case without long waits, and without callbacks to machines of others."""
    body = case.body
    if isinstance(body, dict):
        sandbox = body.get("sandbox")
        if isinstance(sandbox, dict) and isinstance(sandbox.get("delay_ms"), int | float):
            sandbox["delay_ms"] = min(sandbox["delay_ms"], 1)
        elif isinstance(sandbox, dict) and "scenario" in sandbox and len(sandbox) == 1:
            sandbox["delay_ms"] = 1
        if isinstance(body.get("url"), str) and body["url"].lower().startswith("http"):
            body["url"] = "https://127.0.0.1:9/hook"
    return case


def enveloped(content: bytes) -> bool:
    """Whether a body is an error of the contract, in either form."""
    try:
        body = json.loads(content)
    except ValueError:
        return False
    error = body.get("error", body) if isinstance(body, dict) else {}
    return isinstance(error, dict) and isinstance(error.get("code"), str) and "details" in error


def _resources(url: str, session: requests.Session) -> dict[str, str]:
    """One resource of each kind, by the parameter that names it."""
    hello = {"messages": [{"role": "user", "content": "Hello"}]}
    made: dict[str, tuple[str, Any, str]] = {
        "job_id": ("/analyze-document", {"document": "Thanks."}, "job_id"),
        "session_id": ("/sessions", {}, "session_id"),
        "turn_id": ("/chat", {**hello, "deferred": True}, "turn_id"),
        "run_id": ("/agent/runs", hello, "id"),
        "webhook_id": ("/webhooks", {"url": "https://127.0.0.1:9/hook"}, "id"),
    }
    for kept in session.get(f"{url}/webhooks", headers=AUTHORIZED, timeout=SECONDS).json()["data"]:
        _forget_webhook(url, session, kept["id"])
    found = {"model_id": "atlas-1", "code": "NOT_FOUND"}
    for name, (path, body, member) in made.items():
        answer = session.post(url + path, json=body, headers=AUTHORIZED, timeout=SECONDS)
        answer.raise_for_status()
        found[name] = answer.json()[member]
    return found


def _forget_webhook(url: str, session: requests.Session, webhook_id: str) -> None:
    """A caller may have a few of them only."""
    session.delete(f"{url}/webhooks/{webhook_id}", headers=AUTHORIZED, timeout=SECONDS)


@contextmanager
def _reference() -> Iterator[str]:
    """A reference without limits, on a free port, that may call this machine only."""
    options = ("--port", "0", "--db", ":memory:", "--rate-limits", "off", "--webhook-network", "127.0.0.0/8")
    command = [sys.executable, "-m", "reference_impl", *options]
    with Popen(command, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("ready ").strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
