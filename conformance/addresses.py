"""The addresses that a tester types: base URLs of the API and its replicas, and the way back for webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit


class TargetError(ValueError):
    """The target is described wrongly; the message says what to change."""


def base_url_of(text: str) -> str:
    """A base URL without its last slash.

    Raises:
        TargetError: no scheme or host, another scheme than http(s), credentials, a query, or no valid port.
    """
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


def replicas_of(base_url: str, given: Sequence[str]) -> tuple[str, ...]:
    """The base URLs of further replicas of the API at ``base_url``, in the order given.

    Raises:
        TargetError: one is no base URL, or is there already.
    """
    known = {_place(base_url): "the target itself"}
    found = []
    for text in given:
        try:
            url = base_url_of(text)
        except TargetError as problem:
            raise TargetError(f"--replica: {problem}") from None
        if (there := known.get(_place(url))) is not None:
            raise TargetError(f"--replica: '{text}' is {there}: give each replica's own base URL, once")
        known[_place(url)] = "given twice"
        found.append(url)
    return tuple(found)


def callback_url_of(url: str | None, port: int | None) -> str | None:
    """The URL under which the target reaches this machine.

    Raises:
        TargetError: it is no plain http(s) URL, or no port to listen on is known.
    """
    if url is None:
        if port is not None:
            raise TargetError(
                "--callback-port needs --callback-url, the address under which the target reaches it"
            )
        return None
    try:
        parts = urlsplit(url)
        wanted = port if port is not None else parts.port
    except ValueError:
        raise TargetError(f"--callback-url: '{url}' has no valid port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise TargetError(f"--callback-url: '{url}' is not a plain http or https URL")
    if wanted is None:
        raise TargetError("--callback-url names no port: say with --callback-port where to listen for it")
    return url.rstrip("/")


def origin_of(parts: SplitResult) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454), whatever the case and whether or not the port is written."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or usual


def _place(url: str) -> tuple[object, ...]:
    parts = urlsplit(url)
    return (*origin_of(parts), parts.path.rstrip("/"))
