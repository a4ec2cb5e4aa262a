"""What the engine could not do, in the contract's words."""

from __future__ import annotations

from reference_impl.engine import base
from reference_impl.policies.errors import ContractError


def contract_error(failure: base.EngineError) -> ContractError:
    """The error of the contract for a failure of the engine. Nothing the engine said is passed on."""
    match failure:
        case base.OverloadedError(retry_after_s):
            return ContractError(
                "MODEL_OVERLOADED",
                "The model has no capacity now; try again shortly.",
                details={"policy": "capacity", "retry_after_seconds": retry_after_s},
                headers={"Retry-After": str(retry_after_s)},
            )
        case base.ModelTimeoutError(timeout_ms, elapsed_ms):
            return ContractError(
                "MODEL_TIMEOUT",
                f"The model did not answer within {timeout_ms} ms.",
                details={"timeout_ms": timeout_ms, "elapsed_ms": elapsed_ms},
            )
        case base.ContextExceededError(input_tokens, max_tokens):
            return context_exceeded(input_tokens, max_tokens)
        case base.InputFilteredError(categories):
            return ContractError(
                "CONTENT_FILTER_TRIGGERED",
                "The input was refused by the content policy.",
                details={"stage": "input", "categories": list(categories)},
            )
        case base.ToolFailedError(tool, tool_call_id, attempt, retryable, side_effects):
            return ContractError(
                "TOOL_EXECUTION_FAILED",
                "A tool that the model called has failed.",
                details={
                    "tool": tool,
                    "tool_call_id": tool_call_id,
                    "attempt": attempt,
                    "retryable": retryable,
                    "side_effects": side_effects,
                },
            )
        case _:
            return ContractError("UPSTREAM_ERROR", "The server behind the model failed.")


def context_exceeded(input_tokens: int, max_tokens: int) -> ContractError:
    """CONTEXT_LENGTH_EXCEEDED with both sizes in tokens."""
    return ContractError(
        "CONTEXT_LENGTH_EXCEEDED",
        f"The input has {input_tokens} tokens; the model takes {max_tokens}.",
        details={
            "input_tokens": input_tokens,
            "max_tokens": max_tokens,
            "suggestion": "Shorten or split the input, or choose a model with a larger context_window.",
        },
    )
