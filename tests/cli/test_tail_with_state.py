"""`rtcore tail` on a channel with state: it shows the events that are held, those too that the state stands for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import trio

import rtcore
from rtcore.server.server import Server


async def tail(server: Server, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end."""
    return await trio.run_process(
        [sys.executable, "-m", "rtcore", "tail", *arguments, "--url", server.url],
        capture_stdout=True,
        capture_stderr=True,
        env=environment,
    )


@pytest.mark.parametrize("since", ["1h", "last:10", "offset:1", "0000000000-3"])
async def test_events_of_a_channel_with_state_are_shown(since: str, environment: dict[str, str]) -> None:
    """Nobody who follows `alerts` on a server younger than an hour may be shown nothing of the alerts there were."""
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        for number in range(3):
            hub.publish("alerts", "note", {"n": number})
        ended = await tail(server, environment, "alerts", "--plain", "--since", since, "-n", "3")
        assert [line.count(b"note") for line in ended.stdout.splitlines()] == [1, 1, 1]
        nursery.cancel_scope.cancel()


async def test_state_is_in_the_notice_of_json(environment: dict[str, str]) -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        for number in range(3):
            hub.publish("alerts", "note", {"n": number})
        options = ("--json", "--since", "0000000000-3", "--where", "n>=1", "-n", "2")
        ended = await tail(server, environment, "alerts", *options)
        lines: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
        assert [line["type"] for line in lines] == ["connection.recovered", "note", "note"]
        assert (lines[0]["data"]["snapshot"], lines[0]["data"]["snapshot_offset"]) == ({"alerts": []}, 3)
        assert [line["data"] for line in lines[1:]] == [{"n": 1}, {"n": 2}]
        nursery.cancel_scope.cancel()
