"""Sources are asked while they are wanted, one at a time, and what is wrong with one stays with its stream."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from rtcore.application import ApplicationHub
from rtcore.errors import ErrorCode, RequestError
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.metric_streams.stream import StreamState
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub


def state_of(hub: Any, name: str) -> Any:
    return next(each for each in hub.metrics.statistics() if each.stream == name)


def turns(source: Any, began: float) -> list[float]:
    return [round(call - began, 3) for call in source.calls]


async def test_source_runs_while_somebody_watches_and_no_longer(autojump_clock: Any, told_source: Any) -> None:
    """Nothing is asked that nobody wants to know."""
    async with open_test_hub() as hub:
        source = told_source()
        hub.metrics.register("queue", source, interval=2)
        await trio.sleep(60)
        assert source.calls == []
        began = trio.current_time()
        async with hub.subscribe("streams:queue") as events:
            seen = [(await anext(events)).data for _ in range(3)]
        assert seen == [{"stream": "queue", "data": {"count": count}} for count in (1, 2, 3)]
        assert turns(source, began) == [0, 2, 4]
        await trio.sleep(60)
        assert len(source.calls) == 3
        assert state_of(hub, "queue").state is StreamState.IDLE


async def test_coming_and_going_does_not_make_a_source_run_faster(autojump_clock: Any, told_source: Any) -> None:
    """Or whoever may subscribe could have a database asked a thousand times a second."""
    async with open_test_hub() as hub:
        source = told_source()
        hub.metrics.register("queue", source, interval=10)
        for _ in range(100):
            async with hub.subscribe("streams:queue"):
                await trio.sleep(0.1)
        assert len(source.calls) in (1, 2)


async def test_a_slow_source_is_asked_once_at_a_time_and_keeps_to_its_schedule(
    autojump_clock: Any, told_source: Any
) -> None:
    async with open_test_hub() as hub:
        source = told_source(partial(trio.sleep, 2.5))
        hub.metrics.register("slow", source, interval=2)
        began = trio.current_time()
        async with hub.subscribe("streams:slow") as events:
            for _ in range(3):
                await anext(events)
        assert source.most_at_once == 1
        assert turns(source, began) == [0, 4, 8]


async def test_source_that_hangs_is_cancelled_reported_and_asked_less_and_less_often(
    autojump_clock: Any, told_source: Any
) -> None:
    """And the others are on time."""
    settings = MetricSettings(sample_seconds=3, retry_seconds=20)
    async with open_test_hub(features=FeatureSettings(metrics=settings)) as hub:
        hanging, good = told_source(trio.sleep_forever), told_source()
        hub.metrics.register("hanging", hanging, interval=5)
        hub.metrics.register("good", good, interval=5)
        began = trio.current_time()
        async with hub.subscribe("streams:hanging") as events, hub.subscribe("streams:good"):
            error = await anext(events)
            assert (error.type, round(trio.current_time() - began, 3)) == ("stream_error", 3)
            assert error.data == {
                "stream": "hanging",
                "message": "no sample within sample_seconds=3",
                "since": "2025-06-15T15:06:43.000Z",
                "last": None,
            }
            await trio.sleep_until(began + 84)
            assert turns(hanging, began) == [0, 8, 21, 44, 67]
            assert turns(good, began) == [5 * turn for turn in range(17)]
            assert (hanging.most_at_once, state_of(hub, "hanging").failures) == (1, 5)
            hanging.behaves = None
            assert (await anext(events)).type == "stream_update", "the same words are not repeated meanwhile"
            assert state_of(hub, "hanging").state is StreamState.RUNNING


async def test_source_that_cannot_be_cancelled_is_reported_in_time_all_the_same(
    autojump_clock: Any, told_source: Any
) -> None:
    """One that waits for a thread, say; and it is not asked again before it has come back."""

    async def stuck() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    settings = MetricSettings(sample_seconds=3)
    async with open_test_hub(features=FeatureSettings(metrics=settings)) as hub:
        source = told_source(stuck)
        hub.metrics.register("stuck", source, interval=5)
        began = trio.current_time()
        async with hub.subscribe("streams:stuck") as events:
            assert (await anext(events)).type == "stream_error"
            assert round(trio.current_time() - began) == 3
        async with hub.subscribe("streams:stuck"):
            await trio.sleep_until(began + 99)
            assert len(source.calls) == 1
            await trio.sleep_until(began + 120)
        assert (len(source.calls), source.most_at_once) == (2, 1)


async def test_what_a_source_still_says_when_another_has_its_place_is_not_told(
    autojump_clock: Any, told_source: Any
) -> None:
    async def stuck() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    async def new() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"new": True}

    async with open_test_hub() as hub:
        hub.metrics.register("queue", told_source(stuck), always=True)
        hub.metrics.register("other", told_source(stuck), always=True)
        await trio.sleep(1)
        hub.metrics.register("queue", new, interval=1000, always=True, replace=True)
        hub.metrics.unregister("other")
        await trio.sleep(60)
        assert hub.metrics.latest("queue") == {"new": True}
        assert state_of(hub, "queue").samples == 1
        assert hub.history("streams:other").events == ()


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError("cannot reach postgres://user:password@db"), "the source failed: OSError"),
        (ExceptionGroup("several", [ValueError()]), "the source failed: ExceptionGroup"),
        (RequestError(ErrorCode.UNAVAILABLE, "the queue is being moved"), "the queue is being moved"),
    ],
)
async def test_source_that_raises_tells_its_clients_no_secrets(
    raised: Exception, message: str, autojump_clock: Any, told_source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback; what was meant for clients is told."""

    def fail() -> None:
        raise raised

    async with open_test_hub() as hub:
        source = told_source(fail)
        hub.metrics.register("bad", source, interval=5)
        async with hub.subscribe("streams:bad") as events:
            assert (await anext(events)).data["message"] == message
            await trio.sleep(60)
    assert [record.exc_info is not None for record in caplog.records] == [True], "once, not at each turn"


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (None, "a sample is a JSON object, got NoneType"),
        ([1], "a sample is a JSON object, got list"),
        ({"a": object()}, "not representable in JSON"),
        ({"a": "x" * 2_000_000}, "exceeds message_bytes=1048576"),
    ],
)
async def test_sample_that_is_none_is_a_failure(sample: Any, words: str, autojump_clock: Any) -> None:
    async def source() -> Any:
        await trio.lowlevel.checkpoint()
        return sample

    async with open_test_hub() as hub:
        hub.metrics.register("bad", source)
        async with hub.subscribe("streams:bad") as events:
            error = await anext(events)
            assert error.type == "stream_error"
            assert words in error.data["message"]


async def test_what_is_always_wanted_or_needed_runs_without_a_watcher(autojump_clock: Any, told_source: Any) -> None:
    """A rule of alerts must see samples while no dashboard is open."""
    async with open_test_hub() as hub:
        always, needed, other = told_source(), told_source(), told_source()
        hub.metrics.need("rules", ["needed", "later"])
        hub.metrics.register("always", always, interval=5, always=True)
        hub.metrics.register("needed", needed, interval=5)
        hub.metrics.register("other", other, interval=5)
        await trio.sleep(11)
        assert (len(always.calls), len(needed.calls), len(other.calls)) == (3, 3, 0)
        later = told_source()
        hub.metrics.register("later", later, interval=5)
        hub.metrics.need("others", None)
        await trio.sleep(1)
        assert (len(later.calls), len(other.calls)) == (1, 1)
        hub.metrics.need("others", [])
        hub.metrics.need("rules", ["later"])
        counts = len(needed.calls), len(other.calls)
        await trio.sleep(20)
        assert (len(needed.calls), len(other.calls)) == counts
        assert len(later.calls) == 5


async def test_source_registered_before_the_hub_runs_begins_with_it(autojump_clock: Any, told_source: Any) -> None:
    hub, source = ApplicationHub(), told_source()
    hub.metrics.register("early", source, interval=5, always=True)
    await trio.sleep(20)
    assert source.calls == []
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await wait_all_tasks_blocked()
        assert len(source.calls) == 1
        nursery.cancel_scope.cancel()


async def test_hub_ends_while_sources_hang(autojump_clock: Any, told_source: Any) -> None:
    """Nothing outlives its block, and nothing is begun again."""
    async with open_test_hub() as hub:
        sources = [told_source(trio.sleep_forever) for _ in range(10)]
        for index, source in enumerate(sources):
            hub.metrics.register(f"s{index}", source, always=True)
        await wait_all_tasks_blocked()
        assert [source.asked_now for source in sources] == [1] * 10
    assert [(source.asked_now, len(source.calls)) for source in sources] == [(0, 1)] * 10
