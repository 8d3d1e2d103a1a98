"""State behind a channel that has to be read first: the subscription waits for it, and no longer than its client."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import rtcore
from rtcore.errors import ErrorCode
from rtcore.hub.command_context import CommandContext
from rtcore.hub.subscription import Subscription
from rtcore.hub.subscription_commands import subscribe
from rtcore.server.profile_settings import ProfileSettings
from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.channels import Namespace, Scope
from rtcore.values.commands import ChannelName, Subscribe
from rtcore.values.identity import ANONYMOUS, Identity


class Slow:
    """State that takes two seconds to read, and goes once when somebody else needs the room."""

    def __init__(self, *, forgets: int = 0, error: rtcore.RequestError | None = None) -> None:
        self.ready = False
        self.reads = 0
        self._forgets = forgets
        self._error = error

    def prepare(self, context: CommandContext, channel: str) -> Callable[[], Awaitable[None]] | None:
        return None if self.ready else self._read

    async def _read(self) -> None:
        await trio.sleep(2)
        self.reads += 1
        if self._error is not None:
            raise self._error
        self.ready = self.reads > self._forgets

    def snapshot(self, identity: Identity, channel: str) -> rtcore.Json:
        assert self.ready, "it was told before it was ready"
        return {"reads": self.reads}

    def join(self, hub: rtcore.Hub) -> None:
        hub.registry.join(self, snapshots={"slow": self.snapshot}, preparations={"slow": self.prepare})


async def test_subscription_waits_for_the_state_and_misses_nothing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        slow = Slow(forgets=1)
        slow.join(hub)
        client = await server.connect()
        hub.publish("slow", "t", "before")
        reply = await client.request("subscribe", {"channels": ["a", "slow"]})
        assert reply["data"]["channels"]["slow"]["snapshot"] == {"reads": 2}, "what had gone again was read again"
        hub.publish("slow", "t", "after")
        assert (await client.expect("t"))["data"] == "after"
        assert (await client.request("subscribe", {"channels": ["slow"]}))["data"]["channels"]["slow"]["snapshot"]


async def test_state_that_cannot_be_read_is_an_error_and_no_subscription(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        Slow(error=rtcore.RequestError(ErrorCode.UNAVAILABLE, "no disk")).join(hub)
        client = await server.connect()
        reply = await client.request("subscribe", {"channels": ["a", "slow"]})
        assert (reply["type"], reply["data"]["message"]) == ("error", "no disk")
        reply = await client.request("unsubscribe", {"channels": ["a"]})
        assert reply["data"]["code"] == "request.unknown_channel", "all or none"


@pytest.mark.parametrize("first", [False, True])
async def test_client_that_goes_meanwhile_is_not_subscribed(first: bool, autojump_clock: Any) -> None:
    profiles = {"p": ProfileSettings(path="/p", channels=("slow",) if first else ())}
    async with open_test_hub() as hub, open_test_server(rtcore.Settings(profiles=profiles), hub=hub) as server:
        slow = Slow()
        slow.join(hub)
        client = await server.connect("/p")
        if not first:
            await client.send("subscribe", {"channels": ["slow"]})
        await trio.sleep(1)
        await client.aclose()
        await trio.sleep(10)
        assert [channel.name for channel in hub.channels() if channel.subscribers] == []


class Leaving(Subscription):
    """A subscriber whose connection is over from some moment on."""

    gone = False

    @property
    def over(self) -> bool:
        return self.gone


async def test_client_whose_connection_is_over_meanwhile_is_refused(autojump_clock: Any) -> None:
    """Its task may live on, but nothing more may be done in its name: nobody would take its cursors away again."""
    async with open_test_hub() as hub:
        Slow().join(hub)
        client = Leaving(hub.counters, lag_events=1, lag_bytes=1, clock=hub.clock, made_room=hub.made_room)
        context = CommandContext(hub=hub, subscriber=client, identity=ANONYMOUS, limits=hub.limits, asked=True)
        waiting = subscribe(context, Subscribe(channels=(ChannelName("slow"),)))
        client.gone = True
        assert isinstance(waiting, Awaitable)
        with pytest.raises(rtcore.RequestError, match="the connection ended while its subscription was prepared"):
            await waiting
        assert hub.channels() == []


async def test_endpoint_that_begins_with_it_tells_it_when_it_is_there(autojump_clock: Any) -> None:
    """And goes on with its other channels meanwhile."""
    profiles = {"p": ProfileSettings(path="/p", channels=("slow", "quick"))}
    async with open_test_hub() as hub, open_test_server(rtcore.Settings(profiles=profiles), hub=hub) as server:
        Slow().join(hub)
        client = await server.connect("/p")
        assert list((await client.expect("subscribed"))["data"]["channels"]) == ["quick"]
        channels = (await client.expect("subscribed"))["data"]["channels"]
        assert channels["slow"]["snapshot"] == {"reads": 1}


async def test_endpoint_that_cannot_begin_with_it_says_why(autojump_clock: Any) -> None:
    profiles = {"p": ProfileSettings(path="/p", channels=("slow",))}
    async with open_test_hub() as hub, open_test_server(rtcore.Settings(profiles=profiles), hub=hub) as server:
        Slow(error=rtcore.RequestError(ErrorCode.UNAVAILABLE, "no disk")).join(hub)
        client = await server.connect("/p")
        assert (await client.expect("error"))["data"]["message"] == "no disk"


async def test_nothing_is_read_for_whoever_may_not_see_it(autojump_clock: Any) -> None:
    profiles = {"p": ProfileSettings(path="/p", channels=("slow",))}
    namespaces = {"slow": Namespace(read_roles=frozenset({"boss"}))}
    async with (
        open_test_hub(namespaces=namespaces) as hub,
        open_test_server(rtcore.Settings(profiles=profiles), hub=hub) as server,
    ):
        slow = Slow()
        slow.join(hub)
        client = await server.connect("/p")
        assert (await client.expect("error"))["data"]["code"] == "access.denied"
        assert (await client.request("subscribe", {"channels": ["slow"]}))["data"]["code"] == "access.denied"
        assert slow.reads == 0


def test_work_of_a_hub_that_does_not_run_is_refused() -> None:
    async def work() -> None: ...

    with pytest.raises(rtcore.HubClosed, match="the hub does not run"):
        rtcore.Hub().run_soon(work)


MEMBER = {"inbox": Namespace(scope=Scope.MEMBER, publish_roles=None)}


@pytest.mark.parametrize(
    ("channel", "identity", "allowed"),
    [
        ("inbox:w:ann", Identity(user="ann", workspace="w"), True),
        ("inbox:w:ann:x:y", Identity(user="ann", workspace="w"), True),
        ("inbox:w:ann", Identity(user="ann", workspace="v"), False),
        ("inbox:w:ann", Identity(user="ann"), False),
        ("inbox:w:ann", Identity(user="bob", workspace="w", roles={"admin"}), False),
        ("inbox:w", Identity(user="w", workspace="w"), False),
        ("inbox:w:annika", Identity(user="ann", workspace="w"), False),
        ("inbox:w:", Identity(user="", workspace="w"), False),
        ("inbox::ann", Identity(user="ann", workspace=""), False),
        ("inbox:a:b:c", Identity(user="b:c", workspace="a"), False),
        ("inbox:a:b:c", Identity(user="c", workspace="a:b"), False),
    ],
)
def test_member_scope_binds_to_one_user_of_one_workspace(channel: str, identity: Identity, allowed: bool) -> None:
    access = rtcore.Hub(namespaces=MEMBER).access
    assert access.can_read(identity, channel) is access.can_publish(identity, channel) is allowed


async def test_command_that_is_given_up_before_it_has_begun_leaves_nothing(talk: Any) -> None:
    """A connection that ends with a command at its turn closes it; what is not awaited then is a warning."""
    client = talk()
    Slow().join(client.hub)
    waiting = client.session.handle_nowait(b'{"type": "subscribe", "id": 1, "data": {"channels": ["slow"]}}')
    assert waiting is not None
    waiting.close()
    del waiting
    gc.collect()
    assert client.received() == []
    assert not client.subscriber.cursors
