"""From a URL to an open WebSocket connection, with every failure as one of rtcore's own errors."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import h11
import trio
import trio_websocket
import wsproto.utilities
from attrs import define, frozen

from rtcore.client.settings import ClientSettings
from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.values.opcodes import CloseCode

__all__ = ["Address", "OpenStream", "WatchedStream", "closed_with", "open_websocket", "parse_address"]

OpenStream = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens the byte stream to the server: for Unix sockets, proxies and tests."""

SUBPROTOCOL = "rtcore.v1"
_READ_BYTES = 64 * 1024  # one read takes what a busy server writes at once; trio-websocket's own 4 KiB makes 16 of it
_MESSAGES_READ_AHEAD = 16
_FAREWELL_SECONDS = 0.1  # for a frame of a few bytes to get into the socket's buffer
_NOT_A_WEBSOCKET = (h11.ProtocolError, wsproto.utilities.ProtocolError)
"""What trio-websocket's reader fails with where the answer is no HTTP: it tries to reply with an error, as a server."""
_HANDSHAKE_FAILURES = (
    trio_websocket.HandshakeError,
    trio_websocket.ConnectionClosed,
    ConnectionClosed,
    trio.TooSlowError,
    *_NOT_A_WEBSOCKET,
)
_REASON_LENGTH = 200  # it goes into messages and logs
_TOKEN_NAMES = frozenset({"token", "access_token", "auth", "jwt"})


@frozen(kw_only=True)
class Address:
    """Where a URL points."""

    host: str
    port: int
    resource: str
    tls: bool

    @property
    def host_header(self) -> str:
        """Value of the `Host` header, without the port where it is the scheme's own. Source: RFC 9110, section 7.2."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_address(url: str) -> Address:
    """
    Read a `ws://`, `wss://`, `http://` or `https://` URL; an empty path is `/ws`.

    Raises:
        ValueError: If the URL has another form, or carries a token or password, which would end up in logs.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError("the URL must have the form ws://HOST[:PORT][/PATH] or wss://...")
    if parts.username is not None or _TOKEN_NAMES & {name.lower() for name, _ in parse_qsl(parts.query)}:
        raise ValueError("the URL must not carry a token or password: pass it as `token`, which travels in a message")
    tls = parts.scheme in ("wss", "https")
    resource = (parts.path if parts.path not in ("", "/") else "/ws") + (f"?{parts.query}" if parts.query else "")
    return Address(host=parts.hostname, port=parts.port or (443 if tls else 80), resource=resource, tls=tls)


@define(eq=False)
class WatchedStream(trio.abc.Stream):
    """
    A stream that knows since when it waits for bytes, and says when it has ended.

    Both are needed because trio-websocket tells neither: an end of stream during its handshake leaves it waiting, and
    pings are answered without a trace, though they are proof that the server lives.
    """

    stream: trio.abc.Stream
    ended: trio.Event
    """Set when the peer has ended the stream, or trio-websocket gave it up."""
    waiting_since: float | None = None
    """When the read that goes on now began, in seconds of Trio's clock; None while nobody reads."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything."""
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for room."""
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what there is."""
        self.waiting_since = trio.current_time()
        try:
            data = await self.stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        finally:
            self.waiting_since = None
        if not data:
            self.ended.set()
        return data

    async def aclose(self) -> None:
        """Close it."""
        self.ended.set()
        await self.stream.aclose()


@asynccontextmanager
async def open_websocket(
    address: Address,
    settings: ClientSettings,
    *,
    deadline: float,
    ssl_context: ssl.SSLContext | None = None,
    open_stream: OpenStream | None = None,
) -> AsyncIterator[tuple[trio_websocket.WebSocketConnection, WatchedStream]]:
    """
    An open connection, closed when the block is left, within `close_seconds`.

    Args:
        address: Where to.
        settings: Bounds.
        deadline: Time by which it must be open, in seconds of Trio's clock.
        ssl_context: For `wss`; None for the system's trust store.
        open_stream: Opens the byte stream in place of TCP and TLS.

    Raises:
        OSError: If the server cannot be reached.
        HandshakeRefused: If it answers with another status than 101.
        ConnectionClosed: If it hangs up during the handshake, speaks something else, or is not done by `deadline`.
    """
    try:
        with trio.fail_at(deadline):
            raw = await (open_stream() if open_stream is not None else _dial(address, ssl_context))
    except trio.TooSlowError as error:
        raise OSError(f"no connection within {settings.connect_seconds:g} s") from error
    stream = WatchedStream(raw, trio.Event())
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_at(deadline):
                    websocket = await _shake_hands(nursery, stream, address, settings)
                try:
                    yield websocket, stream
                finally:
                    await _say_goodbye(websocket, settings.close_seconds)
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        theirs, others = group.split(_HANDSHAKE_FAILURES)
        if others is not None or theirs is None:
            raise
        raise _translate(_first(theirs)) from group
    finally:
        await trio.aclose_forcefully(stream)


def closed_with(error: trio_websocket.ConnectionClosed) -> ConnectionClosed:
    """rtcore's form of trio-websocket's exception."""
    reason = error.reason
    if reason is None:
        return ConnectionClosed(CloseCode.ABNORMAL, "connection lost")
    text = reason.reason or ("connection lost" if reason.code == CloseCode.ABNORMAL else "")
    return ConnectionClosed(reason.code, text)


async def _dial(address: Address, ssl_context: ssl.SSLContext | None) -> trio.abc.Stream:
    if not address.tls:
        return await trio.open_tcp_stream(address.host, address.port)
    stream = await trio.open_ssl_over_tcp_stream(
        address.host, address.port, ssl_context=ssl_context, https_compatible=True
    )
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise OSError(f"TLS handshake failed: {error.__cause__ or error}") from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def _shake_hands(
    nursery: trio.Nursery, stream: WatchedStream, address: Address, settings: ClientSettings
) -> trio_websocket.WebSocketConnection:
    async def watch() -> None:
        await stream.ended.wait()
        raise ConnectionClosed(CloseCode.ABNORMAL, "the server hung up during the handshake")

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        websocket = await trio_websocket.wrap_client_stream(
            nursery,
            cast(Any, stream),  # declared for socket streams; any stream works
            address.host_header,
            address.resource,
            subprotocols=[SUBPROTOCOL],
            message_queue_size=_MESSAGES_READ_AHEAD,
            max_message_size=settings.message_bytes,
            receive_buffer_size=_READ_BYTES,
        )
        watching.cancel_scope.cancel()
    return websocket


async def _say_goodbye(websocket: trio_websocket.WebSocketConnection, seconds: float) -> None:
    # Cancelled from outside, trio-websocket's reader is gone too: the close frame leaves, its answer cannot come.
    cancelled = trio.current_effective_deadline() <= trio.current_time()
    with trio.move_on_after(_FAREWELL_SECONDS if cancelled else seconds, shield=True):
        await websocket.aclose()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The refusal, or what cannot be a WebSocket, where there is one: an end of the stream beside it says less."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop()
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            leaves.append(error)
    telling = (trio_websocket.ConnectionRejected, *_NOT_A_WEBSOCKET)
    return next((leaf for leaf in leaves if isinstance(leaf, telling)), leaves[0])


def _reason(body: bytes | None) -> str:
    """What rtcore's own refusals say in their body; nothing of what proxies and other servers put there."""
    try:
        message = json.loads(body or b"")["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    if not isinstance(message, str) or not message.isprintable():  # it goes to terminals
        return ""
    return f": {message[:_REASON_LENGTH]}" if message else ""


def _translate(error: BaseException) -> Exception:
    if isinstance(error, trio_websocket.ConnectionRejected):
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in error.headers or ())
        words = f"the server refused with HTTP {error.status_code}{_reason(error.body)}"
        return HandshakeRefused(error.status_code, words, headers=headers)
    if isinstance(error, trio_websocket.ConnectionClosed):
        return closed_with(error)
    if isinstance(error, ConnectionClosed):
        return error
    if isinstance(error, _NOT_A_WEBSOCKET):
        return ConnectionClosed(CloseCode.ABNORMAL, "what answers there speaks no WebSocket")
    return ConnectionClosed(CloseCode.ABNORMAL, "the handshake was not done in time")
