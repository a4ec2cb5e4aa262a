"""The options of a load run: the same for ``aiconform load`` and for ``locust -f load/locustfile.py``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.dialects.model import Dialect, DialectError, load_dialect
from conformance.target import Limits, Target, TargetError
from load.arrival import Plan, parse_plan, parse_rate
from load.errors import LoadError
from load.prompts import Prompt, prompt_pool
from load.safety import Caps, check_host

DEFAULT_SECONDS = 30.0


@dataclass(frozen=True)
class Config:
    """A checked configuration. Times in seconds. ``plan`` None: a closed loop."""

    dialect: Dialect
    target: Target
    mix: Mapping[str, int]
    prompts: tuple[Prompt, ...]
    plan: Plan | None
    think: tuple[float, float]
    turns: int
    max_output_tokens: int | None
    impatient: float
    caps: Caps
    budget: float
    max_cpu: float
    warmup: float
    seed: int
    slo: str | None
    out: str
    callback: str | None = None


def add_options(parser: argparse.ArgumentParser, locust: bool = False) -> None:
    """Add the options to our own parser, or to Locust's, whose web UI must not show a key."""

    def add(name: str, **keywords: Any) -> None:
        if locust and name.endswith("key"):
            parser.add_argument(name, is_secret=True, include_in_web_ui=False, **keywords)
        else:
            group.add_argument(name, **keywords)

    group = parser.add_argument_group("target")
    add("--dialect", default="contract", help="the wire format: a built-in dialect or a YAML file")
    add("--key", env_var="AICONFORM_KEY", default=None, help="credential (or AICONFORM_KEY)")
    add("--other-key", env_var="AICONFORM_OTHER_KEY", default=None, help="credential of a second principal")
    add("--limited-key", env_var="AICONFORM_LIMITED_KEY", default=None, help="for impatient users")
    add("--model", default=None, help="model to call")
    add("--timeout", type=float, default=60.0, metavar="S", help="longest a call may take, body included")
    add("--ca-bundle", default=None, metavar="FILE", help="CA certificates (PEM) to trust")
    add("--insecure", action="store_true", help="do not verify the certificate")
    group = parser.add_argument_group("what the users do")
    add("--mix", default="chat_stream=1", metavar="A=N,…",
        help="actions with weights: chat, chat_stream, classify, session, job, retry, race")  # fmt: skip
    add("--prompts", default=None, metavar="FILE", help="one prompt per line")
    add("--prompt-tokens", default="32", metavar="DIST",
        help="64, uniform:16:256, normal:MEAN:DEVIATION, lognormal:MEDIAN:SIGMA")  # fmt: skip
    add("--max-output-tokens", type=int, default=None, metavar="N")
    add("--think", default="0", metavar="S", help="seconds between a user's calls, or FROM:TO")
    add("--callback", default=None, metavar="URL",
        help="await jobs by webhook; where the target reaches us, for instance http://127.0.0.1:0")  # fmt: skip
    add("--turns", type=int, default=4, metavar="N", help="turns of a session before a new one begins")
    add("--impatient", type=float, default=0.0, metavar="SHARE", help="of users that ignore Retry-After")
    group = parser.add_argument_group("when calls begin")
    add("--rate", default=None, metavar="N/s", help="open loop: this many arrivals, whatever the server does")
    add(
        "--shape",
        default="constant",
        help="constant, ramp:FROM:TO, spike:PEAK:AT:FOR, step:BY:EVERY, trace:FILE",
    )
    add("--poisson", action="store_true", help="random arrivals of that rate")
    add("--stop-after", type=float, default=None, metavar="S",
        help="end the run then, and let calls under way end (default: just before Locust's --run-time)")  # fmt: skip
    add("--warmup", type=float, default=0.0, metavar="S", help="calls that begin earlier are not counted")
    add("--seed", type=int, default=1)
    group = parser.add_argument_group("what is demanded")
    add(
        "--slo",
        default=None,
        metavar="FILE",
        help="objectives; default: x-slo of the contract, if it is spoken",
    )
    add("--error-budget-ms", type=float, default=20.0, metavar="MS",
        help="lag of our own (p99) above which the run is INVALID")  # fmt: skip
    add(
        "--max-cpu",
        type=float,
        default=90.0,
        metavar="PERCENT",
        help="of a core, above which the run is INVALID",
    )
    if locust:
        add("--no-locust-statistics", action="store_true",
            help="do not keep Locust's own statistics beside ours (aiconform load does not)")  # fmt: skip
    add("--out", default="load-report", metavar="DIR", help="reports go here")
    group = parser.add_argument_group("safety")
    add("--i-am-allowed", default=None, metavar="HOST", help="name the host, if it is not this machine")
    add("--max-calls", type=int, default=None, metavar="N")
    add(
        "--max-tokens",
        type=int,
        default=None,
        metavar="N",
        help="input and output, as the target counts them",
    )
    add("--max-cost", type=float, default=None, metavar="X", help="needs --price")
    add("--price", default=None, metavar="IN:OUT", help="per million tokens")
    add("--max-seconds", type=float, default=3600.0, metavar="S")
    add("--max-in-flight", type=int, default=5000, metavar="N", help="calls open at once")


def read_config(options: argparse.Namespace, url: str | None, seconds: float | None) -> Config:
    """Check everything before anything is sent.

    Raises:
        LoadError: one line that names the option.
    """
    if not url:
        raise LoadError("no target: name its base URL, for instance http://127.0.0.1:8000/api/v1")
    try:
        dialect = load_dialect(options.dialect)
        target = Target.create(
            url,
            dialect.name,
            key=options.key,
            other_key=options.other_key,
            limited_key=options.limited_key,
            model=options.model,
            limits=Limits(total=options.timeout),
            verify=not options.insecure,
            ca_bundle=options.ca_bundle,
        )
    except (DialectError, TargetError) as error:
        raise LoadError(str(error)) from None
    if options.ca_bundle and not Path(options.ca_bundle).is_file():
        raise LoadError(f"--ca-bundle {options.ca_bundle} is not a file")
    check_host(target.base_url, options.i_am_allowed)
    caps = Caps.of(options)
    duration = min(seconds or DEFAULT_SECONDS, caps.seconds)
    plan = None
    if options.rate is not None or options.shape != "constant":
        rate = parse_rate(options.rate) if options.rate is not None else 0.0
        plan = parse_plan(rate, options.shape, duration, options.poisson)
    if not 0 <= options.impatient <= 1:
        raise LoadError(f"--impatient {options.impatient:g} is no share between 0 and 1")
    return Config(
        dialect=dialect,
        target=target,
        mix=parse_mix(options.mix, dialect),
        prompts=prompt_pool(options.prompts, options.prompt_tokens, options.seed),
        plan=plan,
        think=_think(options.think),
        turns=max(1, options.turns),
        max_output_tokens=options.max_output_tokens,
        impatient=options.impatient,
        caps=caps,
        budget=options.error_budget_ms / 1000,
        max_cpu=options.max_cpu / 100,
        warmup=options.warmup,
        seed=options.seed,
        slo=options.slo,
        out=options.out,
        callback=_callback(options.callback, dialect),
    )


NEEDS = {
    "chat": ("chat",),
    "chat_stream": ("chat_stream",),
    "classify": ("classify",),
    "session": ("chat_stream",),
    "job": ("submit_job", "get_job"),
    "retry": ("chat",),
    "race": ("chat",),
}
"""Operations of the dialect that an action calls."""


def parse_mix(text: str, dialect: Dialect) -> dict[str, int]:
    """``chat_stream=8,classify=2`` as weights. Raises :class:`LoadError`."""
    mix: dict[str, int] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*([a-z_]+)\s*(?:=\s*([0-9]{1,6}))?\s*", part)
        if found is None or found[1] not in NEEDS:
            raise LoadError(f"--mix '{part.strip()}': write {', '.join(NEEDS)}, each with =WEIGHT")
        missing = [name for name in NEEDS[found[1]] if name not in dialect.operations]
        if missing:
            raise LoadError(f"--mix {found[1]}: the dialect {dialect.name} has no operation {missing[0]}")
        if found[1] in ("retry", "race") and dialect.offer("idempotency").state != "offered":
            raise LoadError(f"--mix {found[1]}: the dialect {dialect.name} offers no idempotency")
        if weight := int(found[2] or 1):
            mix[found[1]] = weight
    if not mix:
        raise LoadError("--mix gives no action a weight above 0")
    return mix


def _callback(url: str | None, dialect: Dialect) -> str | None:
    if url is None:
        return None
    if "register_webhook" not in dialect.operations:
        raise LoadError(f"--callback: the dialect {dialect.name} has no operation register_webhook")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise LoadError(f"--callback {url}: write http://HOST:PORT, where the target reaches this machine")
    return url


def _think(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        bounds = float(low), float(high or low)
    except ValueError:
        bounds = -1.0, -1.0
    if not 0 <= bounds[0] <= bounds[1]:
        raise LoadError(f"--think {text}: write seconds, or FROM:TO")
    return bounds
