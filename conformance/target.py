"""The target of a run: where it is, how to speak to it, and what the tester declares about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class TargetError(ValueError):
    """The target is described wrongly; the message says what to change."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one exchange. Times in seconds, sizes in bytes; ``total`` includes the body.

    ``headers`` does not hold for generated answers: a server may generate all of one before it sends its head.
    """

    connect: float = 5.0
    headers: float = 15.0
    total: float = 30.0
    body: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Target:
    """``keys`` maps a principal (``main``, ``other``, ``limited``) to its credential; secrets never leave this
    object except in a request header."""

    base_url: str
    dialect: str
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str | None = None
    limits: Limits = Limits()
    max_calls: int | None = None
    concurrency: int = 6
    verify: bool = True
    ca_bundle: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def create(
        cls,
        base_url: str,
        dialect: str,
        *,
        key: str | None = None,
        other_key: str | None = None,
        limited_key: str | None = None,
        model: str | None = None,
        max_calls: int | None = None,
        limits: Limits | None = None,
        concurrency: int | None = None,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> Target:
        """A target from what a tester types.

        Raises:
            TargetError: the URL has no scheme or host, or a number is out of range.
        """
        given = {"main": key, "other": other_key, "limited": limited_key}
        if max_calls is not None and max_calls < 1:
            raise TargetError(f"--max-calls must be at least 1, not {max_calls}")
        for principal, value in given.items():
            if value is not None and not (value.isascii() and value.isprintable() and value.strip() == value):
                raise TargetError(
                    f"the {principal} key has characters that cannot stand in a header: was it pasted whole?"
                )
        return cls(
            base_url=_base_url(base_url),
            dialect=dialect,
            keys={name: value for name, value in given.items() if value},
            model=model,
            max_calls=max_calls,
            limits=limits or Limits(),
            concurrency=concurrency or cls.concurrency,
            verify=verify,
            ca_bundle=ca_bundle,
        )

    def public(self) -> dict[str, Any]:
        """What may be written to a report: no credential."""
        return {
            "base_url": self.base_url,
            "dialect": self.dialect,
            "model": self.model,
            "principals": sorted(self.keys),
        }


def _base_url(text: str) -> str:
    if "://" not in text:
        raise TargetError(f"'{text}' is not a URL: write http://{text} or https://{text}")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise TargetError(f"'{text}' has the scheme {parts.scheme}: only http and https can be judged")
    if not parts.hostname:
        raise TargetError(f"'{text}' names no host")
    if parts.username or parts.password:
        raise TargetError("credentials do not belong in the URL: use --key")
    if parts.query or parts.fragment:
        raise TargetError(
            f"'{text}' has a query or fragment: give the base URL, for instance https://host/v1"
        )
    try:
        _ = parts.port
    except ValueError:
        raise TargetError(f"'{text}' has no valid port") from None
    return text.rstrip("/")
