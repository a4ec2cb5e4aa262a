"""Reading the challenge of a refusal (RFC 9110 11.6.1, RFC 6750 3)."""

from __future__ import annotations

import re

from conformance.reading import Reading
from conformance.verdict import expect

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BEARER = re.compile(r"(?:^|,)\s*bearer(?=\s|,|$)", re.I)
_SCHEME = re.compile(r",\s*[\w-]+(?=\s+[\w-]|\s*(?:,|$))")
"""The next challenge: its scheme is followed by a space and more, or by nothing; a parameter by ``=``."""


def bearer(reading: Reading) -> dict[str, str]:
    """The parameters of the Bearer challenge, which need not be the first."""
    value = reading.header("www-authenticate") or ""
    # A comma and the name of a scheme may also stand inside of quotes.
    bare = _QUOTED.sub(lambda quoted: '"' + "_" * (len(quoted[0]) - 2) + '"', value)
    begin = _BEARER.search(bare)
    expect(
        begin,
        expected="a Bearer challenge",
        seen=value or "no WWW-Authenticate",
        at=reading,
        where="header WWW-Authenticate",
    )
    start = begin.end() if begin else 0
    other = _SCHEME.search(bare, start)
    own = value[start : other.start() if other else len(value)]
    found = re.findall(r"([\w-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([\w.-]+))", own)
    return {name.lower(): quoted or token for name, quoted, token in found}
