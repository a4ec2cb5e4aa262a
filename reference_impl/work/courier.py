"""One attempt to deliver one webhook message."""

from __future__ import annotations

import time

from reference_impl.policies.callbacks import retry_after
from reference_impl.policies.egress import UnreachableError
from reference_impl.services import Services
from reference_impl.store.webhooks import Delivery


async def deliver(services: Services, delivery: Delivery) -> None:
    """Send it, and write down what follows from the answer."""
    callbacks, now = services.policies.callbacks, time.time()
    endpoint = delivery.endpoint
    headers = callbacks.headers(delivery.id, delivery.body, endpoint.secrets(now), now, delivery.created_at)
    status: int | None = None
    asked: float | None = None
    try:
        reply = await services.policies.egress.post(
            endpoint.url, headers, delivery.body, services.settings.webhook_timeout_s
        )
        status, asked = reply.status, retry_after(reply.headers)
    except UnreachableError:
        pass
    following = callbacks.after(delivery.attempts + 1, status, asked)
    match following.step:
        case "delivered":
            await services.outbox.delivered(delivery)
        case "retry":
            await services.outbox.retry(delivery, time.time() + following.delay_s)
        case "disable":
            async with services.database.transaction():
                await services.webhooks.disable(endpoint.id, "the endpoint answered 410")
                await services.outbox.abandoned(delivery)
        case "abandon":
            await services.outbox.abandoned(delivery)
