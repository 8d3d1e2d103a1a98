"""The tasks in which an ASGI application answers the requests of one connection, in the form hypercorn asks for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope

__all__ = ["ApplicationTasks"]

logger = logging.getLogger("rtcore.http")


class ApplicationTasks:
    """
    Starts an application task per request in a nursery that the connection owns.

    It differs from hypercorn's own task group in one thing: once a reply is complete, the rest of the request's body
    has no reader any more and is dropped, where hypercorn would wait for ever for room in the application's queue.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start the application on one request and return where to put what comes in for it."""
        into, out_of = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)
        self._nursery.start_soon(_run, app, scope, out_of, send)

        async def put(event: ASGIReceiveEvent) -> None:
            with suppress(trio.BrokenResourceError):  # The reply is complete.
                await into.send(event)

        return put

    def spawn(self, func: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Start any other task of hypercorn's."""
        self._nursery.start_soon(func, *args)

    async def __aenter__(self) -> ApplicationTasks:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None


async def _run(
    app: AppWrapper,
    scope: Scope,
    events: trio.MemoryReceiveChannel[ASGIReceiveEvent],
    send: Callable[[ASGISendEvent | None], Awaitable[None]],
) -> None:
    async def receive() -> ASGIReceiveEvent:
        try:
            return await events.receive()
        except trio.ClosedResourceError:
            return {"type": "http.disconnect"}

    async def reply(message: ASGISendEvent | None) -> None:
        if message is not None and message["type"] == "http.response.body" and not message.get("more_body"):
            events.close()
        await send(message)

    try:
        await app(scope, receive, reply, trio.to_thread.run_sync, trio.from_thread.run)
    except Exception:  # The top of a request's task: one failing request must not end its siblings.
        logger.exception("the application failed on a request")
    events.close()
    await send(None)
