"""
A client that was killed is no ghost: real processes, real sockets, real signals.

No clock is turned here and no time measured; deadlines of settings are short where one has to be run into.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define

import rtcore

PATIENCE_SECONDS = 60.0
CHILD = """
import sys, trio, rtcore

async def main():
    async with rtcore.connect(sys.argv[1]) as client:
        await client.request("presence.join", {"name": sys.argv[2], "activity": "editing"})
        await client.request("typing.start", {"conversation": "c"})
        async with client.subscribe("noise"):
            print("present", flush=True)
            await trio.sleep_forever()

trio.run(main)
"""


@define(eq=False)
class Child:
    """A client in a process of its own, present and typing."""

    process: trio.Process

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)


@asynccontextmanager
async def child(url: str, name: str) -> AsyncIterator[Child]:
    async with trio.open_nursery() as nursery:
        command = [sys.executable, "-c", CHILD, url, name]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert await process.stdout.receive_some(1) == b"p"
            yield Child(process)
        finally:
            process.kill()
            await process.wait()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("way", ["killed", "killed with unread bytes", "stopped"])
async def test_who_was_killed_is_told_as_gone(way: str) -> None:
    """Killed: the system ends the socket. With unread bytes: it resets it. Stopped: only a ping finds out."""
    limits = rtcore.Limits(ping_seconds=0.5, pong_seconds=3) if way == "stopped" else rtcore.Limits()
    features = rtcore.FeatureSettings(
        presence=rtcore.PresenceSettings(grace_seconds=0.1), typing=rtcore.TypingSettings(seconds=PATIENCE_SECONDS)
    )
    with trio.fail_after(PATIENCE_SECONDS):
        async with rtcore.open_hub(limits=limits, features=features) as hub, trio.open_nursery() as nursery:
            server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0, limits=limits))
            async with child(server.url, "killed") as killed, child(server.url, "other"):
                assert [each.user for each in hub.presence.online()] == ["guest:killed", "guest:other"]
                assert hub.typing.users("c").total == 2
                async with hub.subscribe("presence:default", where={"type": "presence:update"}) as events:
                    if way != "killed":
                        killed.signal(signal.SIGSTOP)
                        hub.publish("noise", "x", {"unread": True})
                        await trio.testing.wait_all_tasks_blocked()
                    if way != "stopped":
                        killed.signal(signal.SIGKILL)
                    async for event in events:
                        assert isinstance(event.data, dict)
                        if "guest:killed" in event.data["left"]:  # type: ignore[operator]  # a list of users
                            break
                if way != "stopped":
                    assert [each.user for each in hub.presence.online()] == ["guest:other"]
                    assert hub.typing.users("c").users == ("guest:other",)
                assert "guest:killed" not in hub.typing.users("c").users
            nursery.cancel_scope.cancel()
