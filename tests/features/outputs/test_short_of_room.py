"""Outputs that together are longer than what is kept: each has its part, and who reads along misses nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import trio

from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub


def of(**outputs: Any) -> FeatureSettings:
    return FeatureSettings(outputs=OutputSettings(chunk_seconds=0, **outputs))


async def test_reader_gets_the_chunks_that_are_not_kept(autojump_clock: Any) -> None:
    """Also those that wait for it when the end has come: the events have them where the state has them no more."""
    async with open_test_hub(features=of(total_bytes=10)) as hub, AsyncExitStack() as stack:
        async with hub.outputs.text("b", output_id="o2") as output:
            reader = await stack.enter_async_context(hub.outputs.read("o2"))
            for number in range(5):
                output.write(f"{number}" * 20)
        assert output.state.bytes == 0
        contents = [content async for content in reader]
    assert [content.index for content in contents] == [0, 20, 40, 60, 80]
    assert "".join(content.text for content in contents) == "".join(f"{number}" * 20 for number in range(5))


async def test_reader_that_comes_late_gets_the_chunks_from_then_on(autojump_clock: Any) -> None:
    read = list[str]()

    async def follow() -> None:
        async with hub.outputs.read("o2") as reader:
            read.extend([content.text async for content in reader])

    async with (
        open_test_hub(features=of(total_bytes=10)) as hub,
        trio.open_nursery() as nursery,
        hub.outputs.text("b", output_id="o2") as output,
    ):
        output.write("gone " * 10)
        nursery.start_soon(follow)
        for number in range(3):
            await trio.sleep(1)
            output.write(f"chunk {number} is too long to be kept")
    assert read[-3:] == [f"chunk {number} is too long to be kept" for number in range(3)]


async def test_room_is_made_by_the_longest(autojump_clock: Any) -> None:
    """One that fills all of it by itself leaves none to others, were it each one's own that is cut."""
    async with (
        open_test_hub(features=of(total_bytes=1000)) as hub,
        hub.outputs.text("a") as long,
        hub.outputs.text("b") as short,
    ):
        for _ in range(100):
            long.write("x" * 10)
        for _ in range(20):
            short.write("y" * 10)
        assert (short.state.first, short.state.bytes) == (0, 200)
        assert 0 < long.state.bytes <= 800
        assert hub.outputs.statistics().bytes == long.state.bytes + short.state.bytes
