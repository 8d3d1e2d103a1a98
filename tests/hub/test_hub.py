"""The hub: what may be published, what is refused, and what is left when all have gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.hub.hub import Hub
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits
from rtcore.values.positions import LastEvents

OpenHub = Callable[..., Hub]
WAITING = {"w": Namespace(overflow=Overflow.WAIT)}


def names(hub: Hub) -> list[str]:
    return [channel.name for channel in hub.channels()]


async def test_at_its_limit_the_hub_forgets_the_channel_that_was_idle_longest(open_hub: OpenHub) -> None:
    """A name that comes back is a new stream: an old position must not be taken for one of it."""
    hub = open_hub(limits=Limits(channels=3))
    async with hub.subscribe("watched"):
        hub.publish("watched", "t", 1)
        first = hub.publish("a", "t", 1)
        hub.publish("b", "t", 1)
        hub.publish("a", "t", 2)
        hub.publish("c", "t", 1)
        assert names(hub) == ["watched", "a", "c"], "b was published to least recently of those that nobody watches"
        hub.publish("b", "t", 1)
        again = hub.publish("a", "t", 3)
        assert again.offset == 1
        assert again.position.epoch != first.position.epoch
        assert hub.position("watched") is not None


async def test_a_hub_full_of_watched_channels_refuses_another(open_hub: OpenHub) -> None:
    """Each pool by its own bound: channels with an event, and names without."""
    hub = open_hub(limits=Limits(channels=2, unpublished_channels=1))
    hub.publish("a", "t", 1)
    hub.publish("b", "t", 1)
    async with hub.subscribe("a", "b") as subscription:
        hub.attach_cursor(subscription, "c")
        with pytest.raises(RequestError, match="limit of channels=2") as refused:
            hub.publish("c", "t", 1)
        assert refused.value.code is ErrorCode.TOO_MANY_CHANNELS
        with pytest.raises(RequestError, match="limit of unpublished_channels=1") as refused:
            hub.attach_cursor(subscription, "d")
        assert refused.value.code is ErrorCode.TOO_MANY_CHANNELS
        hub.publish("a", "t", 1)
        assert sorted(names(hub)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        pytest.param({"channel": ""}, ErrorCode.UNKNOWN_CHANNEL, "data.channel", id="no-channel"),
        pytest.param({"channel": "a/b"}, ErrorCode.UNKNOWN_CHANNEL, "data.channel", id="channel-alphabet"),
        pytest.param({"channel": "a" * 256}, ErrorCode.UNKNOWN_CHANNEL, "data.channel", id="channel-length"),
        pytest.param({"type": ""}, ErrorCode.MALFORMED, "data.type", id="no-type"),
        pytest.param({"type": "t" * 129}, ErrorCode.MALFORMED, "data.type", id="type-length"),
        pytest.param({"type": "dropped"}, ErrorCode.MALFORMED, "data.type", id="type-reserved"),
        pytest.param({"key": ""}, ErrorCode.MALFORMED, "data.key", id="key-empty"),
        pytest.param({"key": "k" * 256}, ErrorCode.MALFORMED, "data.key", id="key-length"),
        pytest.param({"data": "x" * 1000}, ErrorCode.TOO_LARGE, "data", id="size"),
    ],
)
async def test_a_refused_event_names_its_field_and_leaves_nothing(
    open_hub: OpenHub, arguments: dict[str, Any], code: ErrorCode, field: str
) -> None:
    """Nor may it make a channel, for which another one's history would have to go."""
    hub = open_hub(limits=Limits(message_bytes=1000, channels=1))
    hub.publish("history", "t", 1)
    with pytest.raises(RequestError) as refused:
        hub.publish(**{"channel": "c", "type": "t", "data": None, **arguments})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert names(hub) == ["history"]
    assert hub.statistics().published == 1


async def test_data_that_json_cannot_carry_is_refused_without_a_trace(open_hub: OpenHub) -> None:
    hub = open_hub()
    with pytest.raises(RequestError):
        hub.publish("c", "t", {1, 2})  # type: ignore[arg-type]  # that is the point
    assert names(hub) == []
    assert hub.publish("c", "t", None).offset == 1


async def test_timestamps_do_not_go_back_when_the_clock_does() -> None:
    """A request by time is a bisection; and a client may sort by time without undoing the order."""
    now = 1000.0
    hub = Hub(clock=lambda: now, limits=Limits(history_events=2))
    hub.publish("c", "t", 1)
    now = 900.0
    hub.publish("c", "t", 2)
    now = 1001.0
    hub.publish("c", "t", 3)
    assert [event.timestamp for event in hub.history("c").events] == [1000.0, 1001.0]
    now = 0.0
    hub.publish("c", "t", 4)
    assert [event.timestamp for event in hub.history("c").events] == [1001.0, 1001.0]


async def test_time_does_not_go_back_on_a_channel_without_history() -> None:
    now = 1000.0
    hub = Hub(clock=lambda: now, limits=Limits(history_events=0))
    async with hub.subscribe("c") as subscription:
        hub.publish("c", "t", 1)
        now = 900.0
        hub.publish("c", "t", 2)
        hub.broadcaster.flush()
        assert [(await anext(subscription)).timestamp for _ in range(2)] == [1000.0, 1000.0]


async def test_publish_wait_waits_for_room(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Back-pressure: with the rule to wait, a slow reader slows its publishers down and loses nothing."""
    hub = open_hub(limits=Limits(lag_events=2), namespaces=WAITING)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        published: list[int] = []

        async def publish(start: int) -> None:
            for number in range(start, start + 5):
                await hub.publish_wait("w", "t", number)
                published.append(number)

        async with hub.subscribe("w") as subscription:
            nursery.start_soon(publish, 0)
            nursery.start_soon(publish, 5)
            await wait_all_tasks_blocked()
            waiting = len(published)
            assert waiting < 10
            numbers = [(await anext(subscription)).data for _ in range(10)]
            assert sorted(numbers) == list(range(10))
        assert len(published) == 10
        assert hub.statistics().dropped == 0
        nursery.cancel_scope.cancel()


async def test_a_cancelled_publish_wait_has_published_nothing(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub(limits=Limits(lag_events=1), namespaces=WAITING)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with hub.subscribe("w") as subscription:
            hub.publish("w", "t", 1)
            await wait_all_tasks_blocked()
            with trio.move_on_after(5) as scope:
                await hub.publish_wait("w", "t", "never")
            assert scope.cancelled_caught
            assert hub.statistics().published == 1
            assert (await anext(subscription)).data == 1
            await hub.publish_wait("w", "t", 2)
            assert (await anext(subscription)).data == 2
        nursery.cancel_scope.cancel()


async def test_a_reader_that_leaves_makes_room(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub(limits=Limits(lag_events=1), namespaces=WAITING)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with trio.open_nursery() as publishers, hub.subscribe("w"):
            hub.publish("w", "t", 1)
            await wait_all_tasks_blocked()
            publishers.start_soon(hub.publish_wait, "w", "t", 2)
            await wait_all_tasks_blocked()
            assert hub.statistics().published == 1
        assert hub.statistics().published == 2
        nursery.cancel_scope.cancel()


async def test_a_hub_that_has_ended_says_so(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Who waited for room or for an event is woken and told; so is who comes later."""
    hub = open_hub(limits=Limits(lag_events=1), namespaces=WAITING)
    told: list[str] = []

    async def wait_for_event() -> None:
        async with hub.subscribe("c") as subscription:
            with pytest.raises(HubClosed):
                await anext(subscription)
        told.append("reader")

    async def wait_for_room() -> None:
        with pytest.raises(HubClosed):
            await hub.publish_wait("w", "t", 2)
        told.append("publisher")

    async with trio.open_nursery() as nursery, hub.subscribe("w") as slow:
        run = await nursery.start(run_in_scope, hub)
        hub.publish("w", "t", 1)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait_for_event)
        nursery.start_soon(wait_for_room)
        await wait_all_tasks_blocked()
        run.cancel()
        await wait_all_tasks_blocked()
        assert sorted(told) == ["publisher", "reader"]
        assert (await anext(slow)).data == 1, "what waits may still be read"
        with pytest.raises(HubClosed):
            await anext(slow)
    with pytest.raises(HubClosed):
        hub.publish("c", "t", 1)
    with pytest.raises(HubClosed):
        async with hub.subscribe("c"):
            pass
    hub.close()
    assert hub.statistics().subscribers == 0


async def run_in_scope(hub: Hub, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(hub.run)
            task_status.started(scope)


async def test_statistics_go_back_to_nothing(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """What a subscriber costs ends with it, whatever was waiting for it."""
    hub = open_hub(limits=Limits(lag_events=3, history_events=0))
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with hub.subscribe("a", "b"), hub.subscribe("a", where={"n": {"gte": 1}}):
            for number in range(10):
                hub.publish("a", "t", {"n": number})
            await wait_all_tasks_blocked()
            during = hub.statistics()
            assert (during.channels, during.views, during.subscribers, during.subscriptions) == (2, 3, 2, 3)
            assert (during.behind, during.backlog_events, during.dropped) == (2, 6, 13)
            assert during.average_queue_depth == 3.0
        after = hub.statistics()
        assert (after.channels, after.views, after.subscribers, after.subscriptions) == (0, 0, 0, 0)
        assert (after.behind, after.backlog_events, after.backlog_bytes, after.timers) == (0, 0, 0, 0)
        assert (after.history_events, after.history_bytes, after.average_queue_depth) == (0, 0, 0.0)
        assert (after.published, after.dropped) == (10, 13), "totals stay"
        nursery.cancel_scope.cancel()


async def test_asking_for_the_past_makes_no_channel(open_hub: OpenHub) -> None:
    hub = open_hub()
    page = hub.history("nobody", since=LastEvents(5))
    assert (page.events, page.recovered, page.more) == ((), True, False)
    assert names(hub) == []
    assert hub.position("nobody") is None


async def test_leaving_a_channel_twice_is_nothing(open_hub: OpenHub) -> None:
    hub = open_hub()
    async with hub.subscribe("a") as subscription:
        assert hub.detach_cursor(subscription, "a")
        assert not hub.detach_cursor(subscription, "a")
        assert names(hub) == []


async def test_a_subscription_that_fails_halfway_leaves_nothing(open_hub: OpenHub) -> None:
    hub = open_hub()
    with pytest.raises(RequestError):
        async with hub.subscribe("good", "not good"):
            pass
    assert names(hub) == []
    assert hub.statistics().subscribers == 0
