"""Classification of errors: bodies written after the documents and source code of vendors and servers."""

from __future__ import annotations

from typing import Any

import pytest
from small_dialects import events, exchange, small

from conformance.dialects.interpret import read_error, read_stream
from conformance.dialects.model import load_dialect

MAX = "This model's maximum context length is"


def error(message: str, kind: str | None = None, code: Any = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


INVALID = "invalid_request_error"
SIZES = {"max_tokens": 4096, "input_tokens": 5000}
VENDORS: list[tuple[str, int, Any, str | None, dict[str, Any]]] = [
    ("OpenAI, window", 400, error(f"{MAX} 4096 tokens. However, your messages resulted in 5000 tokens.", INVALID, "context_length_exceeded"), "CONTEXT_LENGTH_EXCEEDED", SIZES),
    ("OpenAI, window without sizes", 400, error("Too long.", INVALID, "context_length_exceeded"), "CONTEXT_LENGTH_EXCEEDED", {}),
    ("older vLLM", 400, {"object": "error", "message": f"{MAX} 4096 tokens. However, you requested 5000 tokens (4744 in the messages, 256 in the completion).", "type": "BadRequestError", "param": None, "code": 400}, "CONTEXT_LENGTH_EXCEEDED", SIZES),
    ("vLLM now", 400, error(f"{MAX} 4096 tokens. However, you requested 256 output tokens and your prompt contains at least 5000 input tokens, for a total of at least 5256 tokens.", "BadRequestError", 400), "CONTEXT_LENGTH_EXCEEDED", SIZES),
    ("one size only", 400, error(f"{MAX} 4096 tokens.", "BadRequestError", 400), "CONTEXT_LENGTH_EXCEEDED", {}),
    ("llama.cpp", 400, error("the request exceeds the available context size, try increasing it", "exceed_context_size_error", 400, n_prompt_tokens=5000, n_ctx=4096), "CONTEXT_LENGTH_EXCEEDED", SIZES),
    ("LiteLLM, window", 400, error("litellm.ContextWindowExceededError: mock", None, "400"), "CONTEXT_LENGTH_EXCEEDED", {}),
    ("OpenAI, filter", 400, error("Your request was rejected.", INVALID, "content_policy_violation"), "CONTENT_FILTER_TRIGGERED", {}),
    ("Azure, filter", 400, error("The response was filtered.", None, "content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}), "CONTENT_FILTER_TRIGGERED", {}),
    ("OpenAI, key", 401, error("Incorrect API key provided", INVALID, "invalid_api_key"), "UNAUTHENTICATED", {}),
    ("no body", 401, None, "UNAUTHENTICATED", {}),
    ("OpenAI, region", 403, error("Country not supported", "request_forbidden", "unsupported_country_region_territory"), "INSUFFICIENT_SCOPE", {}),
    ("OpenAI, model", 404, error("The model `x` does not exist or you do not have access to it.", INVALID, "model_not_found"), "MODEL_NOT_FOUND", {}),
    ("vLLM, model", 404, error("The model `x` does not exist.", "NotFoundError", 404), "MODEL_NOT_FOUND", {}),
    ("Ollama, model", 404, error('model "x" not found, try pulling it first', "api_error"), "MODEL_NOT_FOUND", {}),
    ("LiteLLM, model", 400, error("/chat/completions: Invalid model name passed in model=x.", INVALID, "400"), "MODEL_NOT_FOUND", {}),
    ("a path", 404, {"detail": "Not Found"}, "NOT_FOUND", {}),
    ("a parameter, not a model", 400, error("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", INVALID, "unsupported_parameter"), "INVALID_REQUEST", {}),
    ("a value, not a model", 400, error("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.", INVALID, "unsupported_value"), "INVALID_REQUEST", {}),
    ("OpenAI, requests", 429, error("Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1.", "requests", "rate_limit_exceeded"), "RATE_LIMITED", {}),
    ("OpenAI, tokens", 429, error("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000.", "tokens", "rate_limit_exceeded"), "TOKEN_LIMIT_EXCEEDED", {}),
    ("tokens by prose alone", 429, error("Rate limit reached on tokens per min (TPM)", None, "rate_limit_exceeded"), "TOKEN_LIMIT_EXCEEDED", {}),
    ("LiteLLM, tokens", 429, error("Rate limit exceeded. Limit type: tokens. Current limit: 50", "throttling_error", "429"), "TOKEN_LIMIT_EXCEEDED", {}),
    ("OpenAI, account", 429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "BUDGET_EXCEEDED", {}),
    ("payment", 402, {"error": "insufficient credits"}, "BUDGET_EXCEEDED", {}),
    ("OpenAI, server", 500, error("The server had an error", "server_error"), "INTERNAL", {}),
    ("overloaded", 503, error("The engine is currently overloaded", "server_error"), "MODEL_OVERLOADED", {}),
    ("overloaded by code", 500, error("Overloaded", "server_error", "server_overloaded"), "MODEL_OVERLOADED", {}),
    ("a proxy's page", 502, None, "UPSTREAM_ERROR", {}),
    ("a proxy's patience", 504, None, "MODEL_TIMEOUT", {}),
    ("request timeout", 408, error("Request timed out."), "MODEL_TIMEOUT", {}),
    ("FastAPI", 422, {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "INVALID_REQUEST", {}),
    ("method", 405, {"detail": "Method Not Allowed"}, "METHOD_NOT_ALLOWED", {}),
    ("accept", 406, {}, "NOT_ACCEPTABLE", {}),
    ("bytes", 413, {"message": "too large"}, "PAYLOAD_TOO_LARGE", {}),
    ("media type", 415, {}, "UNSUPPORTED_MEDIA_TYPE", {}),
    ("unknown status", 418, {}, None, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "code", "details"), [v[1:] for v in VENDORS], ids=[v[0] for v in VENDORS]
)
def test_an_error_of_the_openai_format(
    status: int, body: Any, code: str | None, details: dict[str, Any]
) -> None:
    answer = exchange(raw=b"<html>", status=status) if body is None else exchange(body, status=status)
    found = read_error(load_dialect("openai-chat"), answer)
    assert found.code == code
    assert found.details == details


IN_STREAM = [
    (error("Rate limit reached", "requests", "rate_limit_exceeded"), "RATE_LIMITED"),
    (error("The server had an error", "server_error"), "INTERNAL"),
    (error("boom", "InternalServerError", 500), "INTERNAL"),
    (error("busy", "ServiceUnavailableError", 503), "MODEL_OVERLOADED"),
    (error(f"{MAX} 4096 tokens. However, you requested 5000 tokens", "BadRequestError", 400), "CONTEXT_LENGTH_EXCEEDED"),
    (error("Overloaded", "overloaded_error"), "MODEL_OVERLOADED"),
    (error("?", None, "something_new"), None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "code"), IN_STREAM)
def test_an_error_inside_a_stream_has_no_status_of_its_own(data: Any, code: str | None) -> None:
    [(index, found)] = read_stream(load_dialect("openai-chat"), events(data)).errors
    assert (index, found.code) == (0, code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (error("a"), "a"),
        ({"error": "a"}, "a"),
        ({"message": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"msg": "a"}]}, None),
        ([], None),
        ("a", None),
    ],
)
def test_where_an_error_of_the_openai_format_has_its_message(body: Any, message: str | None) -> None:
    assert read_error(load_dialect("openai-chat"), exchange(body, status=400)).message.value == message


def test_the_contracts_own_error() -> None:
    body = {"error": {"code": "RATE_LIMITED", "message": "m", "details": {"limit": 5}, "type": "rate_limit_error", "param": None, "retryable": True, "request_id": "r", "docs_url": "http://x/errors/RATE_LIMITED"}}  # fmt: skip
    found = read_error(load_dialect("contract"), exchange(body, status=429))
    assert (found.code, found.retryable.value, found.details) == ("RATE_LIMITED", True, {"limit": 5})
    assert (found.request_id.where, found.param.state) == ("/error/request_id", "absent")


def test_the_contracts_error_as_problem_json() -> None:
    body = {"type": "http://x/errors/NOT_FOUND", "title": "t", "status": 404, "detail": "m", "code": "NOT_FOUND", "details": {}, "request_id": "r"}  # fmt: skip
    found = read_error(load_dialect("contract"), exchange(body, status=404))
    assert (found.code, found.message.value) == ("NOT_FOUND", "m")
    assert (found.request_id.value, found.docs_url.value) == ("r", "http://x/errors/NOT_FOUND")


@pytest.mark.parametrize("body", [{}, {"error": {}}, {"error": {"code": 7}}, {"error": None}, [], None])
def test_the_contract_has_no_code_where_the_server_gives_none(body: Any) -> None:
    assert read_error(load_dialect("contract"), exchange(body, status=500)).code is None


def test_conditions_hold_together_and_the_first_rule_wins(tmp_path: Any) -> None:
    rules = [
        {"code": "A", "status": [400], "when": "$.e[?@ == 'x']", "match": "n=(?P<n>[0-9]+) (?P<word>[a-z]+)"},
        {"code": "B", "status": [400], "when": "$.e"},
        {"code": "C", "status": [400, 422]},
    ]
    dialect = small(tmp_path, error={"message": "$.m", "classify": rules})

    def code(body: Any, status: int = 400) -> str | None:
        return read_error(dialect, exchange(body, status=status)).code

    assert code({"e": ["x"], "m": "n=12 words"}) == "A"
    assert read_error(dialect, exchange({"e": ["x"], "m": "n=12 words"}, status=400)).details == {
        "n": 12,
        "word": "words",
    }
    assert code({"e": ["x"], "m": "none"}) == "B"
    assert code({"e": None}) == "C"
    assert code({"e": ["x"], "m": "n=12 words"}, status=422) == "C"
    assert code({}, status=500) is None


def test_the_vendors_own_details_are_kept(tmp_path: Any) -> None:
    rules = [{"code": "A", "match": "(?P<n>[0-9]+)", "details": {"size": "$.size", "gone": "$.gone"}}]
    dialect = small(tmp_path, error={"message": "$.m", "details": "$.d", "classify": rules})
    body = {"m": "12", "d": {"n": "theirs"}, "size": 3, "gone": None}
    assert read_error(dialect, exchange(body, status=400)).details == {"n": "theirs", "size": 3}


def test_only_the_beginning_of_a_message_is_searched(tmp_path: Any) -> None:
    dialect = small(tmp_path, error={"message": "$.m", "classify": [{"code": "A", "match": "needle"}]})
    assert read_error(dialect, exchange({"m": "x" * 3000 + "needle"}, status=400)).code == "A"
    assert read_error(dialect, exchange({"m": "x" * 5000 + "needle"}, status=400)).code is None
