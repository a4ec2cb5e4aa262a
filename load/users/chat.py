"""Single calls: an answer at once, a stream, a classification; and conversations that grow."""

from __future__ import annotations

from load.users.actor import Actor

SYSTEM = {"role": "system", "content": "Answer in one short paragraph."}


def chat(actor: Actor, intended: float | None) -> None:
    """One answer, not streamed."""
    _single(actor, "chat", intended)


def chat_stream(actor: Actor, intended: float | None) -> None:
    """One streamed answer."""
    _single(actor, "chat_stream", intended, defer=True)


def classify(actor: Actor, intended: float | None) -> None:
    """One classification."""
    _single(actor, "classify", intended, name="text")


def _single(
    actor: Actor, operation: str, intended: float | None, *, name: str = "prompt", defer: bool = False
) -> None:
    """One call about a prompt of the pool, given as the parameter ``name``."""
    prompt = actor.prompt()
    actor.engine.call(
        operation,
        actor.params(**{name: prompt.text}),
        actor.pool,
        principal=actor.principal,
        intended=intended,
        cache=str(prompt.number),
        obey=not actor.impatient,
        defer=defer,
    )


def session(actor: Actor, intended: float | None) -> None:
    """The next turn of a conversation: the whole of it is sent again, and grows with every answer."""
    if actor.turns >= actor.engine.config.turns or not actor.messages:
        actor.messages, actor.turns = [SYSTEM], 0
    question = {"role": "user", "content": actor.prompt().text}
    called = actor.engine.call(
        "chat_stream",
        actor.params(messages=[*actor.messages, question]),
        actor.pool,
        principal=actor.principal,
        intended=intended,
        label="session",
        obey=not actor.impatient,
    )
    if called.seen.ok:
        actor.turns += 1
        actor.messages += [question, {"role": "assistant", "content": called.text}]
    else:
        actor.messages = []  # a broken turn ends the conversation
