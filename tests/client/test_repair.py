"""Losses told, and losses repaired, against a scripted server in virtual time."""

from __future__ import annotations

from typing import Any

import trio

from rtcore.client import DroppedNotice, RecoveryNotice, connect
from rtcore.values.events import Lane

URL = "ws://server/ws"


def connecting(server: Any, **options: Any) -> Any:
    return connect(URL, open_stream=server.open_stream, **options)


DROPPED = {
    "channel": "tasks",
    "count": 3,
    "types": {"tool.output": 3},
    "ranges": [{"lane": "low", "from": 5, "to": 9, "count": 3}],
    "position": "e-9",
}


def _replayed(*offsets: int, more: bool = False) -> dict[str, Any]:
    fields = {"type": "tool.output", "channel": "tasks", "data": {}, "timestamp": "2025-01-15T12:00:00Z"}
    events = [{**fields, "offset": offset, "position": f"e-{offset}"} for offset in offsets]
    return {"channel": "tasks", "events": events, "recovered": True, "missing": 0, "position": "e-9", "more": more}


async def test_dropped_events_are_told_exactly(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks") as events:
            await peer.send("dropped", DROPPED)
            notice = await events.receive()
            assert isinstance(notice, DroppedNotice)
            assert (notice.type, notice.count, notice.offset, notice.notice) == ("dropped", 3, 0, True)
            assert (notice.ranges[0].lane, notice.ranges[0].first, notice.ranges[0].last) == (Lane.LOW, 5, 9)
            assert str(notice) == "3 events dropped: 3 tool.output"
            assert events.positions == {"tasks": "e-9"}


async def test_repair_yields_dropped_events_late_and_tells_only_the_rest(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks", repair=True) as events:
            await peer.send("dropped", DROPPED)
            request = await peer.expect("replay")
            assert request["data"] == {"channel": "tasks", "ranges": [{"lane": "low", "from": 5, "to": 9}]}
            await peer.event(10)
            await peer.send("replayed", _replayed(5, more=True), id=request["id"])
            request = await peer.expect("replay")
            assert request["data"]["ranges"] == [{"lane": "low", "from": 6, "to": 9}]
            await peer.send("replayed", _replayed(7), id=request["id"])
            got = [await events.receive() for _ in range(4)]
            assert [(event.offset, event.repaired) for event in got] == [(10, False), (5, True), (7, True), (0, False)]
            assert isinstance(got[3], DroppedNotice)
            assert (got[3].count, got[3].types) == (1, {"tool.output": 1})
            assert events.positions == {"tasks": "e-10"}


async def test_repair_goes_on_after_a_reconnect_without_repeating_events(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks", repair=True) as events:
            await peer.send("dropped", DROPPED)
            request = await peer.expect("replay")
            await peer.send("replayed", _replayed(5, more=True), id=request["id"])
            await peer.expect("replay")
            await peer.cut()
            peer = await server.accept()
            await peer.subscribed("e-9", recovered=True)
            request = await peer.expect("replay")
            assert request["data"]["ranges"] == [{"lane": "low", "from": 6, "to": 9}]
            await peer.send("replayed", _replayed(7, 9), id=request["id"])
            got = [await events.receive() for _ in range(4)]
            assert [event.offset for event in got] == [5, 0, 7, 9]
            assert isinstance(got[1], RecoveryNotice)


async def test_loss_that_a_restart_made_irreparable_is_told(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-4")
        async with client.subscribe("tasks", repair=True) as events:
            await peer.send("dropped", DROPPED)
            await peer.expect("replay")
            await peer.cut()
            peer = await server.accept()
            await peer.subscribed("f-0", recovered=False)
            got = [await events.receive() for _ in range(2)]
            assert isinstance(got[0], DroppedNotice)
            assert isinstance(got[1], RecoveryNotice)


async def test_batch_is_yielded_event_by_event(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        peer = await server.accept()
        nursery.start_soon(peer.subscribed, "e-0")
        async with client.subscribe("tasks", batch=True) as events:
            await peer.send("batch", {"events": _replayed(1, 2)["events"]})
            assert [(await events.receive()).offset for _ in range(2)] == [1, 2]
