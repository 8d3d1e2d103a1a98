"""Streams by name: sampled or pushed, read by whom they are for, observed, and told of while they change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.positions import LastEvents

BUILT_IN = [
    "agent_performance",
    "alert_events",
    "cost",
    "cpu",
    "delivery",
    "disk",
    "ecosystem_correlation",
    "flow_executions",
    "memory",
    "network",
    "performance_metrics",
    "scaling_status",
    "user_activity",
    "websocket",
]


def state_of(hub: Any, name: str) -> Any:
    return next(each for each in hub.metrics.statistics() if each.stream == name)


async def next_of(client: Any, type: str) -> Any:
    """The next message of a type; others are passed over."""
    while True:
        message = await client.receive()
        if message["type"] == type:
            return message


async def source() -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"depth": 3}


async def test_every_hub_has_the_streams_of_the_systems(autojump_clock: Any) -> None:
    """And an idle one has no timer and no task for them."""
    async with open_test_hub() as hub:
        assert hub.metrics.streams() == BUILT_IN
        assert {each.interval_seconds for each in hub.metrics.statistics()} == {5.0, None}
        await trio.sleep(100)
        assert hub.statistics().timers == 0
        assert hub.statistics().published == 0


async def test_source_is_registered_as_a_decorator_too(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:

        @hub.metrics.register("queue", interval=1)
        async def depth() -> dict[str, Any]:
            await trio.lowlevel.checkpoint()
            return {"depth": 4}

        assert await depth() == {"depth": 4}
        async with hub.subscribe("streams:queue") as events:
            assert (await anext(events)).data == {"stream": "queue", "data": {"depth": 4}}


async def test_interval_is_that_of_the_settings_then_of_the_code_then_the_default(autojump_clock: Any) -> None:
    """Who runs a server need not change the application to look more often."""
    settings = MetricSettings(update_seconds=7, intervals={"cpu": 1, "mine": 2.5})
    async with open_test_hub(features=FeatureSettings(metrics=settings)) as hub:
        hub.metrics.register("mine", source, interval=60)
        hub.metrics.register("other", source, interval=60)
        found = {each.stream: each.interval_seconds for each in hub.metrics.statistics()}
        assert (found["cpu"], found["memory"], found["mine"], found["other"]) == (1, 7, 2.5, 60)


async def test_subscriber_begins_with_the_newest_value(autojump_clock: Any) -> None:
    """A page that opens shows something before the next sample."""
    async with open_test_hub() as hub:
        hub.metrics.publish("orders", {"count": 1})
        hub.metrics.publish("orders", {"count": 2})
        async with hub.subscribe("streams:orders") as events:
            assert (await anext(events)).data["data"] == {"count": 2}
            hub.metrics.publish("orders", {"count": 3})
            assert (await anext(events)).data["data"] == {"count": 3}
        assert hub.metrics.latest("orders") == {"count": 3}
        assert hub.metrics.latest("cpu") is hub.metrics.latest("nothing") is None


async def test_only_the_newest_is_kept_for_who_falls_behind(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("streams:orders") as events:
        for count in range(500):
            hub.metrics.publish("orders", {"count": count})
            await wait_all_tasks_blocked()
        received = [(await anext(events)).data["data"]["count"]]
        while received[-1] != 499:
            received.append((await anext(events)).data["data"]["count"])
        assert len(received) <= 2


async def test_latest_is_not_what_the_source_changes_later(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        sample: dict[str, Any] = {"count": 1}
        hub.metrics.publish("orders", sample)
        sample["count"] = 2
        assert hub.metrics.latest("orders") == {"count": 1}


async def test_what_cannot_be_pushed_is_refused_to_who_pushes(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(RequestError) as caught:
            hub.metrics.publish("orders", [1])  # type: ignore[arg-type]  # as an application might
        assert caught.value.code is ErrorCode.MALFORMED
        with pytest.raises(ValueError, match="stream name"):
            hub.metrics.publish("a:b", {})
        assert state_of(hub, "orders").samples == 0


async def test_names_are_taken_once_unless_replaced(autojump_clock: Any) -> None:
    async with open_test_hub(limits=Limits(metric_streams=len(BUILT_IN) + 1)) as hub:
        hub.metrics.register("queue", source)
        with pytest.raises(ValueError, match='there is a stream "queue" already'):
            hub.metrics.register("queue", source)
        with pytest.raises(ValueError, match="there are metric_streams=15 streams already"):
            hub.metrics.declare("one_more")
        with pytest.raises(ValueError, match=r"interval of 0 s is shorter than 0\.05 s"):
            hub.metrics.register("cpu", source, interval=0, replace=True)
        with pytest.raises(ValueError, match="interval of inf s is not finite"):
            hub.metrics.register("cpu", source, interval=float("inf"), replace=True)
        async with hub.subscribe("streams:cpu") as events:
            hub.metrics.register("cpu", source, interval=1, replace=True)
            assert (await anext(events)).data["data"] == {"depth": 3}, "whoever watches, watches the new one"


async def test_stream_that_is_removed_says_so_and_may_come_again(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.metrics.register("queue", source, interval=1)
        async with hub.subscribe("streams:queue") as events:
            await anext(events)
            hub.metrics.unregister("queue")
            removed = await anext(events)
            assert (removed.type, removed.data) == ("stream_removed", {"stream": "queue"})
            await trio.sleep(10)
            hub.metrics.register("queue", source, interval=1)
            assert (await anext(events)).type == "stream_update"
        with pytest.raises(KeyError):
            hub.metrics.unregister("nothing")


class Watching:
    """An observer."""

    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[tuple[str, Mapping[str, Any]]] = []
        self.fails = fails

    def observe(self, stream: str, data: Mapping[str, Any]) -> None:
        self.seen.append((stream, data))
        if self.fails:
            raise RuntimeError("by design")


async def test_observers_see_every_sample_whatever_one_of_them_does(
    autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The rules of alerts look at what is sampled and what is pushed."""
    async with open_test_hub() as hub:
        bad, good = Watching(fails=True), Watching()
        hub.metrics.observers += [bad, good]
        hub.metrics.register("queue", source, interval=5, always=True)
        hub.metrics.publish("orders", {"count": 1})
        await trio.sleep(6)
        expected = [("orders", {"count": 1}), ("queue", {"depth": 3}), ("queue", {"depth": 3})]
        assert bad.seen == good.seen == expected
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3


async def test_a_stream_may_be_for_some_roles(autojump_clock: Any) -> None:
    """Costs are nobody's business but of those who pay; others are not told that there is such a stream."""
    async with open_test_hub() as hub:
        hub.metrics.restrict("cost", ["finance"])
        hub.metrics.register("salaries", source, roles=["finance"])
        payer, other = Identity(user="p", roles={"finance"}), Identity(user="o", roles={"admin"})
        assert [name for name in BUILT_IN if name not in hub.metrics.streams(other)] == ["cost"]
        assert "salaries" in hub.metrics.streams(payer)
        assert not hub.metrics.readable("salaries", other)
        assert not hub.metrics.readable("nothing", payer)
        with pytest.raises(RequestError):
            hub.access.check_read(other, "streams:salaries")


async def test_streams_of_channels_are_for_who_may_read_those(autojump_clock: Any) -> None:
    """What is kept from somebody on one channel must not come out of another."""
    namespaces = {name: Namespace(read_roles=frozenset({"ops"})) for name in ("workflows", "alerts")}
    async with open_test_hub(namespaces=namespaces) as hub:
        missing = set(BUILT_IN) - set(hub.metrics.streams(Identity(user="u")))
        assert missing == {"flow_executions", "alert_events"}
        assert hub.metrics.streams(Identity(user="u", roles={"ops"})) == BUILT_IN


async def test_roles_of_a_stream_do_not_open_the_channel_that_it_is_made_of(autojump_clock: Any) -> None:
    """Who asks for fewer readers must not get others."""
    async with open_test_hub(namespaces={"workflows": Namespace(read_roles=frozenset({"ops"}))}) as hub:
        hub.metrics.restrict("flow_executions", ["finance"])
        hub.metrics.restrict("alert_events", ["finance"])
        readers = {
            roles: [name for name in ("flow_executions", "alert_events") if hub.metrics.readable(name, person)]
            for roles in ("", "ops", "finance", "finance ops")
            if (person := Identity(user="u", roles=set(roles.split())))
        }
        assert readers == {
            "": [], "ops": [], "finance": ["alert_events"], "finance ops": ["flow_executions", "alert_events"]
        }  # fmt: skip


async def test_comparison_names_no_figure_of_a_stream_that_not_all_of_its_readers_may_read(autojump_clock: Any) -> None:
    """Neither the figure nor what it moves together with, whenever it was restricted; roles of its own let it."""
    async with open_test_hub() as hub:
        rounds = 0

        async def move() -> dict[str, Any]:
            return {"total": rounds % 7}

        for name in ("billing", "orders", "stock"):
            hub.metrics.register(name, move, always=True)
            hub.metrics.correlations.add(name, "total")

        async def compared() -> set[str]:
            nonlocal rounds
            async with hub.subscribe("streams:ecosystem_correlation", since=LastEvents(0)) as events:
                for _ in range(8):
                    rounds += 1
                    sample = (await anext(events)).data["data"]
            return {name for pair in sample["correlations"] for name in (pair["a"], pair["b"])}

        assert await compared() >= {"billing.total", "orders.total", "stock.total"}
        hub.metrics.restrict("billing", ["finance", "boss"])
        assert await compared() & {"billing.total", "orders.total", "stock.total"} == {"orders.total", "stock.total"}
        hub.metrics.restrict("ecosystem_correlation", ["boss"])
        assert await compared() >= {"billing.total", "orders.total", "stock.total"}
        hub.metrics.restrict("ecosystem_correlation", ["boss", "staff"])
        assert "billing.total" not in await compared()


async def test_nobody_publishes_there_from_outside(autojump_clock: Any) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        reply = await client.request("publish", {"channel": "streams:cpu", "type": "stream_update", "data": {}})
        assert reply["data"]["code"] == "access.denied"


async def test_channel_of_all_streams_says_which_there_are_and_when_that_changes(autojump_clock: Any) -> None:
    """A page finds the streams of its application by themselves."""
    async with open_test_server() as server:
        hub: Any = server.hub
        hub.metrics.register("secret", source, roles=["boss"])
        client = await server.connect()
        reply = await client.request("subscribe", {"channels": ["streams", "streams:cost", "streams:nothing"]})
        told = {name: channel["snapshot"] for name, channel in reply["data"]["channels"].items()}
        assert [stream["stream"] for stream in told["streams"]["streams"]] == BUILT_IN
        assert (told["streams:cost"]["stream"], told["streams:cost"]["state"]) == ("cost", "running")
        assert told["streams:nothing"] is None
        await next_of(client, "stream_update")
        hub.metrics.declare("orders")
        assert (await next_of(client, "streams_changed"))["data"] == {"change": "registered"}
        hub.metrics.unregister("orders")
        assert (await next_of(client, "streams_changed"))["data"] == {"change": "removed"}


async def test_who_asks_is_given_fresh_values_of_what_nobody_watches(autojump_clock: Any) -> None:
    """A page that polls sees what one that is connected sees, and a crowd of them asks each source once an interval."""
    async with open_test_hub() as hub:
        calls: list[float] = []

        @hub.metrics.register("queue", interval=10)
        async def queue() -> dict[str, Any]:
            calls.append(trio.current_time())
            await trio.sleep(0.2)
            return {"depth": len(calls)}

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(hub.metrics.fresh, ["queue", "nothing"])
        assert hub.metrics.latest("queue") == {"depth": 1}
        assert round(trio.current_time() - began, 3) == 0.2
        await hub.metrics.fresh(["queue"])
        assert len(calls) == 1, "it is not older than its interval"
        await trio.sleep(10)
        await hub.metrics.fresh(["queue"])
        await trio.sleep(60)
        assert len(calls) == 2
        assert hub.statistics().timers == 0


async def test_who_asks_does_not_wait_for_a_source_that_hangs(autojump_clock: Any) -> None:
    """And what it has after all is there for the next who asks; one that fails is not asked before its turn."""
    async with open_test_hub() as hub:
        calls = []

        @hub.metrics.register("slow", interval=1000)
        async def slow() -> dict[str, Any]:
            calls.append(1)
            await trio.sleep(4)
            return {"done": True}

        @hub.metrics.register("bad", interval=10)
        async def bad() -> dict[str, Any]:
            calls.append(2)
            raise OSError("by design")

        began = trio.current_time()
        await hub.metrics.fresh(["slow", "bad"])
        assert round(trio.current_time() - began, 3) == 1
        await hub.metrics.fresh(["bad"])
        assert hub.metrics.latest("slow") is None
        await trio.sleep(5)
        assert hub.metrics.latest("slow") == {"done": True}
        assert sorted(calls) == [1, 2]


async def test_asking_may_be_cancelled_at_any_moment(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.metrics.register("queue", source, interval=1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await hub.metrics.fresh(["queue"])
        assert scope.cancelled_caught
        await wait_all_tasks_blocked()
        assert hub.metrics.latest("queue") == {"depth": 3}
