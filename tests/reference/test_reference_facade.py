"""The OpenAI-compatible facade, driven by the official SDK and judged by the suite."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from reference_server import KEY, LIMITED_KEY, OTHER_KEY, ReferenceServer

from reference_impl.facade.shapes import dotted
from reference_impl.settings import DEVELOPMENT, Settings

ASK = [{"role": "user", "content": "Repeat exactly: one two three"}]


@pytest.fixture(scope="module")
def server() -> Iterator[ReferenceServer]:
    with ReferenceServer(Settings()) as running:
        yield running


def sdk(server: ReferenceServer, key: str = KEY) -> openai.OpenAI:
    """The official client, without retries of its own."""
    url = f"http://127.0.0.1:{server.port}/openai/v1"
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def test_the_sdk_reads_a_whole_completion(server: ReferenceServer) -> None:
    answer = sdk(server).chat.completions.create(model="atlas-1", messages=ASK)
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "atlas-1-2026-06-01"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_sdk_reads_a_stream_to_its_usage(server: ReferenceServer) -> None:
    stream = sdk(server).chat.completions.create(
        model="atlas-1", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert {c.usage for c in chunks[:-1]} == {None}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3  # role, finish, usage
    assert len({(c.id, c.created) for c in chunks}) == 1


def test_without_include_usage_no_chunk_speaks_of_it(server: ReferenceServer) -> None:
    stream = sdk(server).chat.completions.create(model="atlas-1", messages=ASK, stream=True)
    assert all("usage" not in chunk.model_fields_set for chunk in stream)


def test_text_parts_and_the_developer_role_mean_the_same(server: ReferenceServer) -> None:
    parts = [{"type": "text", "text": "Repeat exactly: "}, {"type": "text", "text": "yes"}]
    answer = sdk(server).chat.completions.create(
        model="atlas-1",
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}],
    )
    assert answer.choices[0].message.content == "yes"


def test_both_names_of_the_output_limit_work_and_exclude_each_other(server: ReferenceServer) -> None:
    create = sdk(server).chat.completions.create
    for name in ("max_tokens", "max_completion_tokens"):
        answer = create(model="atlas-1", messages=ASK, **{name: 1})
        assert answer.usage is not None
        assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 1)
    with pytest.raises(openai.BadRequestError):
        create(model="atlas-1", messages=ASK, max_tokens=1, max_completion_tokens=1)


@pytest.mark.parametrize(
    "field",
    [
        {"n": 2},
        {"stop": ["."]},
        {"top_p": 0.5},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"logit_bias": {"1": 1}},
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    server: ReferenceServer, field: dict[str, object]
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk(server).chat.completions.create(model="atlas-1", messages=ASK, extra_body=field)
    assert refused.value.param is not None
    assert refused.value.param.split(".")[0] == next(iter(field))


def test_errors_are_the_classes_that_the_sdk_knows(server: ReferenceServer) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown_key:
        sdk(server, "sk-nobody").models.list()
    assert unknown_key.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as unknown_model:
        sdk(server).chat.completions.create(model="nobody", messages=ASK)
    assert unknown_model.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as too_long:
        sdk(server).chat.completions.create(
            model="atlas-mini", messages=[{"role": "user", "content": "word " * 3000}]
        )
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as wrong_role:
        sdk(server).chat.completions.create(model="atlas-1", messages=[{"role": "nobody", "content": "x"}])
    assert wrong_role.value.param == "messages[0].role"
    with pytest.raises(openai.InternalServerError) as overloaded:
        sdk(server).chat.completions.create(
            model="atlas-1", messages=ASK, extra_body={"sandbox": {"scenario": "overloaded"}}
        )
    assert overloaded.value.status_code == 503
    assert overloaded.value.response.headers["retry-after"] == "1"


def test_the_challenge_leads_to_no_metadata_of_another_resource(server: ReferenceServer) -> None:
    """RFC 9728 section 3.3: a client has to reject metadata whose resource is not what it asked."""
    refused = httpx.get(f"{server.origin}/openai/v1/models", headers={"Authorization": "Bearer sk-nobody"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="aiconform", error="invalid_token"'
    contract = httpx.get(f"{server.url}/models")
    assert "/.well-known/oauth-protected-resource/api/v1" in contract.headers["www-authenticate"]


def test_limits_are_the_contracts_in_openais_words() -> None:
    with ReferenceServer(Settings()) as server:
        client = sdk(server, LIMITED_KEY)
        for _ in range(DEVELOPMENT.requests.limit):
            client.models.list()
        with pytest.raises(openai.RateLimitError) as limited:
            client.models.list()
        assert limited.value.code == "rate_limit_exceeded"
        assert limited.value.type == "requests"
        assert int(limited.value.response.headers["retry-after"]) >= 1
        assert limited.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_keyed_retry_is_answered_with_the_same_bytes(server: ReferenceServer) -> None:
    raw = sdk(server).chat.completions.with_raw_response
    for streamed in (False, True):
        key = {"Idempotency-Key": f"facade-{streamed}"}
        first, again = (
            raw.create(model="atlas-1", messages=ASK, stream=streamed, extra_headers=key).http_response
            for _ in range(2)
        )
        assert first.read() == again.read()
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers


def test_a_broken_stream_raises_in_the_sdk(server: ReferenceServer) -> None:
    stream = sdk(server).chat.completions.create(
        model="atlas-1", messages=ASK, stream=True, extra_body={"sandbox": {"scenario": "fault_midstream"}}
    )
    with pytest.raises(openai.APIError):
        list(stream)


def test_models_are_listed_under_their_ids_and_aliases(server: ReferenceServer) -> None:
    client = sdk(server)
    names = {model.id for model in client.models.list()}
    assert {"atlas-1", "atlas-1-2026-06-01"} <= names
    assert all(client.models.retrieve(name).id == name for name in names)


def test_unknown_paths_and_methods_are_refused_in_openais_shape(server: ReferenceServer) -> None:
    answer = server.client().get(f"http://127.0.0.1:{server.port}/openai/v1/nothing")
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("/messages/0/role", "messages[0].role"), ("/a~1b/~0c", "a/b.~c"), ("Authorization", "Authorization")],
)
def test_pointers_become_dotted_paths(pointer: str, expected: str) -> None:
    assert dotted(pointer) == expected


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-facade"])
def test_the_suite_finds_nothing(server: ReferenceServer, dialect: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    url = f"http://127.0.0.1:{server.port}/openai/v1"
    command = [sys.executable, "-m", "conformance.cli", "check", url, "--dialect", dialect]
    keys = ["--key", KEY, "--other-key", OTHER_KEY, "--limited-key", LIMITED_KEY]
    run = subprocess.run(
        [*command, *keys, "--max-calls", "200", "--json", str(report), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    verdicts = {v["id"]: v["verdict"] for v in json.loads(report.read_text())["verdicts"]}
    assert [i for i, verdict in verdicts.items() if verdict in ("FAIL", "WARN", "ERROR")] == []
    assert sum(verdict == "PASS" for verdict in verdicts.values()) >= 80
