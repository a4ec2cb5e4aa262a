"""AUTH: the authorization code flow."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from conformance.checks.refusals import decisive
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect


@check("AUTH-33")
def test_a_code_works_once(authorization_code: Probed) -> str:
    """The second redemption of a code gets invalid_grant."""
    _works(authorization_code)
    _invalid_grant(authorization_code["again"], "a code that was redeemed before")
    return "invalid_grant"


@check("AUTH-34")
def test_a_code_needs_its_verifier(authorization_code: Probed) -> str:
    """Whoever has the code and not the verifier gets invalid_grant."""
    _works(authorization_code)
    _invalid_grant(authorization_code["other_verifier"], "a code with another verifier")
    return "invalid_grant"


@check("AUTH-35")
def test_codes_go_to_registered_addresses_only(authorization_code: Probed) -> str:
    """A redirect URI that merely begins like a registered one is refused without a redirect to it."""
    reading = decisive(authorization_code["elsewhere"])
    location = reading.header("location")
    expect(
        _parameter(reading, "code") is None and not _leads_elsewhere(location),
        expected="no redirect to an address that is not registered",
        seen=_without_query(location),
        at=reading,
        where="header Location",
    )
    _works(authorization_code)
    return f"answered {reading.status}"


@check("AUTH-36")
def test_a_request_without_pkce_gets_no_code(authorization_code: Probed) -> str:
    """Neither without a challenge nor with the method `plain` is a code given."""
    _works(authorization_code)
    for role in ("without_pkce", "plain"):
        reading = decisive(authorization_code[role])
        expect(
            _parameter(reading, "code") is None,
            expected=f"no code ({role})",
            seen="a code",
            at=reading,
            where="header Location",
        )
    return "refused"


def _works(probe: Probed) -> None:
    """Refusals say something only where the same request, made rightly, succeeds."""
    reading = decisive(probe["redeemed"])
    if not reading.ok:
        raise Inconclusive(f"a code with its own verifier was answered {reading.status}")


def _invalid_grant(reading: Reading, what: str) -> None:
    decisive(reading)
    error = reading.body.get("error") if isinstance(reading.body, dict) else None
    expect(
        reading.status == 400 and error == "invalid_grant",
        expected=f"{what} gets 400 invalid_grant",
        seen=f"{reading.status} {error!r}",
        at=reading,
        where="/error",
    )


def _parameter(reading: Reading, name: str) -> str | None:
    found = parse_qs(urlsplit(reading.header("location") or "").query).get(name)
    return found[0] if found else None


def _leads_elsewhere(location: str | None) -> bool:
    return (
        location is not None and ".aiconform.invalid" in urlsplit(location).netloc + urlsplit(location).path
    )


def _without_query(location: str | None) -> str:
    return "no Location" if location is None else location.partition("?")[0]
