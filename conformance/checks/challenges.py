"""Reading the challenge of a refusal (RFC 9110 11.6.1, RFC 6750 3)."""

from __future__ import annotations

import re

from conformance.reading import Reading
from conformance.verdict import expect


def bearer(reading: Reading) -> dict[str, str]:
    """The parameters of the Bearer challenge."""
    value = reading.header("www-authenticate") or ""
    expect(
        re.match(r"bearer(\s|$)", value, re.I),
        expected="a Bearer challenge",
        seen=value or "no WWW-Authenticate",
        at=reading,
        where="header WWW-Authenticate",
    )
    found = re.findall(r"([\w-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([\w.-]+))", value)
    return {name.lower(): quoted or token for name, quoted, token in found}
