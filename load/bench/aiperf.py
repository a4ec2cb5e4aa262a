"""AIPerf as a client of the benchmark, with the settings that suit it best on one core.

One worker and one record processor (its default is one per core, which on one core only wait for each other), no
telemetry, a warm-up phase, the prompt from a file, and token counts from the server. It asks for a tokenizer all the
same: one of two words is written for it, so that nothing is downloaded and nothing costs time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from load.bench.process import run
from load.bench.result import Load, Result, ones

TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "hello": 1}, "unk_token": "[UNK]"},
}
SHORTEST = 6
"""Seconds that its measured phase lasts at least: of a shorter one its own start takes too large a share."""


def command() -> str:
    """Where it is: ``BENCH_AIPERF`` or on the path; empty if it is not installed."""
    return os.environ.get("BENCH_AIPERF") or shutil.which("aiperf") or ""


def aiperf(load: Load) -> Result:
    """One run, read from its own report."""
    seconds = max(SHORTEST, round(load.seconds))
    with tempfile.TemporaryDirectory() as folder:
        out, tokenizer, prompts = Path(folder) / "out", Path(folder) / "words", Path(folder) / "prompts.jsonl"
        tokenizer.mkdir()
        (tokenizer / "tokenizer.json").write_text(json.dumps(TOKENIZER), "utf-8")
        (tokenizer / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}), "utf-8"
        )
        prompts.write_text(json.dumps({"text": "hello"}) + "\n", "utf-8")
        arguments = [
            "profile", "--model", "truth-1", "--tokenizer", str(tokenizer), "--use-server-token-count",
            "--endpoint-type", "chat", "--streaming", "--url", load.url.removesuffix("/api/v1"),
            "--endpoint", "/api/v1/chat/completions", "--concurrency", str(load.users),
            "--input-file", str(prompts), "--custom-dataset-type", "single_turn",
            "--warmup-duration", str(load.warmup), "--benchmark-duration", str(seconds),
            "--workers-max", "1", "--record-processor-service-count", "1", "--no-server-metrics",
            "--no-gpu-telemetry", "--ui", "none", "--artifact-dir", str(out), "--export-level", "records",
        ]  # fmt: skip
        memory, _ = run([*load.prefix, command(), *arguments], load.warmup + seconds)
        lines = (out / "profile_export.jsonl").read_text("utf-8").splitlines()
        summary = json.loads((out / "profile_export_aiperf.json").read_text("utf-8"))
    metrics = [json.loads(line)["metrics"] for line in lines]

    def seconds_of(name: str) -> list[float]:
        return [m[name]["value"] / 1000 for m in metrics if name in m]

    return Result(
        summary["request_throughput"]["avg"],
        ones(seconds_of("time_to_first_token")),
        ones(seconds_of("inter_token_latency")),
        memory,
    )
