"""The list of outputs: as long as one message is to be, and the rest of it page by page."""

from __future__ import annotations

import random
from typing import Any

import pytest

import rtcore
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.settings import FeatureSettings
from rtcore.protocol.json_codec import json_dumps
from rtcore.testing import TestClient, open_test_hub, open_test_server

LIST = "outputs:default"


async def pages(client: TestClient, state: dict[str, Any]) -> list[dict[str, Any]]:
    """The state of the list, and all the pages behind it."""
    found = [state]
    while found[-1]["more"]:
        reply = await client.request("output.list", {"channel": LIST, "index": found[-1]["next"]})
        assert reply["type"] == "output.page"
        found.append(reply["data"])
    return found


@pytest.mark.parametrize("seed", range(5))
async def test_state_is_bounded_and_with_pages_it_is_the_whole(autojump_clock: Any, seed: int) -> None:
    """However long names and reasons are; each output is in one page, and each page but the last is full."""
    rng = random.Random(seed)
    async with (
        open_test_hub(limits=rtcore.Limits(replay_bytes=4096)) as hub,
        open_test_server(hub=hub) as server,
    ):
        client = await server.connect()
        for number in range(60):
            async with hub.outputs.text("\0" * rng.choice([0, 10, 1000]), output_id=f"o{number}"):
                if rng.random() < 0.2:
                    hub.outputs.cancel(f"o{number}", reason="x" * rng.choice([1, 500]))
        reply = await client.request("subscribe", {"channels": [LIST]})
        found = await pages(client, reply["data"]["channels"][LIST]["snapshot"])
        assert [each["output_id"] for page in found for each in page["outputs"]] == [f"o{n}" for n in range(60)]
        for page, following in zip(found, [*found[1:], None], strict=True):
            size = len(json_dumps(page["outputs"]))
            assert size <= 4100 or len(page["outputs"]) == 1
            assert page["total"] == 60
            if following is not None:
                assert size + len(json_dumps(following["outputs"][0])) >= 4096


async def test_page_begins_where_the_last_one_ended_whatever_was_forgotten(autojump_clock: Any) -> None:
    """What it ended with may be gone by then; what began meanwhile comes last, also where its name is an old one."""
    features = FeatureSettings(outputs=OutputSettings(outputs=20))
    async with (
        open_test_hub(limits=rtcore.Limits(replay_bytes=1024), features=features) as hub,
        open_test_server(hub=hub) as server,
    ):

        async def produce(*numbers: int) -> None:
            for number in numbers:
                async with hub.outputs.text("x" * 100, output_id=f"o{number}"):
                    pass

        client = await server.connect()
        await produce(*range(20))
        state = (await client.request("output.list", {"channel": LIST}))["data"]
        shown = [each["output_id"] for each in state["outputs"]]
        assert shown == ["o0", "o1", "o2", "o3"]
        await produce(20, 21, 22, 23, 24, 0)
        rest = [each["output_id"] for page in (await pages(client, state))[1:] for each in page["outputs"]]
        assert rest == [f"o{number}" for number in (*range(6, 25), 0)]


async def test_list_without_outputs_is_empty() -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect()
        reply = await client.request("output.list", {"channel": LIST, "index": 7})
        assert reply["data"] == {"outputs": [], "total": 0, "next": 7, "more": False}
