"""Which target a command is about: a URL, or a name in ``aiconform.toml``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from conformance.budget import Budget, Price
from conformance.target import Declared, Limits, OAuth, Target, TargetError
from conformance.target_file import (
    FILE,
    TargetFile,
    dialect_name,
    oauth_of,
    read_targets,
    target_of,
    target_replicas,
)


@dataclass(frozen=True)
class Chosen:
    """A target before its flags. ``file`` and ``name`` are set if it comes from a file."""

    url: str
    dialect: str = "contract"
    file: TargetFile | None = None
    name: str = ""

    @property
    def declared(self) -> Declared:
        """What the file declares, known without fetching a secret."""
        if self.file is None:
            return Declared()
        entry = self.file.targets[self.name]
        return Declared(entry.get("capabilities", {}), entry.get("provocations", {}))

    @property
    def client(self) -> OAuth | None:
        """The file's OAuth client; its secret, which is not fetched, is empty."""
        return None if self.file is None else oauth_of(self.file, self.name, "")

    def described(self, flags: Target) -> Target:
        """As :meth:`under`, for a plan: no secret is fetched, no file opened."""
        if self.file is None:
            return flags
        entry = self.file.targets[self.name]
        budget = entry.get("budget", {})
        base = Budget(None, budget.get("tokens"), budget.get("cost"), budget.get("seconds"))
        return replace(
            flags,
            name=self.name,
            replicas=flags.replicas or target_replicas(self.file, self.name),
            max_calls=flags.max_calls or budget.get("calls"),
            budget=_merged(flags.budget, base),
            price=Price(**entry["price"]) if "price" in entry else None,
        )

    def under(self, flags: Target) -> Target:
        """The file's target with what the flags gave laid over it."""
        if self.file is None:
            return flags
        base = target_of(self.file, self.name, flags.dialect)
        return replace(
            base,
            keys={**base.keys, **flags.keys},
            certificate=flags.certificate or base.certificate,
            oauth=_with_secret(flags.oauth, base.oauth),
            model=flags.model or base.model,
            max_calls=flags.max_calls or base.max_calls,
            limits=flags.limits if flags.limits != Limits() else base.limits,
            verify=flags.verify and base.verify,
            ca_bundle=flags.ca_bundle or base.ca_bundle,
            concurrency=flags.concurrency if flags.concurrency != Target.concurrency else base.concurrency,
            callback_url=flags.callback_url,
            callback_port=flags.callback_port,
            replicas=flags.replicas or base.replicas,
            budget=_merged(flags.budget, base.budget),
        )


def choose(argument: str | None, config: Path | None) -> Chosen:
    """The target that the argument means; without one, the file's default or only target.

    Raises:
        TargetError: there is no file, or no such target in it.
    """
    if argument is not None and "://" in argument:
        return Chosen(argument)
    path = config or Path(FILE)
    if config is None and not path.exists():
        if argument is None:
            raise TargetError(
                f"no target: give a URL, or describe one with `aiconform init URL` (no {FILE} here)"
            )
        return Chosen(argument)  # what is wrong with it as a URL is said later
    file = read_targets(path)
    if argument is not None and argument not in file.targets and _looks_like_an_address(argument):
        return Chosen(argument)
    name = file.choose(argument)
    return Chosen(str(file.targets[name]["url"]), dialect_name(file, name), file, name)


def _with_secret(client: OAuth | None, file: OAuth | None) -> OAuth | None:
    """The client of the flags, with the file's secret where they give none; without any secret there is no client."""
    if client is None or client.client_secret:
        return client
    return replace(client, client_secret=file.client_secret) if file else None


def _looks_like_an_address(text: str) -> bool:
    return ":" in text or "/" in text


def _merged(flags: Budget, file: Budget) -> Budget:
    given = {name: value for name, value in asdict(flags).items() if value is not None}
    return replace(file, **given)
