"""Alerts over WebSocket: what subscribers see, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import rtcore
from rtcore.features.alerts.settings import AlertSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_server

MANAGERS = rtcore.Settings(anonymous_roles=frozenset({"alert_manager"}))


async def fire(hub: Any, high_cpu: Any) -> Any:
    # A stream of its own: the machine has a `cpu_utilization` too, and its samples come when they please.
    rule = await hub.alerts.add_rule(high_cpu | {"channels": ["dashboard"], "stream": "web"})
    hub.alerts.observe("web", {"cpu_utilization": 0.9})
    await trio.testing.wait_all_tasks_blocked()
    return rule


async def test_subscriber_is_told_what_fires_and_what_becomes_of_it(autojump_clock: MockClock, high_cpu: Any) -> None:
    async with open_test_server(MANAGERS) as server:
        rule = await fire(server.hub, high_cpu)
        client = await server.connect()
        reply = await client.request("subscribe", {"channels": ["alerts"]})
        (alert,) = reply["data"]["channels"]["alerts"]["snapshot"]["alerts"]
        assert (alert["rule_id"], alert["state"]) == (rule.id, "firing")
        reply = await client.request("alert.acknowledge", {"alert_id": alert["alert_id"], "note": "on it"})
        assert (reply["type"], reply["data"]["state"]) == ("alert.acknowledged", "acknowledged")
        assert (await client.expect("alert_acknowledged"))["data"]["note"] == "on it"
        reply = await client.request("alert.silence", {"rule_id": rule.id, "duration": 60_000})
        assert (reply["type"], reply["data"]["rule"]) == ("alert.silenced", "High CPU Usage")
        await client.expect("alert_silenced")
        server.hub.alerts.observe("web", {"cpu_utilization": 0.1})
        assert (await client.expect("alert_resolved"))["data"]["alert_id"] == alert["alert_id"]
        listed = (await client.request("alert.list"))["data"]
        assert listed["alerts"] == []
        assert [each["alert_id"] for each in listed["resolved"]] == [alert["alert_id"]]
        assert [each["name"] for each in listed["rules"]] == ["High CPU Usage"]


@pytest.mark.parametrize(
    ("command", "data"),
    [("alert.acknowledge", {"alert_id": "a"}), ("alert.silence", {"rule_id": "r", "duration": 1000})],
)
async def test_change_needs_a_role_of_the_settings(
    autojump_clock: MockClock, command: str, data: dict[str, Any]
) -> None:
    settings = rtcore.Settings(
        anonymous_roles=frozenset({"publisher"}),
        features=FeatureSettings(alerts=AlertSettings(roles=frozenset({"admin", "operator"}))),
    )
    async with open_test_server(settings) as server:
        client = await server.connect()
        reply = await client.request(command, data)
        assert reply["data"]["code"] == "access.denied"
        assert reply["data"]["message"] == "needs one of the roles admin, operator"
        assert (await client.request("alert.list"))["type"] == "alert.list"


@pytest.mark.parametrize(
    ("command", "data", "code", "message"),
    [
        ("alert.acknowledge", {}, "request.malformed", "data.alert_id: missing"),
        ("alert.acknowledge", {"alert_id": "none"}, "request.not_found", "there is no such alert"),
        ("alert.silence", {"rule_id": "none", "duration": 1}, "request.not_found", "there is no such rule"),
        ("alert.silence", {"rule_id": "r", "duration": 2_592_000_001}, "request.malformed",
         "data.duration: expected a whole number from 0 to 2592000000, got 2592000001"),
        ("alert.list", {"all": True}, "request.malformed", "data.all: unknown field"),
    ],
)  # fmt: skip
async def test_wrong_command_is_refused_in_words(
    autojump_clock: MockClock, command: str, data: dict[str, Any], code: str, message: str
) -> None:
    async with open_test_server(MANAGERS) as server:
        client = await server.connect()
        reply = await client.request(command, data)
        assert (reply["type"], reply["data"]["code"], reply["data"]["message"]) == ("error", code, message)


async def test_nobody_publishes_alerts_from_outside(autojump_clock: MockClock) -> None:
    """A forged alert would be believed."""
    settings = rtcore.Settings(anonymous_roles=frozenset({"admin", "publisher", "alert_manager"}))
    async with open_test_server(settings) as server:
        client = await server.connect()
        reply = await client.request("publish", {"channel": "alerts", "type": "alert_triggered", "data": {}})
        assert reply["data"]["code"] == "access.denied"


async def test_list_is_for_those_who_may_read_the_channel(autojump_clock: MockClock) -> None:
    settings = rtcore.Settings(namespaces={"alerts": rtcore.Namespace(read_roles={"operator"})})
    async with open_test_server(settings) as server:
        client = await server.connect()
        assert (await client.request("alert.list"))["data"]["code"] == "access.denied"
