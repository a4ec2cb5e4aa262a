"""What is run on which server: its mode, and how the suite is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from third_party import Server

DIALECTS = "tests/interop/dialects"


@dataclass(frozen=True)
class Case:
    """One run. ``arguments`` follow ``aiconform check URL``; ``named`` are the requirements that a fault of the
    server's mode must be found by, and ``calls`` and ``seconds`` the most that the run may need."""

    name: str
    about: str
    server: Server
    arguments: Sequence[str]
    named: Sequence[str] = ()
    calls: int = 80
    seconds: float = 60.0


def llmock(*options: str) -> Server:
    always = "serve --host 127.0.0.1 --port {port} --log-level warning --stream-chunk-delay-ms 20"
    return Server("llmock", ("llmock", *always.split(), *options))


def _fault(kind: str, named: str) -> Case:
    return Case(
        f"llmock-{kind}",
        f"every stream with the fault `{kind}`",
        llmock("--stream-fault", f"{kind}=1"),
        ("--dialect", "openai-chat"),
        (named,),
    )


LITELLM = Server(
    "litellm",
    ("litellm", "--config", "proxy.yaml", "--host", "127.0.0.1", "--port", "{port}", "--telemetry", "False"),
    "/health/liveliness",
    {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
    },
    ("litellm/proxy.yaml", "litellm/proxy_keys.py"),
    upstream=llmock("--context-window", "4000"),
)

LITELLM_KEYS = ("--key", "sk-main", "--other-key", "sk-other", "--limited-key", "sk-limited")

TRANSFORMERS = Server(
    "transformers",
    (
        "transformers",
        *[
            "serve",
            "tiny",
            "--device",
            "cpu",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--default-seed",
            "7",
        ],
    ),
    # One thread is enough for a tiny model, and does not wait for others on a busy machine.
    # Without this folder the server looks for its own cache and fails to list its models.
    environment={
        "HF_HOME": "hub-home",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    },
    files=("tiny_model.py",),
    prepare=("tiny_model.py", "tiny", "hub-home"),
)

CASES = (
    Case("llmock", "as it is; it has no authentication", llmock(), ("--dialect", "openai-chat")),
    Case(
        "llmock-quota",
        "10 requests and 2000 tokens per minute and key",
        llmock("--rpm", "10", "--tpm", "2000"),
        ("--dialect", "openai-chat", "--key", "sk-main", "--limited-key", "sk-limited"),
    ),
    Case(
        "llmock-context",
        "a context window of 500 tokens",
        llmock("--context-window", "500"),
        ("--dialect", f"{DIALECTS}/llmock-context.yaml"),
    ),
    Case(
        "llmock-500",
        "every call answered 500",
        llmock("--error-rate", "500=1"),
        ("--dialect", "openai-chat"),
        ("CON-26",),
    ),
    _fault("truncate", "SSE-04"),
    _fault("malformed", "SSE-02"),
    _fault("disconnect", "SSE-34"),
    _fault("stall", "SSE-35"),
    Case(
        "litellm",
        "a gateway with LLMock behind it; a second key, and one of 3 requests per minute",
        LITELLM,
        ("--dialect", f"{DIALECTS}/litellm.yaml", "--model", "up-gpt", *LITELLM_KEYS),
    ),
    Case(
        "transformers",
        "`transformers serve`: inference on a tiny random model; it has no authentication",
        TRANSFORMERS,
        ("--dialect", "openai-chat", "--model", "tiny", "--concurrency", "2"),
    ),
)
