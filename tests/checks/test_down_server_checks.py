"""A server that answers 500 to everything is told so once (CON-26), not once per odd request. Seen on LLMock with
`--error-rate 500=1`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_con as con
from conformance.checks import test_con_json as con_json
from conformance.checks import test_sync as sync
from conformance.reading import Probed
from conformance.verdict import Inconclusive, Violation

BROKEN: dict[str, Any] = {"status": 500, "speaks": "openai-chat"}
BODY = {"error": {"message": "no", "code": "internal_error"}}

CASES: list[tuple[Callable[..., Any], str, tuple[str, ...]]] = [
    (con.test_an_unknown_path_is_not_found_and_no_web_page, "http_edges", ("unknown_path",)),
    (con.test_a_wrong_method_is_refused_and_405_names_the_right_ones, "http_edges", ("wrong_method",)),
    (con.test_text_that_is_not_json_is_refused, "http_edges", ("plain_text",)),
    (con.test_head_and_options_work, "http_edges", ("options", "usual")),
    (con_json.test_malformed_json_is_refused, "json_edges", ("malformed",)),
    (con_json.test_a_body_of_the_wrong_shape_is_refused, "json_edges", ("empty_object", "array")),
    (con_json.test_json_at_the_edge_of_the_grammar_does_not_crash, "json_edges", ("lone_surrogate", "nan")),
    (sync.test_degenerate_inputs_do_not_break_the_server, "degenerate_inputs", ("chat:empty",)),
]


@pytest.mark.parametrize(("check", "probe", "roles"), CASES)
def test_a_5xx_tells_nothing_when_the_plain_request_fails_too(
    check: Callable[..., Any], probe: str, roles: tuple[str, ...]
) -> None:
    odd = gathered(probe, *(answer(BODY, role=r, **BROKEN) for r in roles))
    with pytest.raises(Inconclusive, match="CON-26"):
        check(odd, _baseline(500))


@pytest.mark.parametrize(("check", "probe", "roles"), CASES)
def test_a_5xx_counts_where_the_plain_request_is_answered(
    check: Callable[..., Any], probe: str, roles: tuple[str, ...]
) -> None:
    odd = gathered(probe, *(answer(BODY, role=r, **BROKEN) for r in roles))
    with pytest.raises(Violation):
        check(odd, _baseline(200))


def _baseline(status: int) -> Probed:
    return gathered("baseline", answer(BODY, role="chat", status=status, speaks="openai-chat"))
