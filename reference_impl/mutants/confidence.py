"""Mutants of the confidence: numbers and flags that look right and mean nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reference_impl.mutants.asked import edit_asked
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.wire import Answer, edit_answers

Body = dict[str, Any]


def _classified(change: Callable[[Body], Body]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite every classification, also one that is the result of a job."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or not isinstance(answer.json, dict):
            return answer
        body = answer.json
        if "requires_human_review" in body:
            return answer.with_json(change(body))
        result = body.get("result")
        if isinstance(result, dict) and "requires_human_review" in result:
            return answer.with_json({**body, "result": change(result)})
        return answer

    return edit_answers(edit)


def _block(**changes: Any) -> Callable[[Body], Body]:
    """Change `metadata.confidence`, where there is one; a value of ``...`` removes the field."""

    def change(body: Body) -> Body:
        if "confidence" not in body.get("metadata", {}):
            return body
        block = {**body["metadata"]["confidence"], **changes}
        kept = {k: v for k, v in block.items() if v is not ...}
        return {**body, "metadata": {**body["metadata"], "confidence": kept}}

    return change


def _other_category(body: Body) -> Body:
    """The second choice with the certainty of the first."""
    first, *rest = body["alternatives"]
    swapped = {"category": body["category"], "confidence": first["confidence"]}
    return {**body, "category": first["category"], "alternatives": [swapped, *rest]}


def _independent(body: Body) -> Body:
    """Every alternative is as certain as the choice."""
    raised = [{**a, "confidence": body["confidence"]} for a in body["alternatives"]]
    return {**body, "alternatives": raised}


def _inverted(body: Body) -> Body:
    return {**body, "confidence": round(1 - body["confidence"], 4)}


def _no_threshold(request: Body) -> Body:
    return {k: v for k, v in request.items() if k != "min_confidence"}


def _clamped(request: Body) -> Body:
    value = request.get("min_confidence")
    if isinstance(value, int | float):
        return {**request, "min_confidence": min(1, max(0, value))}
    return request


def _rising(app: ASGIApp) -> ASGIApp:
    """Irregular white space in the request takes half of the confidence away."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        odd = False

        async def seen() -> Any:
            nonlocal odd
            message = await receive()
            odd = odd or b"\\t" in message.get("body", b"")
            return message

        async def changed(message: Any) -> None:
            if odd and b'"confidence":' in message.get("body", b""):
                body = json.loads(message["body"])
                body["confidence"] = round(body["confidence"] / 2, 4)
                text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
                message = {**message, "body": text.ljust(len(message["body"]))}
            await send(message)

        await app(scope, seen, changed if scope["path"].endswith("/classify") else send)

    return wrapped


MUTANTS = (
    mutant("confidence-constant", "CONF-09", "0.9 for every text", wrap=_classified(lambda b: {**b, "confidence": 0.9})),
    mutant("confidence-above-one", "CONF-01", "a confidence of 1.2", wrap=_classified(lambda b: {**b, "confidence": 1.2})),
    mutant("confidence-inverted", "CONF-10", "nonsense is certain, plain requests are not", wrap=_classified(_inverted)),
    mutant("confidence-of-white-space", "CONF-11", "tabs halve the confidence", wrap=_rising),
    mutant("alternatives-independent", "CONF-03", "scores that are no shares of one whole", wrap=_classified(_independent)),
    mutant("review-flag-constant", "CONF-04", "nothing ever needs a review", wrap=_classified(lambda b: {**b, "requires_human_review": False})),
    mutant("review-threshold-hidden", "CONF-05", "the threshold is not told", wrap=_classified(_block(threshold=...))),
    mutant("min-confidence-ignored", "CONF-06 CONF-07", "min_confidence has no effect", wrap=edit_asked(_no_threshold, "/classify")),
    mutant("min-confidence-clamped", "CONF-08", "1.5 is taken for 1", wrap=edit_asked(_clamped, "/classify")),
    mutant("calibration-claimed", "CONF-12", "certain of the second-best category, with a small declared error", wrap=_classified(_other_category)),
    mutant("calibration-error-hidden", "CONF-14", "calibrated, by how much is not told", wrap=_classified(_block(ece=...))),
    mutant("method-hidden", "CONF-13", "the method is not told", wrap=_classified(_block(method=...))),
)  # fmt: skip

VARIANTS = (
    variant("confidence-uncalibrated", "honest about a confidence that is not calibrated", wrap=_classified(_block(calibrated=False, ece=..., ece_samples=...))),
)  # fmt: skip
