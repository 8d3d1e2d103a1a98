"""A fault of one feature, schedule, timer or preparation is logged and told where it belongs; the hub goes on."""

from __future__ import annotations

import logging
import math
from enum import StrEnum
from typing import Any

import pytest
import trio
from attrs import frozen

from rtcore.application import ApplicationHub
from rtcore.errors import RequestError
from rtcore.hub.command_context import Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.testing import open_test_hub
from rtcore.values.limits import Limits


@frozen(kw_only=True)
class Nothing:
    """No data."""


def fail(*_: object) -> None:
    raise OSError("disk I/O error")


async def test_a_timer_that_fails_keeps_the_others_running(
    open_hub: Any, autojump_clock: Any, nursery: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub: Hub = open_hub()
    await nursery.start(hub.run)
    called: list[float] = []
    hub.timeouts.call_at(trio.current_time() + 1, fail)
    hub.timeouts.call_at(trio.current_time() + 2, lambda: called.append(trio.current_time()))
    await trio.sleep(3)
    assert len(called) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    hub.publish("c", "t", 1)


async def test_a_scheduled_reply_that_json_cannot_carry_is_a_fault_of_ours(
    talk: Any, autojump_clock: Any, nursery: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rule = CommandRule(value=Nothing, handler=lambda context, command: Reply("tick", {"v": math.nan}))
    client = talk(dialect=Dialect(schedules={"tick": 1.0}, commands={"tick": rule}))
    await nursery.start(client.hub.run)
    client.session.start()
    await trio.sleep(1.5)
    assert client.received()[-1]["data"]["code"] == "server.internal"
    assert "NaN or Infinity at $.data.v" in caplog.text
    client.hub.publish("c", "t", 1)


@pytest.mark.parametrize("when", ["at once", "awaited", "later"])
@pytest.mark.parametrize("bad", [math.nan, "\ud800", {1}], ids=["nan", "surrogate", "set"])
async def test_a_reply_that_json_cannot_carry_is_a_fault_of_ours(
    talk: Any, caplog: pytest.LogCaptureFixture, when: str, bad: object
) -> None:
    """The client asked for nothing wrong, and could mend nothing; the log says what is to be mended."""
    reply = Reply("tick", {"v": bad})

    async def wait() -> Reply:
        return reply

    def handler(context: Any, command: Nothing) -> Any:
        if when == "later":
            return context.answer(reply)
        return reply if when == "at once" else wait()

    client = talk(dialect=Dialect(commands={"tick": CommandRule(value=Nothing, handler=handler)}))
    error = await client.refused("tick", {}, id=7)
    assert (error["code"], error["message"], error["field"]) == ("server.internal", "internal error", None)
    assert "not representable in JSON" in caplog.text
    assert (await client.say("heartbeat"))[0]["type"] == "heartbeat"


async def test_a_preparation_that_fails_is_told_to_its_client(talk: Any, autojump_clock: Any, nursery: Any) -> None:
    async def prepare() -> None:
        raise OSError("disk I/O error")

    client = talk(dialect=Dialect(channels=("kept:1",)))
    client.hub.registry.join(object(), preparations={"kept": lambda identity, channel: prepare})
    await nursery.start(client.hub.run)
    client.session.start()
    await trio.sleep(1)
    assert client.received()[-1]["data"]["code"] == "server.internal"
    client.hub.publish("c", "t", 1)


async def test_observers_and_farewells_that_fail_harm_nobody(talk: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = talk()
    hub, said = client.hub, []
    hub.registry.observers.append(fail)
    hub.registry.attendance["a"] = fail
    hub.when_gone(client.subscriber, fail)
    hub.when_gone(client.subscriber, lambda: said.append("gone"))
    await client.say("subscribe", {"channels": ["a:1", "b:1"]})
    assert hub.publish("b:1", "t", 1).matched == 1
    hub.detach(client.subscriber)
    assert (said, hub.statistics().subscriptions) == (["gone"], 0)
    assert len(caplog.records) == 4


async def test_nobody_who_has_gone_is_subscribed(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = talk()
    monkeypatch.setattr(type(client.subscriber), "over", property(lambda self: True))
    with pytest.raises(RequestError, match="has ended"):
        client.hub.attach_cursor(client.subscriber, "a")


class Kind(StrEnum):
    DONE = "task.completed"


async def test_types_and_channels_may_be_of_an_enumeration(open_hub: Any) -> None:
    """They are text; both twins take them alike."""
    hub: Hub = open_hub()
    hub.publish(Kind.DONE, Kind.DONE, {})
    (event,) = hub.history("task.completed").events
    assert event.body.startswith(b'{"type":"task.completed","channel":"task.completed"')


# Features that have no room to tell


async def test_a_full_hub_ends_no_approval_and_no_timer(autojump_clock: Any) -> None:
    async with open_test_hub(limits=Limits(channels=3, unpublished_channels=10)) as hub, trio.open_nursery() as nursery:
        await fill(hub, nursery)
        desk = hub.support_chat.desk(user="ann")
        desk.open_session("s1", customer="c")
        desk.typing("s1", "c")
        await trio.sleep(10)
        assert hub.support_chat.desk(user="ann").state.sessions["s1"].customer == "c"
        hub.publish("held:0", "t", 1)
        nursery.cancel_scope.cancel()


async def fill(hub: ApplicationHub, nursery: trio.Nursery) -> None:
    """Every channel that there may be has an event and a subscriber."""

    async def hold(name: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with hub.subscribe(name):
            task_status.started()
            await trio.sleep_forever()

    for number in range(3):
        await nursery.start(hold, f"held:{number}")
        hub.publish(f"held:{number}", "t", 1)
