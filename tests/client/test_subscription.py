"""Subscriptions over lost connections, against a scripted server in virtual time."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from rtcore.client import ClientSettings, RecoveryNotice, connect
from rtcore.errors import (
    ErrorCode,
    LocalProtocolError,
    RequestError,
)
from rtcore.hub.results import Batch
from rtcore.values.positions import LastEvents

URL = "ws://server/ws"


def connecting(server: Any, **options: Any) -> Any:
    return connect(URL, open_stream=server.open_stream, **options)


async def test_subscription_resumes_from_its_last_position_and_says_that_nothing_was_lost(
    server: Any, autojump_clock: Any
) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        asked: list[dict[str, Any]] = []

        async def begin() -> None:
            asked.append(await peer.subscribed("e-4", recovered=True, replayed=2))

        nursery.start_soon(begin)
        async with client.subscribe(
            "tasks", where={"task_id": "t1"}, since=LastEvents(2), batch=Batch(events=5, seconds=1)
        ) as events:
            assert asked == [
                {
                    "channels": ["tasks"],
                    "where": {"task_id": "t1"},
                    "since": {"last": 2},
                    "batch": {"events": 5, "seconds": 1},
                }
            ]
            assert events.started["tasks"].replayed == 2
            await peer.event(5)
            event = await events.receive()
            assert (event.offset, event.data, event.notice, event.position) == (5, {"n": 5}, False, "e-5")
            await peer.event(6)
            await trio.testing.wait_all_tasks_blocked()
            await peer.cut()
            peer = await server.accept()
            again = await peer.subscribed("e-6", recovered=True)
            assert again["since"] == {"positions": {"tasks": "e-6"}}
            assert again["where"] == {"task_id": "t1"}
            await peer.event(7)
            got = [await events.receive() for _ in range(3)]
            assert [event.offset for event in got] == [6, 0, 7]
            assert isinstance(got[1], RecoveryNotice)
            assert got[1].recovered
            assert str(got[1]) == "reconnected, nothing lost"
            assert events.positions == {"tasks": "e-7"}


async def test_new_epoch_after_a_reconnect_is_told(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks") as events:
            await peer.cut()
            peer = await server.accept()
            await peer.subscribed("f-1", recovered=False)
            notice = await events.receive()
            assert isinstance(notice, RecoveryNotice)
            assert (notice.recovered, notice.restarted, notice.before) == (False, True, "e-4")
            assert "new epoch" in str(notice)


async def test_beginning_that_history_no_longer_holds_is_told(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(partial(peer.subscribed, "e-4", recovered=False))
        async with client.subscribe("tasks", since="e-1") as events:
            notice = await events.receive()
            assert isinstance(notice, RecoveryNotice)
            assert not notice.recovered
            assert not notice.restarted


async def test_state_of_a_channel_is_told_at_the_start_and_after_a_reconnect(server: Any, autojump_clock: Any) -> None:
    """Where it stands for events that are not given, a program that does not see it has lost them."""
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(partial(peer.subscribed, "e-4", snapshot={"users": ["ann"]}, snapshot_offset=4))
        async with client.subscribe("tasks") as events:
            start = events.started["tasks"]
            assert (start.snapshot, start.snapshot_offset) == ({"users": ["ann"]}, 4)
            await peer.cut()
            peer = await server.accept()
            await peer.subscribed("e-90", recovered=False, snapshot=None, snapshot_offset=90)
            notice = await events.receive()
            assert isinstance(notice, RecoveryNotice)
            assert (notice.recovered, notice.snapshot, notice.snapshot_offset) == (False, None, 90)
            assert isinstance(notice.data, dict)
            assert (notice.data["snapshot"], notice.data["snapshot_offset"]) == (None, 90)
            await peer.cut()
            peer = await server.accept()
            await peer.subscribed("e-90", recovered=True)
            notice = await events.receive()
            assert isinstance(notice, RecoveryNotice)
            assert notice.snapshot_offset is None, "no state was told, which is not a state of null"
            assert isinstance(notice.data, dict)
            assert "snapshot" not in notice.data


async def test_position_moves_on_with_heartbeats_when_the_filter_lets_nothing_pass(
    server: Any, autojump_clock: Any
) -> None:
    """Otherwise a quiet filter would be told that it lost something."""
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept(heartbeat_seconds=30)
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks"):
            await peer.expect("heartbeat")
            await peer.send("heartbeat", {"timestamp": "x", "positions": {"tasks": "e-900"}})
            await trio.testing.wait_all_tasks_blocked()
            await peer.cut()
            peer = await server.accept()
            again = await peer.subscribed("e-900", recovered=True)
            assert again["since"] == {"positions": {"tasks": "e-900"}}


async def test_event_may_have_the_type_of_a_protocol_message(server: Any, autojump_clock: Any) -> None:
    """The type of an event is its publisher's choice; only the channel tells it from the protocol's own messages."""
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            await peer.event(1, kind="dropped")
            event = await events.receive()
            assert (event.type, event.notice) == ("dropped", False)


async def test_leaving_a_subscription_unsubscribes_and_frees_the_channel(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            with pytest.raises(LocalProtocolError, match="already subscribed"):
                async with client.subscribe("tasks"):
                    raise AssertionError("unreachable")
        with pytest.raises(trio.ClosedResourceError):
            await events.receive()
        assert (await peer.expect("unsubscribe"))["data"] == {"channels": ["tasks"]}
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            await peer.event(1)
            assert (await events.receive()).offset == 1


async def test_refused_subscription_raises_on_entering(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()

        async def refuse() -> None:
            await peer.fail(await peer.expect("subscribe"), "access.denied")

        nursery.start_soon(refuse)
        with pytest.raises(RequestError) as caught:
            async with client.subscribe("secret"):
                raise AssertionError("unreachable")
        assert caught.value.code is ErrorCode.DENIED


async def test_subscription_refused_after_a_reconnect_raises_in_the_loop(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            await peer.event(1)
            await trio.testing.wait_all_tasks_blocked()
            await peer.cut()
            peer = await server.accept()
            await peer.fail(await peer.expect("subscribe"), "access.denied")
            await trio.testing.wait_all_tasks_blocked()
            assert (await events.receive()).offset == 1
            with pytest.raises(RequestError):
                await events.receive()


async def test_filters_are_changed_and_kept_over_reconnects(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")

        async def answer() -> None:
            request = await peer.expect("set_filters")
            assert request["data"] == {"channels": ["tasks"], "where": {"status": "done"}}
            await peer.send("filters_set", {"channels": ["tasks"]}, id=request["id"])

        async with client.subscribe("tasks") as events:
            nursery.start_soon(answer)
            await events.set_filters({"status": "done"})
            await peer.cut()
            peer = await server.accept()
            assert (await peer.subscribed("e-0", recovered=True))["where"] == {"status": "done"}


async def test_slow_consumer_is_bounded_and_not_taken_for_a_dead_server(server: Any, autojump_clock: Any) -> None:
    settings = ClientSettings(buffer_events=10, buffer_maximum_events=20)
    async with connecting(server, settings=settings) as client, trio.open_nursery() as nursery:
        peer = await server.accept(heartbeat_seconds=30)
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:

            async def flood() -> None:
                for offset in range(1, 201):
                    await peer.event(offset)

            nursery.start_soon(flood)
            await trio.sleep(200)
            assert events.waiting == 10
            assert [(await events.receive()).offset for _ in range(200)] == list(range(1, 201))
        assert len(server.attempts) == 1


async def test_consumer_that_awaits_a_reply_between_events_is_not_locked_out(server: Any, autojump_clock: Any) -> None:
    """The reply stands behind more events than the buffer holds: the reader must go on."""
    settings = ClientSettings(buffer_events=10, buffer_maximum_events=100)
    async with connecting(server, settings=settings) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            for offset in range(1, 51):
                nursery.start_soon(peer.event, offset)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(peer.published)
            await client.publish("tasks", "a")
            assert len({(await events.receive()).offset for _ in range(50)}) == 50


async def test_subscription_that_the_server_ends_by_itself_raises(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks") as events:
            await peer.send("unsubscribed", {"channels": ["tasks"], "reason": "access.denied"})
            with pytest.raises(RequestError) as caught:
                await events.receive()
            assert caught.value.code is ErrorCode.DENIED
