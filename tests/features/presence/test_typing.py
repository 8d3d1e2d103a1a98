"""Who is writing in a conversation."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.errors import RequestError
from rtcore.features.typing.settings import TypingSettings
from rtcore.features.typing.typing_state import TypingState, Typists
from rtcore.values.limits import Limits


def test_user_writes_until_the_last_of_his_connections_stops() -> None:
    state = TypingState()
    assert state.start("ann", 1)
    assert not state.start("ann", 1)
    assert not state.start("ann", 2)
    assert state.start("bob", 3)
    assert (len(state), sorted(state.keys("ann"))) == (2, [1, 2])
    assert not state.stop("ann", 1)
    assert not state.stop("ann", 1)
    assert not state.stop("cid", 1)
    assert state.stop("ann", 2)
    assert state.typists(5) == Typists(users=("bob",), total=1)


def test_first_ones_are_told_by_name_and_all_are_counted() -> None:
    state = TypingState()
    for number in range(100):
        state.start(f"u{number}", 1)
    assert state.typists(2) == Typists(users=("u0", "u1"), total=100)


async def listening(there: Any, conversation: str = "c1") -> Any:
    client = await there.member("listener")
    reply = await client.request("subscribe", {"channels": [f"typing:w1:{conversation}"]})
    assert reply["type"] == "subscribed", reply
    return client


async def test_typing_is_told_on_change_alone_and_ends_by_itself(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        listener, ann = await listening(there), await there.member("ann")
        for _ in range(5):
            started = await ann.request("typing.start", {"conversation": "c1"})
            assert started["data"] == {"conversation": "c1", "users": ["ann"], "total": 1}
            await trio.sleep(3)
        event = await listener.expect("presence:typing")
        assert event["data"] == {"conversation": "c1", "users": ["ann"], "total": 1}
        event = await listener.expect("presence:typing")
        assert event["data"] == {"conversation": "c1", "users": [], "total": 0}
        assert trio.current_time() == 12 + 6
        await listener.receive_nothing(20)
        assert there.hub.typing.statistics().conversations == 0


async def test_typing_ends_when_the_client_says_so(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        listener, ann = await listening(there), await there.member("ann")
        await ann.request("typing.start", {"conversation": "c1"})
        await listener.expect("presence:typing")
        stopped = await ann.request("typing.stop", {"conversation": "c1"})
        assert (stopped["type"], stopped["data"]["users"]) == ("typing.stopped", [])
        assert (await listener.expect("presence:typing"))["data"]["users"] == []
        assert trio.current_time() <= 0.11
        assert (await ann.request("typing.stop", {"conversation": "c2"}))["type"] == "typing.stopped"


@pytest.mark.parametrize("way", ["close", "aclose"])
async def test_typing_ends_with_the_connection(autojump_clock: Any, open_workspaces: Any, way: str) -> None:
    async with open_workspaces() as there:
        listener, ann = await listening(there), await there.member("ann")
        await ann.request("typing.start", {"conversation": "c1"})
        await ann.request("typing.start", {"conversation": "c2"})
        await listener.expect("presence:typing")
        await getattr(ann, way)()
        assert (await listener.expect("presence:typing"))["data"]["users"] == []
        assert trio.current_time() <= 0.2
        assert there.hub.typing.statistics().users == 0


async def test_typing_ends_when_the_message_is_sent(autojump_clock: Any, open_workspaces: Any) -> None:
    """Through whichever of his tabs he wrote it."""
    async with open_workspaces() as there:
        listener = await listening(there)
        for _ in range(2):
            await (await there.member("ann")).request("typing.start", {"conversation": "c1"})
        there.hub.typing.start("c1", "ann", workspace="w1")
        there.hub.typing.start("c1", "robot", workspace="w1")
        assert there.hub.typing.users("c1", workspace="w1") == Typists(users=("ann", "robot"), total=2)
        there.hub.typing.stop("c1", "ann", workspace="w1")
        there.hub.typing.stop("c1", "ann", workspace="w1")
        there.hub.typing.stop("nowhere", "ann", workspace="w1")
        assert (await listener.expect("presence:typing"))["data"]["users"] == ["ann"]
        assert (await listener.expect("presence:typing"))["data"]["users"] == ["robot"]
        await trio.sleep(7)
        assert (await listener.expect("presence:typing"))["data"]["users"] == []


async def test_subscriber_is_told_who_is_writing_already(autojump_clock: Any, open_workspaces: Any) -> None:
    """Also what was never published, because nobody listened."""
    async with open_workspaces() as there:
        there.hub.typing.start("a:b", "ann", workspace="w1")
        assert there.hub.position("typing:w1:a:b") is None, "no channel is made for nobody"
        listener = await there.member("listener")
        reply = await listener.request("subscribe", {"channels": ["typing:w1:a:b", "typing:w1"]})
        channels = reply["data"]["channels"]
        assert channels["typing:w1:a:b"]["snapshot"] == {"conversation": "a:b", "users": ["ann"], "total": 1}
        assert channels["typing:w1"]["snapshot"] == {"conversation": "", "users": [], "total": 0}
        there.hub.typing.stop("a:b", "ann", workspace="w1")
        assert (await listener.expect("presence:typing"))["data"]["users"] == []


async def test_slow_listener_gets_the_newest_state_alone(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        listener = await listening(there)
        listener.stream.clog()
        for _ in range(50):
            there.hub.typing.start("c1", "ann", workspace="w1")
            await trio.sleep(0.2)
            there.hub.typing.stop("c1", "ann", workspace="w1")
            await trio.sleep(0.2)
        listener.stream.unclog()
        there.hub.typing.start("c1", "bob", workspace="w1")
        events = [await listener.expect("presence:typing")]
        while events[-1]["data"]["users"] != ["bob"]:
            events.append(await listener.expect("presence:typing"))
        assert len(events) < 10


async def test_connection_types_in_so_many_conversations(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(typing=TypingSettings(conversations_per_connection=2)) as there:
        ann = await there.member("ann")
        for conversation in ("a", "b", "a"):
            assert (await ann.request("typing.start", {"conversation": conversation}))["type"] == "typing.started"
        error = (await ann.request("typing.start", {"conversation": "c"}))["data"]
        assert (error["code"], error["field"], error["transient"]) == ("limit.busy", "data.conversation", True)
        assert error["message"] == "data.conversation: the connection types in conversations_per_connection=2 others"
        await trio.sleep(7)
        assert (await ann.request("typing.start", {"conversation": "c"}))["type"] == "typing.started"


async def test_storm_of_changes_costs_listeners_ten_messages_a_second(
    autojump_clock: Any, open_workspaces: Any
) -> None:
    async with open_workspaces() as there:
        async with there.hub.subscribe("typing:w1:c") as events:
            for step in range(1000):
                change = there.hub.typing.start if step % 2 else there.hub.typing.stop
                change("c", f"u{step // 2 % 7}", workspace="w1")
                await trio.sleep(0.001)
            await trio.sleep(0.2)
            position = there.hub.position("typing:w1:c")
        assert position is not None
        assert position.offset <= 12
        assert events is not None


async def test_who_began_and_stopped_within_a_step_is_no_news(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        listener = await listening(there)
        there.hub.typing.start("c1", "ann", workspace="w1")
        there.hub.typing.start("c1", "bob", workspace="w1")
        there.hub.typing.stop("c1", "bob", workspace="w1")
        assert (await listener.expect("presence:typing"))["data"]["users"] == ["ann"]
        await listener.receive_nothing(5)


async def test_who_hides_is_not_seen_typing(autojump_clock: Any, open_workspaces: Any) -> None:
    """To others she is as one who is not there; and whoever is not there does not type."""
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await bob.request("subscribe", {"channels": ["typing:w1:c1"]})
        await ann.request("presence.join")
        await ann.request("typing.start", {"conversation": "c1"})
        assert (await bob.expect("presence:typing"))["data"]["users"] == ["ann"]
        await ann.request("presence.update", {"status": "offline"})
        assert (await bob.expect("presence:typing"))["data"]["users"] == [], "at once, not after its seconds"
        reply = await ann.request("typing.start", {"conversation": "c1"})
        assert (reply["type"], reply["data"]["total"]) == ("typing.started", 0)
        there.hub.typing.start("c1", "ann", workspace="w1")
        await bob.receive_nothing(1)
        there.hub.presence.set("ann", workspace="w2", status="offline")
        await ann.request("presence.update", {"status": "away"})
        await ann.request("typing.start", {"conversation": "c1"})
        assert (await bob.expect("presence:typing"))["data"]["users"] == ["ann"]


async def test_guest_types_under_the_name_he_is_present_with(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(tokens=False) as there:
        ann = await there.server.connect()
        error = (await ann.request("typing.start", {"conversation": "c"}))["data"]
        assert error["message"] == "data.name: missing; without a token, join with a name first"
        await ann.request("presence.join", {"name": "Ann"})
        assert (await ann.request("typing.start", {"conversation": "c"}))["data"]["users"] == ["guest:Ann"]
        await ann.request("presence.join", {"name": "Anna"})
        assert (await ann.request("typing.start", {"conversation": "c"}))["data"]["users"] == ["guest:Anna"]


async def test_hub_without_room_for_the_channel_tells_later(
    autojump_clock: Any, open_workspaces: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        open_workspaces(limits=Limits(channels=1)) as there,
        there.hub.subscribe("taken", "typing:w1:c") as events,
    ):
        there.hub.publish("taken", "x", {})
        assert (await anext(events)).type == "x"
        there.hub.typing.start("c", "ann", workspace="w1")
        await trio.sleep(2.5)
        assert "channels=1" in caplog.text
        there.hub.detach_cursor(events, "taken")
        event = await anext(events)
        assert event.data == {"conversation": "c", "users": ("ann",), "total": 1}


NAME = "data.conversation: expected 1 to 128 letters, digits, '_', '.', ':', '~' or '-', got "


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("", "ann"), RequestError, f'{NAME}""'),
        (("ä", "ann"), RequestError, f'{NAME}"ä"'),
        (("c" * 129, "ann"), RequestError, f'{NAME}"{"c" * 60}"... (129 characters)'),
        (("c", ""), ValueError, "user: expected 1 to 255 characters, got 0"),
    ],
)
async def test_application_is_told_what_is_wrong(
    autojump_clock: Any, open_workspaces: Any, arguments: Any, error: type[Exception], message: str
) -> None:
    async with open_workspaces() as there:
        with pytest.raises(error) as refused:
            there.hub.typing.start(*arguments, workspace="w1")
        assert str(refused.value) == message
