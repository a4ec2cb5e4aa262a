"""All actions by the name that ``--mix`` uses."""

from __future__ import annotations

from collections.abc import Mapping

from load.users.actor import Action, Actor, choose
from load.users.chat import chat, chat_stream, classify, session
from load.users.job import job
from load.users.keyed import race, retry

ACTIONS: Mapping[str, Action] = {
    "chat": chat,
    "chat_stream": chat_stream,
    "classify": classify,
    "session": session,
    "job": job,
    "retry": retry,
    "race": race,
}


def act(actor: Actor, intended: float | None = None) -> None:
    """One action of the mix. Raises ``Stopped`` when the run is over."""
    ACTIONS[choose(actor.engine.config.mix, actor.dice)](actor, intended)
