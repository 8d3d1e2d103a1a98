"""Outputs: readers come and go, the end is seen exactly once, and only a command ends the producer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.application import ApplicationHub
from rtcore.features.outputs.output_state import Content
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub
from rtcore.values.channels import Namespace

CHANNEL = "outputs:default:o1"
REFUSED = rtcore.RequestError


def of(**outputs: Any) -> FeatureSettings:
    return FeatureSettings(outputs=OutputSettings(**outputs))


def texts(hub: ApplicationHub, channel: str = CHANNEL) -> list[tuple[str, Any]]:
    """Types and data of the channel's events."""
    return [(event.type, event.data) for event in hub.history(channel).events]


async def read_all(hub: ApplicationHub, output_id: str = "o1", index: int = 0) -> str:
    async with hub.outputs.read(output_id, index=index) as reader:
        return "".join([content.text async for content in reader])


async def fail_after(hub: ApplicationHub, text: str) -> None:
    async with hub.outputs.text("answer", output_id="o1") as output:
        output.write(text)
        raise ZeroDivisionError("by zero")


# Producing


async def test_first_piece_leaves_at_once_and_the_rest_together(autojump_clock: Any) -> None:
    """A token an event would be a hundred times its size."""
    async with open_test_hub() as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            for token in ("Once", " upon", " a", " time"):
                output.write(token)
            await trio.sleep(0.06)
            output.write(".")
        assert texts(hub)[0][0] == "output.started"
        assert texts(hub)[1:4] == [
            ("output.chunk", {"output_id": "o1", "index": 0, "text": "Once"}),
            ("output.chunk", {"output_id": "o1", "index": 4, "text": " upon a time"}),
            ("output.chunk", {"output_id": "o1", "index": 16, "text": "."}),
        ]
        kind, data = texts(hub)[4]
        assert (kind, data["status"], data["length"]) == ("output.completed", "completed", 17)


async def test_much_does_not_wait_for_the_time_to_pass(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(chunk_bytes=10, chunk_seconds=60)) as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            for _ in range(4):
                output.write("12345")
        assert [data["text"] for kind, data in texts(hub) if kind == "output.chunk"] == ["12345", "1234512345", "12345"]


async def test_items_are_json(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(chunk_seconds=0)) as hub:
        async with hub.outputs.items("log", output_id="o1") as output:
            output.append({"level": "info", "message": "a"})
            output.append([2])
        assert [data["items"] for kind, data in texts(hub) if kind == "output.chunk"] == [
            [{"level": "info", "message": "a"}],
            [[2]],
        ]


async def test_failure_is_told_and_not_swallowed(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(ZeroDivisionError):
            await fail_after(hub, "so far")
        kind, data = texts(hub)[-1]
        assert (kind, data["error_type"], data["error"], data["cancelled"]) == (
            "output.failed",
            "ZeroDivisionError",
            "by zero",
            False,
        )
        async with hub.outputs.read("o1") as reader:
            assert (await reader.__anext__()).text == "so far"
            with pytest.raises(rtcore.OutputFailed, match="by zero"):
                await reader.__anext__()


async def test_cancelled_surroundings_are_no_command(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        with trio.move_on_after(1) as scope:
            async with hub.outputs.text("answer", output_id="o1") as output:
                output.write("x")
                await trio.sleep_forever()
        assert scope.cancelled_caught
        kind, data = texts(hub)[-1]
        assert (kind, data["cancelled"]) == ("output.failed", True)


async def test_cancelling_stops_at_the_end_of_the_block(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            assert hub.outputs.cancel("o1", by="ann", reason="enough")
            assert not hub.outputs.cancel("o1"), "once is enough"
            await trio.sleep_forever()
        assert output.cancelled
        await trio.lowlevel.checkpoint()  # nothing of the cancellation is left outside
        kind, data = texts(hub)[-1]
        assert (kind, data["by"], data["reason"]) == ("output.cancelled", "ann", "enough")
        with pytest.raises(rtcore.OutputCancelled, match="enough"):
            await read_all(hub)
        assert not hub.outputs.cancel("o1")


async def test_cancelled_block_that_fails_while_it_cleans_up_has_failed(autojump_clock: Any) -> None:
    """The failure goes on, without the cancellation that stops here; readers are told an end either way."""

    async def clean_up_badly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError("by zero")

    async with open_test_hub() as hub:
        with pytest.RaisesGroup(ZeroDivisionError):
            async with hub.outputs.text("answer", output_id="o1"), trio.open_nursery() as nursery:
                nursery.start_soon(clean_up_badly)
                nursery.start_soon(trio.sleep_forever)
                await trio.testing.wait_all_tasks_blocked()
                hub.outputs.cancel("o1")
        kind, data = texts(hub)[-1]
        assert (kind, data["error"], data["cancelled"]) == ("output.failed", "by zero", False)
        assert (hub.outputs.statistics().running, hub.outputs.statistics().kept) == (0, 1)
        with pytest.raises(rtcore.OutputFailed, match="by zero"):
            await read_all(hub)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda hub, output: output.write("x" * 600_000),
            rtcore.RequestError,
            "a piece of 600002 bytes exceeds half of",
        ),
        (
            lambda hub, output: hub.outputs.text("n", output_id="a b"),
            rtcore.RequestError,
            "output_id: channel name must",
        ),
        (
            lambda hub, output: hub.outputs.text("n", output_id="x" * 65),
            rtcore.RequestError,
            "output_id: expected 1 to 64 characters, got 65",
        ),
        (lambda hub, output: output.cancel(by="a\udcff"), rtcore.RequestError, "not representable in JSON: str is"),
        (lambda hub, output: output.cancel(reason="a\udcff"), rtcore.RequestError, "not representable in JSON: str is"),
        (
            lambda hub, output: output.cancel(reason="\0" * 100_000),
            rtcore.RequestError,
            "reason: 600002 bytes exceed 131072, message_bytes / 8",
        ),
        (lambda hub, output: output.cancel(by=None), TypeError, r"by: expected text \(str\), got NoneType"),
        (
            lambda hub, output: hub.outputs.text("n", workspace="x" * 300),
            rtcore.RequestError,
            "workspace: channel name of 308 characters exceeds the limit of 255",
        ),
        (
            lambda hub, output: hub.outputs.text("n", user=""),
            rtcore.RequestError,
            "user: an empty name has no channel",
        ),
        (lambda hub, output: output.write(5), TypeError, r"output \w+: expected text \(str\) to write, got int"),
        (lambda hub, output: output.write(None), TypeError, "expected text .* got NoneType"),
        (lambda hub, output: output.write(b""), TypeError, "expected text .* got bytes"),
        (lambda hub, output: hub.outputs.cancel("nothing"), rtcore.RequestError, "output_id: no such output"),
        (lambda hub, output: hub.outputs.text("n").write("early"), RuntimeError, "has not begun"),
    ],
)
async def test_what_cannot_be_is_refused(act: Callable[..., object], error: Any, message: str) -> None:
    async with open_test_hub() as hub, hub.outputs.text("answer") as output:
        with pytest.raises(error, match=message):
            act(hub, output)
        assert not output.cancelled, "what is refused changes nothing"


async def test_end_is_told_however_long_its_words(autojump_clock: Any) -> None:
    """Of a failure they are cut to what fits in a message, and those that are accepted fit."""
    async with open_test_hub(limits=rtcore.Limits(message_bytes=20_000), features=of(name_bytes=100)) as hub:
        with pytest.raises(ValueError, match="\0"):
            async with hub.outputs.text("\0" * 200, output_id="o1"):
                raise ValueError("\0" * 30_000)
        async with hub.outputs.text("\0" * 200, output_id="o2"):
            assert hub.outputs.cancel("o2", by="\0" * 416, reason="\0" * 416)
            await trio.sleep_forever()
        assert [event.type for event in hub.history("outputs:default").events][1::2] == [
            "output.failed",
            "output.cancelled",
        ]


async def test_after_the_end_nothing_is_written(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        async with hub.outputs.text("answer") as output:
            pass
        with pytest.raises(RuntimeError, match="has ended"):
            output.write("late")
        with pytest.raises(RuntimeError, match="has begun already"):
            await output.__aenter__()


async def test_an_id_is_taken_once(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.outputs.text("a", output_id="o1"):
        with pytest.raises(rtcore.RequestError, match="there is one already"):
            await hub.outputs.text("b", output_id="o1").__aenter__()


async def test_lone_surrogates_do_not_break_an_output(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            output.write("a\ud800b")
        assert await read_all(hub) == "a?b"


# Reading in this process


@pytest.mark.parametrize("seed", range(10))
async def test_every_reader_sees_the_whole_and_the_end_once(autojump_clock: Any, seed: int) -> None:
    """Whenever it comes, wherever it resumes, however slow it is."""
    rng = random.Random(seed)
    pieces = ["".join(rng.choices("abcß", k=rng.randint(1, 9))) for _ in range(200)]
    whole, heard = "".join(pieces), dict[int, str]()

    async def read(number: int) -> None:
        await trio.sleep(rng.random() * 3)
        index = rng.choice([0, 0, 5, 100])
        async with hub.outputs.read("o1", index=index) as reader:
            parts = []
            async for content in reader:
                assert content.index == index + sum(map(len, parts))
                parts.append(content.text)
                await trio.sleep(rng.choice([0, 0.001, 0.3]))
        heard[number] = whole[:index] + "".join(parts)

    async with open_test_hub(limits=rtcore.Limits(lag_events=5)) as hub:
        async with trio.open_nursery() as nursery, hub.outputs.text("answer", output_id="o1") as output:
            for number in range(10):
                nursery.start_soon(read, number)
            for piece in pieces:
                output.write(piece)
                await trio.sleep(0.01)
        assert list(heard.values()) == [whole] * 10


async def test_leaving_reader_changes_nothing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            output.write("one")
            async with hub.outputs.read("o1") as reader:
                assert (await reader.__anext__()).text == "one"
            output.write("two")
            await trio.lowlevel.checkpoint()
        assert await read_all(hub) == "onetwo"


async def test_reader_of_the_past_knows_what_is_gone(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(kept_bytes=10, chunk_seconds=0)) as hub:
        async with hub.outputs.text("answer", output_id="o1") as output:
            for letter in "abcd":
                output.write(letter * 4)
        async with hub.outputs.read("o1") as reader:
            assert [content async for content in reader] == [Content(8, "ccccdddd")]


# Bounds


async def test_ended_outputs_are_forgotten_in_time(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(keep_seconds=10)) as hub:
        for name in ("o1", "o2"):
            async with hub.outputs.text("a", output_id=name) as output:
                output.write("x")
            await trio.sleep(6)
        statistics = hub.outputs.statistics()
        assert (statistics.running, statistics.kept, statistics.bytes, statistics.started) == (0, 1, 1, 2)
        await trio.sleep(10)
        assert (hub.outputs.statistics().kept, hub.outputs.statistics().bytes) == (0, 0)
        assert len(hub.timeouts) == 0


async def test_one_timer_forgets_whatever_has_ended(autojump_clock: Any) -> None:
    """Also where each makes room for the next, so that none lives until its time is over."""
    async with open_test_hub(features=of(outputs=1)) as hub:
        for _ in range(20):
            async with hub.outputs.text("a"):
                pass
            await trio.sleep(10)
        assert len(hub.timeouts) == 1
        await trio.sleep(301)
        assert (hub.outputs.statistics().kept, len(hub.timeouts)) == (0, 0)


async def test_room_is_made_by_those_that_ended_first(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(outputs=2)) as hub:
        async with hub.outputs.text("a", output_id="o1"):
            pass
        async with hub.outputs.text("b", output_id="o2"), hub.outputs.text("c", output_id="o3"):
            with pytest.raises(rtcore.RequestError, match="no such output"):
                hub.outputs.cancel("o1")
            with pytest.raises(rtcore.RequestError, match="outputs=2"):
                await hub.outputs.text("d").__aenter__()


async def test_all_outputs_together_are_bounded(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(total_bytes=100, chunk_seconds=0)) as hub:
        async with hub.outputs.text("a", output_id="o1") as old:
            old.write("x" * 60)
        async with hub.outputs.text("b", output_id="o2") as output:
            for _ in range(10):
                output.write("y" * 30)
            assert hub.outputs.statistics().bytes <= 100
            assert hub.outputs.statistics().kept == 0
            assert output.state.length == 300


async def test_readers_history_is_bounded_by_its_namespace(autojump_clock: Any) -> None:
    async with open_test_hub(features=of(chunk_seconds=0), namespaces={"outputs": Namespace(history_events=3)}) as hub:
        assert hub.namespaces["outputs"].publish_roles == frozenset()
        async with hub.outputs.text("a", output_id="o1") as output:
            for number in range(10):
                output.write(str(number))
        assert len(texts(hub)) == 3
        assert await read_all(hub) == "0123456789", "the content does not depend on it"


async def test_output_that_cannot_begin_takes_no_place() -> None:
    async with open_test_hub() as hub:
        pass
    for number in range(5):
        with pytest.raises(rtcore.HubClosed):
            await hub.outputs.text("a", output_id=f"o{number}").__aenter__()
    assert hub.outputs.statistics().running == 0


async def test_names_are_bounded_and_made_fit_for_json(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.outputs.text("\ud800" + "x" * 5000, output_id="o1") as output:
        assert output.name == "?" + "x" * 999
        with pytest.raises(rtcore.RequestError, match="a piece of 1800002 bytes"):
            output.write("\0" * 300_000)
