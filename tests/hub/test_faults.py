"""A fault of ours while events leave ends those whose events it hits, and nobody else; least of all the hub."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore._fast import SocketTable
from rtcore.errors import HubClosed
from rtcore.hub.encoding import Encoding, FrameEncoding, frame_encoding
from rtcore.hub.hub import Hub
from rtcore.protocol.connection_state import ConnectionState
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE
from rtcore.transports.socket_transport import SocketTransport
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.limits import Limits

OpenHub = Callable[..., Hub]

needs_epoll = pytest.mark.skipif(not SOCKETS_AVAILABLE, reason="epoll is Linux's")


@frozen(cache_hash=True)
class Failing(FrameEncoding):
    """Cannot write events of one type."""

    def wire(self, text: bytes) -> bytes:
        if b'"type":"poison"' in text:
            raise ZeroDivisionError("a fault of ours")
        return super().wire(text)


class Sockets:
    """Connections over a table that nobody polls; what they were sent is read at the other end."""

    def __init__(self) -> None:
        self.table = SocketTable()
        self.peers: dict[WebSocketConnection, Any] = {}

    def connect(self, hub: Hub, encoding: Encoding) -> WebSocketConnection:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        connection = WebSocketConnection(
            hub,
            SocketTransport(self.table.add(ours.detach(), object())),  # type: ignore[arg-type]  # it takes it over
            ConnectionState(maximum_message_bytes=1000, compression=None),
            encoding,  # type: ignore[arg-type]  # of its kind
            connection_id="c",
            limits=Limits(),
        )
        self.peers[connection] = theirs
        return connection

    def got(self, connection: WebSocketConnection) -> bytes:
        try:
            return bytes(self.peers[connection].recv(1 << 20))
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.table.close()
        for peer in self.peers.values():
            peer.close()


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    yield made
    made.close()


@needs_epoll
async def test_a_view_that_cannot_be_written_costs_its_own_subscribers_alone(
    open_hub: OpenHub, sockets: Sockets, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """1011 for those who should have had the event; the others have it, and the hub goes on."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        good = [sockets.connect(hub, frame_encoding(None)) for _ in range(3)]
        bad = [sockets.connect(hub, Failing()) for _ in range(3)]
        for connection in (*good, *bad):
            for channel in ("a", "b"):
                hub.attach_cursor(connection, channel)
        await wait_all_tasks_blocked()
        with caplog.at_level(logging.ERROR):
            hub.publish("a", "poison", 1)
            hub.publish("b", "fine", 2)
            await wait_all_tasks_blocked()
            hub.publish("a", "fine", 3)
            await wait_all_tasks_blocked()
        for connection in good:
            assert sockets.got(connection).count(b'"type":') == 3
            assert not connection.over
        for connection in bad:
            # Channel b left in the same round; then comes the close frame, and nothing after it.
            assert sockets.got(connection).endswith(b"\x88\x10\x03\xf3internal error")
            assert connection.over
            assert not connection.cursors
        (record,) = caplog.records
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ZeroDivisionError)
        figures = hub.statistics()
        assert (figures.subscribers, figures.views, figures.subscriptions) == (3, 2, 6)
        nursery.cancel_scope.cancel()


@needs_epoll
async def test_a_subscriber_that_cannot_be_flushed_is_closed_alone(
    open_hub: OpenHub, sockets: Sockets, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Set back for a replay, it is written by itself; its neighbour in the same view gets the event."""
    hub = open_hub()
    good, bad = (sockets.connect(hub, frame_encoding(None)) for _ in range(2))
    for connection in (good, bad):
        hub.attach_cursor(connection, "a")
    hub.broadcaster.flush()
    failures = iter([ZeroDivisionError("a fault of ours")])

    def take(maximum_bytes: int) -> bytes:
        for failure in failures:
            raise failure
        return b""

    class Broken(WebSocketConnection):
        __slots__ = ()

        def take(self, maximum_bytes: int) -> bytes:
            return take(maximum_bytes)

    bad.__class__ = Broken
    hub.broadcaster.mark(bad)
    hub.publish("a", "fine", 1)
    with caplog.at_level(logging.ERROR):
        hub.broadcaster.flush()
    assert bad.over
    assert not good.over
    assert sockets.got(good).count(b'"type":"fine"') == 1
    assert sockets.got(bad) == b"\x88\x10\x03\xf3internal error"
    assert len(caplog.records) == 1


@needs_epoll
async def test_a_connection_that_cannot_even_be_closed_is_cut(
    open_hub: OpenHub, sockets: Sockets, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    hub = open_hub()
    bad = sockets.connect(hub, Failing())
    hub.attach_cursor(bad, "a")
    hub.broadcaster.flush()

    class Broken(WebSocketConnection):
        __slots__ = ()

        def close(self, code: int, reason: str = "") -> None:
            raise ZeroDivisionError("a fault of ours")

    bad.__class__ = Broken
    hub.publish("a", "poison", 1)
    with caplog.at_level(logging.ERROR):
        hub.broadcaster.flush()
    assert bad.over
    assert hub.statistics().subscribers == 0
    assert [record.message for record in caplog.records] == [
        "events could not be sent",
        "a subscriber could not be ended",
    ]


@needs_epoll
async def test_a_connection_that_nothing_can_end_does_not_hold_the_others_up(
    open_hub: OpenHub, sockets: Sockets, autojump_clock: MockClock
) -> None:
    """It is passed over: what cannot be written is neither tried for ever nor kept for ever."""
    hub = open_hub(limits=Limits(history_events=10))
    bad, good = sockets.connect(hub, Failing()), sockets.connect(hub, frame_encoding(None))

    class Broken(WebSocketConnection):
        __slots__ = ()

        def undeliverable(self) -> None:
            raise ZeroDivisionError("a fault of ours")

    bad.__class__ = Broken
    for connection in (bad, good):
        hub.attach_cursor(connection, "a")
    hub.broadcaster.flush()
    for number in range(1000):
        hub.publish("a", "poison", number)
    hub.broadcaster.flush()
    assert sockets.got(good).count(b'"type":"poison"') == 1000
    view = bad.cursors["a"].view
    assert view.head - view.first <= 256 + 10


class NoMemory:
    """A fan-out that cannot say what it wrote."""

    writes = bytes_sent = 0

    def add(self, group: object, data: bytes) -> bool:
        return True

    def send(self) -> list[object]:
        raise MemoryError


@needs_epoll
async def test_a_round_that_failed_halfway_ends_whoever_was_in_it(
    open_hub: OpenHub, sockets: Sockets, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Nobody knows which of them had the event: they resume from where they stood, on another connection."""
    hub = open_hub()
    bad, good = (sockets.connect(hub, frame_encoding(None)) for _ in range(2))
    hub.attach_cursor(bad, "a")
    hub.attach_cursor(good, "b")
    hub.broadcaster.flush()
    with monkeypatch.context() as patched:
        patched.setattr(hub.broadcaster, "_fan_out", NoMemory())
        hub.publish("a", "t", 1)
        hub.broadcaster.flush()
    hub.publish("b", "t", 2)
    hub.broadcaster.flush()
    assert bad.over
    assert not good.over
    assert sockets.got(good).count(b'"type":"t"') == 1


async def test_a_block_in_this_process_ends_by_itself(
    open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Its iteration says that it is over; another one goes on."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with hub.subscribe("a") as bad, hub.subscribe("a") as good:
            flush = type(bad).flush

            def fail(subscription: object) -> None:
                if subscription is bad:
                    raise ZeroDivisionError("a fault of ours")
                flush(good)

            monkeypatch.setattr(type(bad), "flush", fail)
            hub.publish("a", "t", 1)
            with pytest.raises(HubClosed):
                await anext(bad)
            assert (await anext(good)).data == 1
        nursery.cancel_scope.cancel()


@needs_epoll
@pytest.mark.parametrize("shared", [False, True])
async def test_only_views_with_a_common_socket_share_a_write(
    open_hub: OpenHub, sockets: Sockets, autojump_clock: MockClock, shared: bool
) -> None:
    """Ten channels of 20 KB: one write each where the sockets differ, four where they all are one connection's."""
    hub = open_hub()
    alone = sockets.connect(hub, frame_encoding(None))
    connections = [alone if shared else sockets.connect(hub, frame_encoding(None)) for _ in range(10)]
    for number, connection in enumerate(connections):
        hub.attach_cursor(connection, f"c{number}")
    hub.broadcaster.flush()
    for number in range(10):
        for _ in range(2):
            hub.publish(f"c{number}", "t", "x" * 10_000)
    hub.broadcaster.flush()
    assert hub.broadcaster.writes == (4 if shared else 10)
    received = b"".join(sockets.got(connection) for connection in dict.fromkeys(connections))
    assert received.count(b'"type":"t"') == 20
