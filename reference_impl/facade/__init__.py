"""The builtin engine in OpenAI's shapes: chat completions below ``/openai/v1``, with the contract's promises."""
