"""What features add to a hub: commands, state behind channels, farewells, observers."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect, Greeting
from rtcore.hub.registry import FeatureRegistry
from rtcore.protocol.wire_fields import text, wire
from rtcore.values.channels import Namespace, Scope
from rtcore.values.events import Event
from rtcore.values.identity import ANONYMOUS, Identity


class Lamp:
    """A feature."""


@frozen(kw_only=True)
class Switch:
    name: str = wire(text(10))


@frozen(kw_only=True)
class Nothing:
    """No data."""


def switch(context: CommandContext, command: Switch) -> Reply:
    return Reply("lamp.switched", {"name": command.name, "by": context.identity.user}, unasked=False)


async def _wait(name: str) -> Reply:
    return Reply("lamp.waited", {"name": name})


def switch_later(context: CommandContext, command: Switch) -> None:
    LATER.append(context)


LATER: list[CommandContext] = []
RULES: dict[str, CommandRule[Any]] = {
    "lamp.switch": CommandRule(value=Switch, handler=switch),
    "lamp.wait": CommandRule(value=Switch, handler=lambda context, command: _wait(command.name)),
    "lamp.later": CommandRule(value=Switch, handler=switch_later),
    "lamp.break": CommandRule(value=Nothing, handler=switch, roles=frozenset({"vandal"})),
    "lamp.state": CommandRule(value=Nothing, handler=lambda context, command: Reply("lamp.is", ["on"], unasked=False)),
}


def test_feature_is_found_by_its_class() -> None:
    registry, lamp = FeatureRegistry(), Lamp()
    assert registry.find(Lamp) is None
    registry.join(lamp)
    assert registry.find(Lamp) is lamp


@pytest.mark.parametrize(
    "again",
    [
        {"commands": {"lamp.switch": RULES["lamp.switch"]}},
        {"commands": {"subscribe": RULES["lamp.switch"]}, "reserved": ("subscribe",)},
        {"snapshots": {"lamps": lambda identity, channel: None}},
        {"dialects": {"morse": Dialect()}},
    ],
)
def test_names_are_taken_once(again: Any) -> None:
    """A feature that silently replaced another's command would answer for it."""
    registry = FeatureRegistry()
    registry.join(
        Lamp(), commands=RULES, snapshots={"lamps": lambda identity, channel: None}, dialects={"morse": Dialect()}
    )
    with pytest.raises(ValueError, match="taken already"):
        registry.join(object(), **again)
    with pytest.raises(ValueError, match="joined already"):
        registry.join(Lamp())


async def test_commands_of_a_feature_are_answered_like_those_of_the_core(talk: Any) -> None:
    client = talk()
    client.hub.registry.join(Lamp(), commands=RULES)
    (reply,) = await client.say("lamp.switch", {"name": "hall"}, id=1)
    assert (reply["type"], reply["id"], reply["data"]) == ("lamp.switched", 1, {"name": "hall", "by": "u1"})
    assert await client.say("lamp.switch", {"name": "hall"}) == [], "who gives no id does not want to hear"
    (reply,) = await client.say("lamp.wait", {"name": "hall"}, id="w")
    assert (reply["type"], reply["id"]) == ("lamp.waited", "w")
    error = await client.refused("lamp.switch", {"name": "far too long"}, id=2)
    assert (error["field"], error["message"]) == ("data.name", "data.name: expected 1 to 10 characters, got 12")
    error = await client.refused("lamp.break")
    assert (error["code"], error["message"]) == ("access.denied", "needs one of the roles vandal")


async def test_answer_that_comes_later_holds_up_nothing_and_carries_its_id(talk: Any) -> None:
    client = talk()
    client.hub.registry.join(Lamp(), commands=RULES)
    LATER.clear()
    assert await client.say("lamp.later", {"name": "hall"}, id=7) == []
    assert await client.say("lamp.later", {"name": "hall"}, id=8) == []
    LATER[1].answer(Reply("lamp.switched", {"name": "hall"}, unasked=False))
    LATER[0].answer(RequestError(ErrorCode.BUSY, "not now"))
    first, second = client.received()
    assert (first["id"], first["type"], first["data"]) == (8, "lamp.switched", {"name": "hall"})
    assert (second["id"], second["type"], second["data"]["code"]) == (7, "error", "limit.busy")


async def test_commands_of_a_feature_need_an_identity_too(talk: Any, tokens: Any) -> None:
    client = talk(identity=None, authenticator=tokens())
    client.hub.registry.join(Lamp(), commands=RULES)
    error = await client.refused("lamp.switch", {"name": "hall"})
    assert error["code"] == "access.authentication_required"


async def test_farewell_is_said_once(talk: Any) -> None:
    client = talk()
    said: list[str] = []
    client.hub.when_gone(client.subscriber, lambda: said.append("gone"))
    client.hub.detach(client.subscriber)
    client.hub.detach(client.subscriber)
    assert said == ["gone"]


async def test_observers_see_each_event_once_and_in_order(open_hub: Any) -> None:
    hub = open_hub()
    seen: list[Event] = []
    hub.registry.observers.append(seen.append)
    for number in range(3):
        hub.publish("c", "t", number)
    assert [event.data for event in seen] == [0, 1, 2]


async def test_observers_miss_only_what_repeats(open_hub: Any) -> None:
    """What a subscriber's end leads to while an event is repeated is news; an observer that comes meanwhile stays."""
    hub = open_hub()
    seen: list[tuple[str, Any]] = []
    hub.registry.observers.append(lambda event: seen.append((event.channel, event.data)))
    with hub.registry.unobserved("list", "begun"):
        hub.publish("list", "begun", 1)
        hub.publish("farewells", "begun", 2)
        hub.publish("list", "ended", 3)
        hub.registry.observers.append(lambda event: seen.append(("late", event.data)))
    hub.publish("list", "begun", 4)
    assert seen == [("farewells", 2), ("list", 3), ("list", 4), ("late", 4)]


async def test_newest_event_is_recalled_for_who_names_no_place(talk: Any) -> None:
    client = talk(namespaces={"gauge": Namespace(recall_events=1)})
    for number in range(3):
        client.hub.publish("gauge:x", "value", number)
    reply, event = await client.say("subscribe", {"channels": ["gauge:x"]})
    data = reply["data"]["channels"]["gauge:x"]
    assert (data["replayed"], data["recovered"]) == (1, None), "it asked for nothing, so nothing can be missing"
    assert (event["data"], event["offset"]) == (2, 3)
    (reply,) = await client.say("subscribe", {"channels": ["gauge:x"], "where": {"type": "value"}})
    assert reply["data"]["channels"]["gauge:x"]["replayed"] == 0, "subscribing again goes on where it stands"


def test_options_set_by_hand_win_field_by_field() -> None:
    """A longer history must not open a feature's channels to everybody by the way."""
    own = Namespace(scope=Scope.USER, publish_roles=frozenset(), history_events=10)
    merged = Namespace(history_events=500, read_roles=frozenset({"r"})).over(own)
    assert merged == Namespace(
        scope=Scope.USER, publish_roles=frozenset(), history_events=500, read_roles=frozenset({"r"})
    )


# Dialects


async def test_dialect_has_its_own_names(talk: Any) -> None:
    dialect = Dialect(
        greet=lambda greeting: Reply("hello", {"clientId": greeting.connection_id}),
        commands={"lamp.switch": RULES["lamp.wait"]},
        aliases={"listen": "subscribe", "toggle": "lamp.switch", "alive": "heartbeat"},
        replies={"subscribed": "listening", "heartbeat": "heartbeat_ack"},
    )
    client = talk(dialect=dialect)
    client.hub.registry.join(Lamp(), commands=RULES)
    client.session.start()
    assert [(m["type"], m["data"]) for m in client.received()] == [("hello", {"clientId": "c1"})]
    (reply,) = await client.say("listen", {"channels": ["a"]})
    assert reply["type"] == "listening"
    (reply,) = await client.say("toggle", {"name": "n"})
    assert reply["type"] == "lamp.waited", "its own command comes before the feature's"
    (reply,) = await client.say("alive", id=4)
    assert (reply["type"], reply["id"]) == ("heartbeat_ack", 4)
    (reply,) = await client.say("nonsense")
    assert reply["type"] == "error", "what went wrong is called the same everywhere"


async def test_dialect_without_a_greeting_is_silent(talk: Any) -> None:
    client = talk(dialect=Dialect(greet=lambda greeting: None))
    client.session.start()
    assert client.received() == []


async def test_dialect_begins_with_its_channels(talk: Any) -> None:
    identity = Identity(user="u1", workspace="w1")
    namespaces = {"inbox": Namespace(scope=Scope.USER), "closed": Namespace(read_roles=frozenset({"x"}))}
    client = talk(
        identity=identity,
        namespaces=namespaces,
        dialect=Dialect(channels=("inbox:{user}", "news:{workspace}", "closed")),
    )
    client.session.start()
    welcome, first, second, refused = client.received()
    assert welcome["type"] == "welcome"
    assert (list(first["data"]["channels"]), list(second["data"]["channels"])) == (["inbox:u1"], ["news:w1"])
    assert (refused["type"], refused["data"]["code"]) == ("error", "access.denied")
    client.hub.publish("inbox:u1", "t", 1)
    assert [m["type"] for m in client.received()] == ["t"]


async def test_channels_of_a_dialect_wait_for_the_identity(talk: Any, tokens: Any) -> None:
    client = talk(
        identity=None,
        authenticator=tokens(good=Identity(user="u9")),
        dialect=Dialect(channels=("inbox:{user}",), announces=False),
    )
    client.session.start()
    assert [m["type"] for m in client.received()] == ["welcome"]
    assert [m["type"] for m in await client.say("auth", {"token": "good"})] == ["auth_success"]
    client.hub.publish("inbox:u9", "t", 1)
    assert [m["type"] for m in client.received()] == ["t"]


@pytest.mark.parametrize(
    ("template", "identity"),
    [
        ("inbox:{user}", ANONYMOUS),
        ("news:{workspace}", Identity(user="u")),
        ("inbox:{user}", Identity(user="a" * 250)),
        ("inbox:{user}", Identity(user="ä" * 42)),
        ("inbox:{user}", Identity(user="a\udc00")),
        ("inbox:{workspace}:{user}", Identity(user="{workspace}")),
    ],
)
async def test_channel_of_nobody_is_refused(talk: Any, template: str, identity: Identity) -> None:
    client = talk(identity=identity, dialect=Dialect(channels=(template,)))
    client.session.start()
    refused = client.received()[-1]
    assert (refused["type"], refused["data"]["code"]) == ("error", "access.denied")


@pytest.mark.parametrize(
    ("template", "channel"),
    [
        ("inbox:{user}", "inbox:~7Bworkspace~7D"),
        ("inbox:{workspace}:{user}", "inbox:~7Buser~7D~40x:~7Bworkspace~7D"),
        ("inbox:x:{user}{workspace}", "inbox:x:~7Bworkspace~7D~7Buser~7D~40x"),
    ],
)
async def test_what_a_name_holds_is_never_filled_in_again(talk: Any, template: str, channel: str) -> None:
    """A user called `{workspace}` is no blank, and none of what fills one."""
    client = talk(
        identity=Identity(user="{workspace}", workspace="{user}@x"), dialect=Dialect(channels=(template,))
    )
    client.session.start()
    assert list(client.received()[-1]["data"]["channels"]) == [channel]


async def test_schedule_answers_until_the_client_is_gone(talk: Any, autojump_clock: Any, nursery: Any) -> None:
    client = talk(dialect=Dialect(schedules={"lamp.state": 5.0}))
    hub = client.hub
    hub.registry.join(Lamp(), commands=RULES)
    await nursery.start(hub.timeouts.run)
    client.session.start()
    client.received()
    await trio.sleep(11)
    assert [(m["type"], m["data"]) for m in client.received()] == [("lamp.is", ["on"])] * 2
    client.subscriber.blocked = True
    await trio.sleep(10)
    client.subscriber.blocked = False
    assert client.received() == [], "who takes nothing is not owed what it would not read"
    hub.detach(client.subscriber)
    await trio.sleep(100)
    assert client.received() == []
    assert len(hub.timeouts) == 0


async def test_only_what_is_answered_at_once_can_be_scheduled(talk: Any, autojump_clock: Any, nursery: Any) -> None:
    rule = CommandRule(value=Nothing, handler=lambda context, command: _wait("x"))
    client = talk(dialect=Dialect(schedules={"slow": 1.0}, commands={"slow": rule}))
    await nursery.start(client.hub.timeouts.run)
    client.session.start()
    client.received()
    await trio.sleep(1.5)
    assert [m["data"]["code"] for m in client.received()] == ["server.internal"]


def test_schedule_needs_a_time() -> None:
    with pytest.raises(ValueError, match="over 0"):
        Dialect(schedules={"x": 0.0})


def test_greeting_says_what_is_known() -> None:
    greeting = Greeting(connection_id="c", identity=None, data={"a": 1})
    reply = Dialect().greet(greeting)
    assert reply is not None
    assert (reply.type, reply.data) == ("welcome", {"a": 1})

