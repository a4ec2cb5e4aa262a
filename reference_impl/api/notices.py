"""Deprecation notices of what a request uses."""

from __future__ import annotations

from datetime import datetime

from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange, Notice


def note_model(exchange: Exchange, model: Model) -> None:
    """Have the answer say that its model is deprecated, if it is."""
    if model.deprecated_at is None or model.sunset_at is None or model.successor is None:
        return
    notice = Notice(
        deprecated_at=datetime.fromisoformat(model.deprecated_at),
        sunset_at=datetime.fromisoformat(model.sunset_at),
        successor=f"/models/{model.successor}",
        explained=f"/models/{model.id}",
    )
    if notice not in exchange.notices:
        exchange.notices.append(notice)
