"""A hub without room for another channel: outputs are written all the same, and their ends are not lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub, open_test_server

FULL = rtcore.Limits(channels=1)
CHANNEL = "outputs:default:o1"


async def test_producer_is_not_harmed(autojump_clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be told is kept, and the log says so once and not for each piece."""
    async with open_test_hub(limits=FULL) as hub, hub.subscribe("held"):
        hub.publish("held", "t", 1)
        async with hub.outputs.text("answer", output_id="o1") as output:
            for _ in range(20):
                output.write("word ")
                await trio.sleep(0.1)
        assert output.state.status.value == "completed"
        async with hub.outputs.read("o1") as reader:
            assert "".join([content.text async for content in reader]) == "word " * 20
        said = [record.getMessage() for record in caplog.records if record.name == "rtcore.outputs"]
        assert [line.partition(":")[0] for line in said] == ["readers on outputs", "readers on outputs"]


async def test_client_is_told_the_end_as_soon_as_there_is_room(autojump_clock: Any) -> None:
    """It was there before, so nothing else would ever tell it that no more comes."""
    async with open_test_hub(limits=FULL) as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        async with hub.subscribe("held"):
            hub.publish("held", "t", 1)
            async with hub.outputs.text("answer", output_id="o1") as output:
                await client.request("subscribe", {"channels": [CHANNEL]})
                output.write("word")
                await trio.sleep(1)
            await trio.sleep(10)
            await client.receive_nothing()
        end = await client.expect("output.completed")
        assert (end["channel"], end["data"]["length"]) == (CHANNEL, 4)
        assert (await client.request("output.read", {"output_id": "o1"}))["data"]["text"] == "word"
        await client.receive_nothing()


async def test_reader_in_this_process_sees_the_end_at_once(autojump_clock: Any) -> None:
    read = list[str]()

    async def follow(hub: rtcore.ApplicationHub) -> None:
        async with hub.outputs.read("o1") as reader:
            read.extend([content.text async for content in reader])

    async with open_test_hub(limits=FULL) as hub, hub.subscribe("held"):
        hub.publish("held", "t", 1)
        async with trio.open_nursery() as nursery, hub.outputs.text("answer", output_id="o1") as output:
            nursery.start_soon(follow, hub)
            await trio.sleep(1)
            output.write("word")
            await trio.sleep(1)
        assert read == ["word"]


async def test_end_is_told_no_more_when_the_output_is_forgotten(autojump_clock: Any) -> None:
    """Another output may have the channel then."""
    features = FeatureSettings(outputs=OutputSettings(keep_seconds=10))
    async with open_test_hub(limits=FULL, features=features) as hub:
        async with hub.subscribe("held"):
            hub.publish("held", "t", 1)
            async with hub.outputs.text("answer", output_id="o1"):
                pass
            await trio.sleep(11)
            assert len(hub.timeouts) == 0
        await trio.sleep(11)
        assert hub.history(CHANNEL).events == ()
