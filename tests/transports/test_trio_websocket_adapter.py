"""A trio-websocket connection in the hub: the same conversation, bounded and clean at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.errors import AuthenticationError, RequestError
from rtcore.hub.hub import Hub
from rtcore.transports.connection_timers import ConnectionTimers
from rtcore.transports.trio_websocket_adapter import LineEncoding
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from tests.transports.attached import Pipe, connected

EDITOR = Identity(user="u1", roles={"publisher"})


class OneToken:
    """Knows a single token."""

    def authenticate(self, token: str) -> Identity:
        if token != "good":
            raise AuthenticationError("the token is not valid")
        return EDITOR


@pytest.fixture
def hub() -> Hub:
    """Its wall clock is Trio's virtual one; each test names `autojump_clock` itself, or it would run in real time."""
    start = 1_700_000_000.0
    return Hub(clock=lambda: start + trio.current_time())


async def test_a_client_subscribes_and_is_sent_what_is_published(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        assert (await pipe.next())["type"] == "welcome"
        await pipe.ask("subscribe", {"channels": ["tasks"]}, id=1)
        reply = await pipe.next()
        assert (reply["type"], reply["id"]) == ("subscribed", 1)
        hub.publish("tasks", "task.progress", {"progress": 1})
        event = await pipe.next()
        assert event["data"] == {"progress": 1}
        assert event["position"].endswith("-1")


async def test_the_past_comes_before_the_present_without_gap_or_repeat(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        for number in range(5):
            hub.publish("tasks", "task.progress", {"n": number})
        await pipe.next()
        await pipe.ask("subscribe", {"channels": ["tasks"], "since": {"last": 2}})
        assert (await pipe.next())["data"]["channels"]["tasks"]["replayed"] == 2
        hub.publish("tasks", "task.progress", {"n": 5})
        assert [(await pipe.next())["data"]["n"] for _ in range(3)] == [3, 4, 5]


async def test_the_hub_is_empty_after_the_client_left(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await pipe.next()
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.next()
        assert hub.statistics().subscribers == 1
        await pipe.client.aclose()
        await pipe.ended.wait()
        assert hub.statistics().subscribers == 0
        assert hub.statistics().timers == 0


async def test_the_hub_is_empty_after_the_network_is_gone(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.next()
        await pipe.client._stream.aclose()
        await pipe.ended.wait()
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


async def test_cancelled_it_closes_with_1001_and_leaves_nothing_behind(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.next()
        await wait_all_tasks_blocked()
        pipe.scope.cancel()
        assert await pipe.closed() == 1001
        await pipe.ended.wait()
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


async def test_cancelled_while_the_client_does_not_read_it_ends_within_a_second(
    hub: Hub, autojump_clock: MockClock
) -> None:
    async with connected(hub) as pipe:
        await clog(pipe)
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await wait_all_tasks_blocked()
        before = trio.current_time()
        pipe.scope.cancel()
        await pipe.ended.wait()
        assert trio.current_time() - before <= 1
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


@pytest.mark.parametrize("ticks", range(0, 40, 3))
async def test_cancelled_at_any_moment_it_leaves_nothing_behind(
    hub: Hub, autojump_clock: MockClock, ticks: int
) -> None:
    """Also in the middle of a handshake with the hub, a reply, an event or the close."""
    async with connected(hub) as pipe:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipe.ask, "subscribe", {"channels": ["tasks"]})
            for _ in range(ticks):
                hub.publish("tasks", "task.progress", "x" * 1000)
                await trio.lowlevel.checkpoint()
            pipe.scope.cancel()
        assert await pipe.closed() == 1001
        await pipe.ended.wait()
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


async def clog(pipe: Pipe) -> Callable[[], None]:
    """From now on nothing that the server sends is taken; calling the result takes it again."""
    await pipe.next()  # the welcome
    taking = trio.Event()
    stream = pipe.server_stream
    free = stream.send_all_hook

    async def wait() -> None:
        await taking.wait()
        if free is not None:
            await free()

    stream.send_all_hook = wait
    return taking.set


async def test_a_slow_reader_loses_its_oldest_and_is_told_exactly_what(hub: Hub, autojump_clock: MockClock) -> None:
    """The backlog of the adapter is that of every other subscriber."""
    limits = Limits(lag_events=3, write_bytes=1024)
    async with connected(hub, limits=limits) as pipe:
        unclog = await clog(pipe)
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await wait_all_tasks_blocked()
        for number in range(40):
            hub.publish("tasks", "task.progress", {"n": number, "padding": "x" * 100})
            await wait_all_tasks_blocked()
        assert hub.statistics().backlog_events == 3
        unclog()
        assert (await pipe.next())["type"] == "subscribed"
        seen: list[int] = []
        lost = 0
        while len(seen) + lost < 40:
            message = await pipe.next()
            if message["type"] == "dropped":
                (place,) = message["data"]["ranges"]
                lost += message["data"]["count"]
                assert place["from"] == seen[-1] + 2, "offsets count from 1"
                assert place["to"] - place["from"] + 1 == lost
            else:
                seen.append(message["data"]["n"])
        assert lost > 0
        assert seen[-3:] == [37, 38, 39]


async def test_a_reader_that_takes_nothing_is_closed_with_4000_once_it_reads_again(
    hub: Hub, autojump_clock: MockClock
) -> None:
    async with connected(hub) as pipe:
        unclog = await clog(pipe)
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await trio.sleep(35)
        assert hub.statistics().subscribers == 0
        unclog()
        assert await pipe.closed() == 4000


async def test_a_reader_that_never_reads_again_is_cut_off(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await clog(pipe)
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.ended.wait()
        assert trio.current_time() == pytest.approx(40), "30 s without a byte, 10 s to close"


async def test_a_client_that_shows_no_token_in_time_is_closed_with_4003(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub, authenticator=OneToken()) as pipe:
        assert (await pipe.next())["data"]["authentication"] == "required"
        error = await pipe.next()
        assert (error["type"], error["data"]["code"]) == ("error", "access.authentication_required")
        assert await pipe.closed() == 4003
        assert trio.current_time() == pytest.approx(5)


async def test_a_refused_token_is_told_and_closed_with_4004(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub, authenticator=OneToken()) as pipe:
        await pipe.next()
        await pipe.ask("auth", {"token": "bad"}, id="a")
        error = await pipe.next()
        assert (error["id"], error["data"]["code"]) == ("a", "access.authentication_failed")
        assert await pipe.closed() == 4004


async def test_an_identity_that_runs_out_ends_the_connection_with_4005(hub: Hub, autojump_clock: MockClock) -> None:
    identity = Identity(user="u1", expires_at=1_700_000_007.0)
    async with connected(hub, identity=identity) as pipe:
        await pipe.next()
        assert (await pipe.next())["data"]["code"] == "access.token_expired"
        assert await pipe.closed() == 4005
        assert trio.current_time() == pytest.approx(7)


async def test_a_silent_client_is_closed_with_4001(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub, limits=Limits(idle_seconds=40)) as pipe:
        assert await pipe.closed() == 4001
        assert trio.current_time() == pytest.approx(40)


async def test_connection_that_is_closing_has_no_rights_any_more(hub: Hub, autojump_clock: MockClock) -> None:
    """An event that waited for room while the token ran out must not be published in its name."""
    hub.namespaces["w"] = Namespace(overflow=Overflow.WAIT)
    expiring = Identity(user="u1", roles={"publisher"}, expires_at=1_700_000_007.0)
    async with connected(hub, identity=expiring) as pipe, hub.subscribe("w", lag_events=1) as slow:
        await pipe.next()
        hub.publish("w", "x", "first")
        await wait_all_tasks_blocked()
        await pipe.ask("publish", {"channel": "w", "type": "x", "data": "late"}, id=1)
        assert (await pipe.next())["data"]["code"] == "access.token_expired"
        got = []
        with trio.move_on_after(60):
            async for event in slow:
                got.append(event.data)
        assert got == ["first"]


async def test_closing_connection_is_over(hub: Hub, autojump_clock: MockClock) -> None:
    said: list[str] = []
    async with connected(hub, identity=EDITOR) as pipe:
        await pipe.next()
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.next()
        (subscriber,) = hub._subscribers
        assert not subscriber.over
        subscriber.undeliverable()
        assert subscriber.over
        with pytest.raises(RequestError):
            hub.attach_cursor(subscriber, "tasks")
        hub.when_gone(subscriber, lambda: said.append("gone"))
        assert said == ["gone"], "it is told of at once, and not kept for ever"


async def test_fault_at_a_deadline_ends_the_connection(
    hub: Hub, autojump_clock: MockClock, monkeypatch: Any, caplog: Any
) -> None:
    """A timer is not called again after a fault: the connection would have no deadline any more."""
    monkeypatch.setattr(ConnectionTimers, "due", lambda timers, now: 1 / 0)
    async with connected(hub, identity=EDITOR) as pipe:
        assert await pipe.closed() == 1011
    assert "looking at its deadlines failed" in caplog.text


async def test_heartbeats_keep_a_client_alive(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub, limits=Limits(idle_seconds=40)) as pipe:
        await pipe.next()
        for _ in range(10):
            await trio.sleep(30)
            await pipe.ask("heartbeat")
            assert (await pipe.next())["type"] == "heartbeat"


async def test_too_many_messages_are_refused_and_persistence_is_closed_with_1008(
    hub: Hub, autojump_clock: MockClock
) -> None:
    limits = Limits(messages_per_second=10, message_burst=2, violations=3)
    async with connected(hub, limits=limits) as pipe:
        await pipe.next()
        for _ in range(3):
            await pipe.ask("heartbeat")
        assert [(await pipe.next())["type"] for _ in range(2)] == ["heartbeat", "heartbeat"]
        error = (await pipe.next())["data"]
        assert (error["code"], error["transient"]) == ("limit.rate", True)
        assert 0 < error["retry_after"] <= 0.1
        for _ in range(3):
            await pipe.ask("heartbeat")
        assert await pipe.closed() == 1008


async def test_binary_messages_and_oversized_ones_are_closed(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await pipe.client.send_message(b"\x00")
        assert await pipe.closed() == 1003
    small = Hub(clock=hub.clock)
    async with connected(small, limits=Limits(message_bytes=100)) as pipe:
        await pipe.client.send_message("x" * 101)
        assert await pipe.closed() == 1009


async def test_garbage_is_answered_and_the_connection_lives(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub) as pipe:
        await pipe.next()
        await pipe.client.send_message("{")
        assert (await pipe.next())["data"]["code"] == "request.malformed"
        await pipe.ask("heartbeat")
        assert (await pipe.next())["type"] == "heartbeat"


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x81\x05hello", b"\x81\x81\0\0\0\0\xff"])
async def test_client_that_breaks_the_protocol_harms_nobody(
    hub: Hub, autojump_clock: MockClock, garbage: bytes
) -> None:
    """trio-websocket then refuses to send in its own way; that must not leave `attach` as an exception."""
    async with connected(hub) as pipe:
        await pipe.next()
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await pipe.next()
        await pipe.client._stream.send_all(garbage)
        for number in range(3):
            hub.publish("tasks", "task.progress", number)
            await trio.lowlevel.checkpoint()
        await pipe.ended.wait()
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


async def test_message_and_close_in_one_piece_are_both_understood(hub: Hub, autojump_clock: MockClock) -> None:
    async with connected(hub, identity=EDITOR) as pipe:
        await pipe.next()
        message = b'{"type":"publish","id":1,"data":{"channel":"tasks","type":"t","data":1}}'
        no_mask = b"\0\0\0\0"
        frame = bytes([0x81, 0x80 | len(message)]) + no_mask + message
        await pipe.client._stream.send_all(frame + b"\x88\x80" + no_mask)
        await pipe.ended.wait()
        assert hub.statistics().published == 1
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


async def test_broken_protocol_while_much_is_being_sent_harms_nobody(hub: Hub, autojump_clock: MockClock) -> None:
    """trio-websocket answers with a close frame of its own, after which it refuses what the session still has."""
    async with connected(hub) as pipe:
        unclog = await clog(pipe)
        await pipe.ask("subscribe", {"channels": ["tasks"]})
        await wait_all_tasks_blocked()
        for number in range(3):
            hub.publish("tasks", "task.progress", number)
        await wait_all_tasks_blocked()
        await pipe.client._stream.send_all(b"\xff\xff\xff\xff")
        await wait_all_tasks_blocked()
        unclog()
        await pipe.ended.wait()
        assert (hub.statistics().subscribers, hub.statistics().timers) == (0, 0)


def test_lines_can_be_parted_whatever_was_published() -> None:
    """JSON text escapes every control character, so the line feed between messages is the only one."""
    encoding = LineEncoding()
    assert encoding == LineEncoding()
    assert encoding.wire(b'{"a":1}') == b'{"a":1}\n'
