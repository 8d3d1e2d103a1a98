"""`connect`: a client for the length of a block."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from rtcore.client.reconnecting import Client
from rtcore.client.settings import ClientSettings
from rtcore.client.state import ClientState
from rtcore.client.tokens import Token
from rtcore.client.transport import OpenStream, parse_address

__all__ = ["Client", "connect"]


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: Token | None = None,
    settings: ClientSettings | None = None,
    ssl_context: ssl.SSLContext | None = None,
    open_stream: OpenStream | None = None,
    on_change: Callable[[ClientState, str], None] | None = None,
) -> AsyncIterator[Client]:
    """
    A client that keeps itself connected while the block lasts.

    Entering does not wait for the connection: `wait_connected` does, and so does whatever needs one. An exception of
    the block comes out as it is, not in a group. Leaving ends the connection with 1000, within `close_seconds`.

    Args:
        url: `ws://HOST[:PORT][/PATH]` or `wss://...`; an empty path is `/ws`. It must carry no token.
        token: A token, or a function, async or not, that gets one; sent in a message, never in the URL. A function's
            `OSError` counts as a failed attempt to connect; another exception closes the client for good, and is the
            cause of the `AuthenticationError` that each use of it raises.
        settings: Bounds and times.
        ssl_context: For `wss`; None for the system's trust store.
        open_stream: Opens the byte stream in place of TCP and TLS: Unix sockets, proxies, tests.
        on_change: Called at every change of state, with the reason for a person to read; must not block or raise. Parts
            of the reason come from the server: escape it before it gets to a terminal or a page.

    Raises:
        ValueError: If the URL has another form or carries a token.
    """
    client = Client(
        parse_address(url),
        token=token,
        settings=settings or ClientSettings(),
        ssl_context=ssl_context,
        open_stream=open_stream,
        on_change=on_change,
    )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.keep_connected)
            try:
                yield client
            except BaseException as error:
                failure = error
                raise
            finally:
                client.leave()
    except BaseExceptionGroup as group:
        if failure is None or group.exceptions != (failure,):
            raise
    if failure is not None:
        raise failure
