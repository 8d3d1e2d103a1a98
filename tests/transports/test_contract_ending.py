"""How a connection ends, over a socket, memory and TLS alike: by which code, how soon, and with which last words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.testing import mask_frame
from rtcore.transports.websocket_connection import CUT_SECONDS, WebSocketConnection
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode, Opcode

OpenTalk = Any  # the fixture of conftest.py


class Listener:
    """A handler that reads, echoes if told to, and keeps how it ended."""

    def __init__(self, *, echo: bool = False, channel: str | None = None) -> None:
        self.echo, self.channel = echo, channel
        self.messages: list[bytes] = []
        self.closed: ConnectionClosed | None = None

    async def __call__(self, connection: WebSocketConnection) -> None:
        if self.channel is not None:
            connection._hub.attach_cursor(connection, self.channel)
        try:
            while True:
                for message in await connection.receive():
                    self.messages.append(message.data)
                    if self.echo:
                        await connection.send(message.data)
        except ConnectionClosed as closed:
            self.closed = closed
            raise

    @property
    def code(self) -> int | None:
        return None if self.closed is None else self.closed.code


async def test_peer_says_goodbye(autojump_clock: trio.testing.MockClock, open_talk: OpenTalk) -> None:
    handler = Listener()
    async with open_talk(handler) as talk:
        assert (await talk.peer.close(3001, "bye")).code == 3001
        await talk.finished.wait()
        assert handler.closed is not None
        assert (handler.code, handler.closed.reason) == (3001, "bye")


async def test_what_came_before_a_goodbye_is_answered_before_it(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Three messages, a ping and a close frame in one segment; and twenty bytes that nobody may look at."""
    data = b"".join(mask_frame(Opcode.TEXT, b"%d" % number) for number in range(3))
    data += mask_frame(Opcode.PING, b"p") + mask_frame(Opcode.CLOSE, b"\x03\xe8") + bytes(20)
    async with open_talk(Listener(echo=True)) as talk:
        await talk.peer.send_raw(data)
        got = [await talk.peer.receive_frame() for _ in range(5)]
        assert sorted(frame.payload for frame in got[:4]) == [b"0", b"1", b"2", b"p"]
        assert (got[4].opcode, got[4].payload) == (Opcode.CLOSE, b"\x03\xe8")
        await talk.finished.wait()


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\xff\xff", 1002),
        (mask_frame(Opcode.TEXT, b"x", mask=None), 1002),
        (mask_frame(Opcode.TEXT, b"\xff"), 1007),
        (mask_frame(Opcode.PING, b"x" * 126), 1002),
        (mask_frame(3, b""), 1002),
        (mask_frame(Opcode.CONTINUATION, b""), 1002),
        (mask_frame(Opcode.CLOSE, b"\x00"), 1002),
        (mask_frame(Opcode.CLOSE, (1006).to_bytes(2, "big")), 1002),
        (mask_frame(Opcode.TEXT, b"x" * 2000), 1009),
    ],
    ids=["opcode", "unmasked", "utf-8", "long-ping", "reserved", "continuation", "close-1", "close-1006", "too-big"],
)
async def test_violation_is_named_however_much_is_unread(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, bad: bytes, code: int
) -> None:
    """
    A socket that is closed with bytes unread resets, and the reset overtakes what was sent. So the rest is read: here
    half a megabyte of it, sent by a peer that is not listening yet.
    """
    handler = Listener(echo=True)
    async with open_talk(handler, limits=Limits(message_bytes=1000)) as talk, trio.open_nursery() as nursery:

        sent = trio.Event()

        async def send() -> None:
            await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"fine") + bad)
            for _ in range(50):
                await talk.peer.send_raw(bytes(10_000))
            sent.set()

        nursery.start_soon(send)
        await sent.wait()
        assert await talk.peer.receive_message() == "fine"
        assert (await talk.peer.receive_close()).code == code
        await talk.finished.wait()
        assert (handler.messages, handler.code) == ([b"fine"], code)


async def test_close_frame_is_the_last_thing_and_gets_there(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """A write is half out, messages wait, the peer has sent what nobody read: it reads all of it, then the close."""

    async def handler(connection: WebSocketConnection) -> None:
        for size in (100_000, 10, 10):
            connection.send_message(b"x" * size)
        connection.close(4321, "that is all")
        connection.send_message(b"too late")
        await trio.sleep_forever()

    async with open_talk(handler) as talk:
        await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"unread") * 5)
        for size in (100_000, 10, 10):
            assert len(await talk.peer.receive_message()) == size
        closed = await talk.peer.receive_close()
        assert (closed.code, closed.reason) == (4321, "that is all")


@pytest.mark.parametrize("close_seconds", [10, CUT_SECONDS, 0.1])
async def test_handler_that_returns_says_goodbye(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, close_seconds: float
) -> None:
    """However little time a good-bye has, it is not the one of a server that is going away."""

    async def handler(connection: WebSocketConnection) -> None:
        await connection.send(b"one word")

    async with open_talk(handler, limits=Limits(close_seconds=close_seconds)) as talk:
        assert await talk.peer.receive_message() == "one word"
        assert (await talk.peer.receive_close()).code == 1000
        await talk.finished.wait()


async def test_handler_that_fails_is_our_fault(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: WebSocketConnection) -> None:
        raise RuntimeError("a secret of ours")

    async with open_talk(handler) as talk:
        closed = await talk.peer.receive_close()
        assert (closed.code, "secret" in closed.reason) == (1011, False)
        await talk.finished.wait()
        assert "a secret of ours" in caplog.text
        assert talk.traffic.errors == 1


async def test_end_that_comes_out_of_a_nursery_is_no_failure(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler with tasks of its own ends with a group of what ended each of them."""

    async def handler(connection: WebSocketConnection) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Listener(), connection)
            nursery.start_soon(trio.sleep_forever)

    async with open_talk(handler) as talk:
        assert (await talk.peer.close()).code == 1000
        await talk.finished.wait()
        assert caplog.text == ""
        assert talk.traffic.errors == 0


async def test_half_closed_peer_gets_its_answers(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """It asked and ended its side: the question is answered, and then it is gone without a close frame."""
    handler = Listener(echo=True)
    async with open_talk(handler) as talk:
        if not isinstance(talk.peer.stream, trio.abc.HalfCloseableStream):
            return  # TLS has no halves
        await talk.peer.send_text("question")
        await talk.peer.half_close()
        assert await talk.peer.receive_message() == "question"
        assert (await talk.peer.receive_close()).code == 1006
        await talk.finished.wait()
        assert handler.code == 1006


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_peer_that_vanishes_is_missed_at_once(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, how: str
) -> None:
    handler = Listener(channel="tasks")
    async with open_talk(handler) as talk:
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        if how == "closed":
            await talk.peer.aclose()
        else:
            talk.reset()
        await talk.finished.wait()
        assert trio.current_time() == began
        assert handler.code == 1006
        assert talk.hub.statistics().subscribers == 0
        assert talk.hub.statistics().timers == 0


async def test_event_for_a_peer_that_is_gone_harms_nobody(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Published after it vanished and before anybody noticed: the others get it."""
    async with (
        open_talk(Listener(channel="tasks")) as gone,
        open_talk(Listener(channel="tasks"), hub=gone.hub) as good,
    ):
        await trio.testing.wait_all_tasks_blocked()
        gone.reset()
        gone.hub.publish("tasks", "x", 1)
        gone.hub.broadcaster.flush()
        assert (await good.peer.receive())["data"] == 1
        await gone.finished.wait()
        assert gone.hub.statistics().subscribers == 1


async def test_descriptor_that_comes_back_is_another_connection(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """The system gives a number out again at once: nothing of the old connection reaches the new one."""
    async with open_talk(Listener(channel="tasks")) as old:
        await trio.testing.wait_all_tasks_blocked()
        old.hub.publish("tasks", "x", "x" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(5):
            old.hub.publish("tasks", "x", "for the old one")
        old.scope.cancel()
        await old.finished.wait()
        async with open_talk(Listener(), hub=old.hub) as new:
            old.hub.publish("tasks", "x", "for the old one")
            old.connection.flush()
            await new.peer.receive_nothing(2)


async def test_peer_that_takes_nothing_is_closed_and_then_cut(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    limits = Limits(slow_consumer_seconds=7, close_seconds=3, ping_seconds=0)
    async with open_talk(Listener(channel="tasks"), limits=limits) as talk:
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        talk.hub.publish("tasks", "x", "x" * 200_000)
        await talk.finished.wait()
        assert trio.current_time() - began == pytest.approx(10)
        assert talk.connection.ended.code == CloseCode.SLOW_CONSUMER
        assert talk.hub.statistics().disconnected_slow == 1
        assert (talk.hub.statistics().subscribers, talk.hub.statistics().timers) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "answers", "code", "seconds"),
    [
        (Limits(ping_seconds=25, pong_seconds=20, idle_seconds=120), False, CloseCode.PING_TIMEOUT, 45),
        (Limits(ping_seconds=25, pong_seconds=20, idle_seconds=120), True, CloseCode.IDLE_TIMEOUT, 120),
        (Limits(ping_seconds=0, idle_seconds=30), False, CloseCode.IDLE_TIMEOUT, 30),
    ],
    ids=["no-pong", "no-message", "no-pings"],
)
async def test_silence_ends_a_connection(
    autojump_clock: trio.testing.MockClock,
    open_talk: OpenTalk,
    limits: Limits,
    answers: bool,
    code: CloseCode,
    seconds: float,
) -> None:
    handler = Listener()
    async with open_talk(handler, limits=limits) as talk:
        talk.peer.answers_pings = answers
        talk.peer.timeout = math.inf
        began = trio.current_time()
        assert (await talk.peer.receive_close()).code == code
        assert trio.current_time() - began == pytest.approx(seconds)
        await talk.finished.wait()
        assert handler.code == code


async def test_handler_at_work_is_not_the_peers_silence(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """While nobody reads, a pong cannot be seen: the peer is not to blame for that time."""

    async def handler(connection: WebSocketConnection) -> None:
        for message in await connection.receive():
            await trio.sleep(1000)
            await connection.send(message.data)
        await Listener(echo=True)(connection)

    async with open_talk(handler) as talk:
        talk.peer.timeout = math.inf
        await talk.peer.send_text("take your time")
        assert await talk.peer.receive_message() == "take your time"
        await talk.peer.send_text("again")
        assert await talk.peer.receive_message() == "again"


async def test_peer_that_never_answers_a_close_frame_is_cut(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async def handler(connection: WebSocketConnection) -> None:
        connection.close(CloseCode.NORMAL)
        await Listener()(connection)

    async with open_talk(handler, limits=Limits(close_seconds=6)) as talk:
        began = trio.current_time()
        assert (await talk.peer.receive_frame()).opcode is Opcode.CLOSE
        await talk.finished.wait()
        assert 6 <= trio.current_time() - began <= 12
        assert talk.hub.statistics().timers == 0


async def test_messages_after_our_close_frame_are_not_handled(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    handler = Listener()

    async def close_first(connection: WebSocketConnection) -> None:
        connection.close(4444)
        await handler(connection)

    async with open_talk(close_first) as talk:
        for _ in range(5):
            await talk.peer.send_text("too late")
        assert (await talk.peer.receive_close()).code == 4444
        await talk.finished.wait()
        assert handler.messages == []


@pytest.mark.parametrize("backlog", [0, 100_000])
async def test_cancelled_connection_sends_its_close_frame(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, backlog: int
) -> None:
    """Within a second, after what was half out."""
    async with open_talk(Listener(channel="tasks")) as talk, trio.open_nursery() as nursery:
        await trio.testing.wait_all_tasks_blocked()
        if backlog:
            talk.hub.publish("tasks", "x", "x" * backlog)
            await trio.testing.wait_all_tasks_blocked()

        async def check() -> None:
            assert (await talk.peer.receive_close()).code == CloseCode.GOING_AWAY

        nursery.start_soon(check)
        began = trio.current_time()
        talk.scope.cancel()
        await talk.finished.wait()
        assert trio.current_time() - began <= 1
        assert talk.hub.statistics().timers == 0


@pytest.mark.parametrize("seconds", [0, 3], ids=["cancelled", "cut"])
async def test_handler_that_fails_while_it_is_cancelled_fails_alone(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    """
    Of two tasks one ends as it should and the other trips over its own cleanup: what comes out of their nursery is half
    cancellation and half failure, and neither half may reach the siblings of this connection.
    """

    async def trip() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("on purpose")

    async def handler(connection: WebSocketConnection) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trip)
            nursery.start_soon(trio.sleep_forever)
            if seconds:
                connection.close(CloseCode.NORMAL)  # and the peer does not answer: its time runs out
            await trio.sleep_forever()

    async with open_talk(handler, limits=Limits(close_seconds=3)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        if not seconds:
            talk.scope.cancel()
        await talk.finished.wait()
        assert trio.current_time() - began <= seconds + 1
        assert "on purpose" in caplog.text
        assert talk.traffic.errors == 1
        assert (talk.hub.statistics().timers, talk.hub.statistics().subscribers) == (0, 0)
