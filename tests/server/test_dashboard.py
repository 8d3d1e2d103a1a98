"""
`/dashboard/ws`: what system C's clients say and are told, by the names of their contract and no others.

`Page` is the client of such a page, as its author would write it: a raw WebSocket, a switch over message types, no
subprotocol, no ids.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import trio
import trio.testing
from attrs import define, field

from rtcore.errors import HandshakeRefused
from rtcore.server.figures import EndpointFigures
from rtcore.server.profile_settings import ProfileSettings
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import TestClient, open_test_hub, open_test_server
from rtcore.values.channels import Namespace
from rtcore.values.limits import Limits

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})
CONTRACT = {"welcome", "stream_update", "alert_triggered", "heartbeat_ack", "error"}
"""Whatever else is sent, nobody asked for it."""


@define(eq=False)
class Page:
    """
    const socket = new WebSocket("ws://localhost:9090/dashboard/ws");
    socket.onmessage = ({data}) => {
        const message = JSON.parse(data);
        switch (message.type) {
            case "welcome": page.show(message.data.availableStreams); break;
            case "stream_update": page.charts[message.data.stream].add(message.data.data, message.timestamp); break;
            case "alert_triggered": page.alerts.add(message.data); break;
            case "heartbeat_ack": page.alive(); break;
            case "error": page.complain(message.data.message); break;
        }
    };
    const say = (type, data) => socket.send(JSON.stringify({type, data, timestamp: new Date().toISOString()}));
    """

    client: TestClient
    seen: list[str] = field(factory=list)

    async def say(self, type: str, **data: Any) -> None:
        await self.client.send_json({"type": type, "data": data, "timestamp": "2025-01-15T12:00:00.123Z"})

    async def next(self, type: str | None = None) -> Any:
        """The next message; of a type, others passed over."""
        while True:
            message = json.loads(await self.client.receive_message())
            self.seen.append(message["type"])
            if type in (None, message["type"]):
                return message


@asynccontextmanager
async def open_page(settings: Settings | None = None) -> AsyncIterator[tuple[Any, Page]]:
    async with open_test_server(settings) as server:
        yield server, Page(await server.connect("/dashboard/ws", subprotocols=()))


async def depth() -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"depth": 3, "host": "a"}


async def test_a_page_says_and_is_told_what_the_contract_says(autojump_clock: Any) -> None:
    """Every message of it, once around."""
    async with open_page() as (server, page):
        hub = server.hub
        hub.metrics.register("queue_depth", depth, interval=2)
        welcome = await page.next()
        assert welcome["type"] == "welcome"
        assert set(welcome["data"]) == {"clientId", "availableStreams", "authentication", "heartbeatInterval"}
        assert welcome["data"]["heartbeatInterval"] == 30_000
        assert {
            "performance_metrics",
            "scaling_status",
            "ecosystem_correlation",
            "alert_events",
            "flow_executions",
        } <= set(welcome["data"]["availableStreams"])

        await page.say("subscribe", streams=["queue_depth", "performance_metrics"])
        updates = [await page.next("stream_update") for _ in range(2)]
        found = {update["data"]["stream"]: update["data"]["data"] for update in updates}
        assert found["queue_depth"] == {"depth": 3, "host": "a"}
        assert {"latency_p95_ms", "throughput", "error_rate"} <= found["performance_metrics"].keys()
        assert updates[0]["timestamp"].endswith("Z")

        await page.say("heartbeat")
        assert (await page.next("heartbeat_ack"))["data"]["timestamp"]
        hub.publish("alerts", "alert_triggered", {"name": "High CPU Usage", "severity": "high"})
        assert (await page.next("alert_triggered"))["data"]["name"] == "High CPU Usage"
        await page.say("subscribe", streams=["cpu", "nothing"])
        error = (await page.next("error"))["data"]
        assert (error["field"], error["message"]) == (
            "data.streams[1]",
            "data.streams[1]: not one of availableStreams",
        )

        await page.say("unsubscribe", streams=["queue_depth", "performance_metrics"])
        await page.client.receive_nothing(20)
        await page.say("get_dashboard_data")
        data = (await page.next())["data"]
        assert data["streams"]["queue_depth"]["data"] == {"depth": 3, "host": "a"}
        assert data["streams"]["queue_depth"]["state"] == "idle"
        assert set(page.seen) == CONTRACT | {"dashboard_data"}, "nothing that the contract does not know"


async def test_updates_come_at_the_interval_of_their_stream(autojump_clock: Any) -> None:
    """5 s unless the stream says otherwise, and the newest value at once."""
    async with open_page() as (server, page):
        server.hub.metrics.register("often", depth, interval=1)
        server.hub.metrics.register("usual", depth)
        await page.next("welcome")
        began = trio.current_time()
        await page.say("subscribe", streams=["often", "usual"])
        told: dict[str, list[int]] = {"often": [], "usual": []}
        while len(told["usual"]) < 3:
            update = await page.next("stream_update")
            told[update["data"]["stream"]].append(round(trio.current_time() - began))
        assert told["usual"] == [0, 5, 10]
        assert told["often"][:10] == list(range(10))
        late = Page(await server.connect("/dashboard/ws", subprotocols=()))
        await late.next("welcome")
        await late.say("subscribe", streams=["usual"])
        await late.next("stream_update")
        assert trio.current_time() - began < 11


async def test_broken_stream_says_so_and_the_page_keeps_its_others(autojump_clock: Any) -> None:
    async def broken() -> dict[str, Any]:
        raise OSError("password")

    async with open_page() as (server, page):
        server.hub.metrics.register("broken", broken)
        server.hub.metrics.register("good", depth)
        await page.next("welcome")
        await page.say("subscribe", streams=["broken", "good"])
        error = await page.next("stream_error")
        assert error["data"]["stream"] == "broken"
        assert error["data"]["message"] == "the source failed: OSError"
        await page.next("stream_update")
        await page.say("get_dashboard_data")
        overview = (await page.next("dashboard_data"))["data"]
        assert overview["overview"]["health"] == "degraded"
        assert overview["streams"]["broken"]["state"] == "failing"


async def test_filters_are_about_the_figures_of_a_stream(autojump_clock: Any) -> None:
    """Evaluated before anything is sent; faults name what the page wrote."""
    async with open_page() as (server, page):
        hub = server.hub
        for name in ("orders", "visits", "prices"):
            hub.metrics.declare(name)
        await page.next("welcome")
        await page.say("subscribe", streams=["orders"], filters={"count": {"gte": 10}})
        await page.say("subscribe", streams=["orders", "visits", "prices"])
        await page.client.receive_nothing(0.1)
        for count in (1, 10):
            hub.metrics.publish("orders", {"count": count})
            hub.metrics.publish("visits", {"count": count})
            await trio.lowlevel.checkpoint()
        seen = [(await page.next())["data"] for _ in range(3)]
        assert [each["data"]["count"] for each in seen if each["stream"] == "orders"] == [10]
        assert [each["data"]["count"] for each in seen if each["stream"] == "visits"] == [1, 10]

        await page.say("set_filters", filters={"count": 7})
        await page.client.receive_nothing(0.1)
        hub.publish("alerts", "alert_triggered", {})
        for name in ("orders", "visits"):
            hub.metrics.publish(name, {"count": 8})
            await trio.sleep(0.1)
            hub.metrics.publish(name, {"count": 7})
        assert (await page.next())["type"] == "alert_triggered", "a filter of streams leaves alerts alone"
        assert [(await page.next())["data"]["data"] for _ in range(2)] == [{"count": 7}] * 2

        hub.metrics.publish("prices", {"amount": 3})
        await page.client.receive_nothing(0.1)  # a stream without the figure has nothing that could pass

        await page.say("set_filters", filters={}, streams=["orders"])
        await page.client.receive_nothing(0.1)
        hub.metrics.publish("orders", {"count": 1})
        assert (await page.next())["data"]["data"] == {"count": 1}


BAD = [
    ("subscribe", {}, "data.streams", "data.streams: missing"),
    ("subscribe", {"streams": []}, "data.streams", "data.streams: expected 1 to 1000 entries, got 0"),
    ("subscribe", {"streams": "cpu"}, "data.streams", 'data.streams: expected an array, got text'),
    ("subscribe", {"streams": ["cpu", 1]}, "data.streams[1]", "data.streams[1]: expected text, got a number"),
    ("subscribe", {"streams": ["x" * 999]}, "data.streams[0]", "data.streams[0]: not one of availableStreams"),
    ("subscribe", {"streams": ["cpu:x"]}, "data.streams[0]", "data.streams[0]: not one of availableStreams"),
    ("subscribe", {"streams": ["cpu"], "channels": ["a"]}, "data.channels", "data.channels: unknown field"),
    (
        "subscribe", {"streams": ["cpu"], "filters": []}, "data.filters",
        "data.filters: expected an object, got an array",
    ),
    ("subscribe", {"streams": ["cpu"], "filters": {"a": {"near": 1}}}, "data.filters.a.near", None),
    ("subscribe", {"streams": ["cpu"], "filters": {"a..b": 1}}, "data.filters.a..b", None),
    ("unsubscribe", {"streams": ["cpu"]}, "data.streams[0]", "data.streams[0]: not subscribed to this stream"),
    ("set_filters", {}, "data.filters", "data.filters: missing"),
    ("set_filters", {"filters": {"a": {}}}, "data.filters.a", None),
    ("set_filters", {"filters": {}, "streams": ["nothing"]}, "data.streams[0]", None),
    ("get_dashboard_data", {"all": True}, "data.all", "data.all: unknown field"),
]


@pytest.mark.parametrize(("type", "data", "where", "message"), BAD)
async def test_bad_requests_are_told_where_they_are_wrong(
    type: str, data: Any, where: str, message: str | None, autojump_clock: Any
) -> None:
    """And change nothing: the connection goes on as it was."""
    async with open_page() as (_server, page):
        await page.next("welcome")
        await page.say(type, **data)
        error = (await page.next())["data"]
        assert error["field"] == where
        assert message is None or error["message"] == message
        await page.say("heartbeat")
        assert (await page.next())["type"] == "heartbeat_ack"


async def test_too_many_streams_are_refused_in_the_words_of_the_page(autojump_clock: Any) -> None:
    async with open_page() as (server, page):
        names = [f"s{number}" for number in range(130)]
        for name in names:
            server.hub.metrics.declare(name)
        await page.next("welcome")
        await page.say("subscribe", streams=names)
        error = (await page.next())["data"]
        assert error["field"] == "data.streams"
        assert error["message"] == "data.streams: 131 subscriptions exceed channels_per_connection=128"


async def test_request_with_an_id_is_always_answered(autojump_clock: Any) -> None:
    async with open_test_server() as server:
        client = await server.connect("/dashboard/ws")
        for type, data, reply in (
            ("subscribe", {"streams": ["alert_events", "alert_events"]}, "subscribed"),
            ("set_filters", {"filters": {}}, "filters_set"),
            ("unsubscribe", {"streams": ["alert_events"]}, "unsubscribed"),
        ):
            answer = await client.request(type, data)
            assert (answer["type"], answer["data"]) == (reply, {"streams": ["alert_events"]})


async def test_streams_are_those_that_the_client_may_read(autojump_clock: Any) -> None:
    """Before it has said who it is, it is told none; and of what it may not read, nothing."""
    settings = Settings(
        authentication=KEYS, namespaces={"alerts": Namespace(read_roles=frozenset({"ops"}))}
    )
    async with open_test_server(settings) as server:
        hub: Any = server.hub
        hub.metrics.restrict("cost", ["finance"])
        token = jwt.encode({"sub": "u1", "exp": hub.clock() + 60, "roles": ["ops"]}, SECRET)
        client = await server.connect("/dashboard/ws")
        assert client.welcome["availableStreams"] == []
        assert client.welcome["authentication"] == "required"
        await client.send("subscribe", {"streams": ["cpu"]})
        assert (await client.expect("error"))["data"]["code"] == "access.authentication_required"
        assert (await client.request("auth", {"token": token}))["type"] == "auth_success"
        names = (await client.request("get_dashboard_data"))["data"]["availableStreams"]
        assert "alert_events" in names
        assert "cost" not in names
        reply = await client.request("subscribe", {"streams": ["cost"]})
        assert reply["data"]["message"] == "data.streams[0]: not one of availableStreams"
        other = await server.connect("/dashboard/ws", token=token)
        assert other.welcome["availableStreams"] == names


async def test_a_hundred_dashboards_are_served_and_no_more(autojump_clock: Any) -> None:
    """The others find room elsewhere, and are told when to come back."""
    async with open_test_server() as server:
        for _ in range(100):
            await server.connect("/dashboard/ws", subprotocols=())
        with pytest.raises(HandshakeRefused) as refused:
            await server.connect("/dashboard/ws")
        assert (refused.value.status, "retry-after" in dict(refused.value.headers)) == (503, True)
        await server.connect("/ws")
        assert server.server.statistics().dialects["dashboard"] == EndpointFigures(connections=100, maximum=100)
        assert server.server.statistics().dialects["rtcore"].connections == 1


async def test_dashboards_of_several_endpoints_are_counted_together(autojump_clock: Any) -> None:
    """Also at an endpoint that has no maximum of its own; there is never room for more than the whole server has."""
    profiles = {"wall": ProfileSettings(path="/wall", dialect="dashboard")}
    async with open_test_server(Settings(profiles=profiles, limits=Limits(connections=150))) as server:
        client = await server.connect("/wall", subprotocols=())
        await server.connect("/dashboard/ws", subprotocols=())
        assert server.server.statistics().dialects["dashboard"] == EndpointFigures(connections=2, maximum=150)
        await client.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.server.statistics().dialects["dashboard"].connections == 1


async def test_dashboards_are_compressed_where_they_ask_for_it(autojump_clock: Any) -> None:
    async with open_test_server() as server:
        client = await server.connect("/dashboard/ws", compression=True)
        assert "permessage-deflate" in client.headers["sec-websocket-extensions"]
        server.hub.metrics.publish("orders", {"text": "x" * 1000})  # type: ignore[attr-defined]  # the kit's hub
        await client.send("subscribe", {"streams": ["orders"]})
        assert (await client.expect("stream_update"))["data"]["data"] == {"text": "x" * 1000}


async def test_dashboards_may_have_a_server_of_their_own(autojump_clock: Any) -> None:
    """As in docs/features/metrics.md: one hub, the application's server, and one whose root is the dashboard's."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as application:
        own = Settings(port=9090, profiles={"dashboard": ProfileSettings(path="/")})
        async with open_test_server(own, hub=hub) as dashboards:
            page = await dashboards.connect("/")
            writer = await application.connect()
            await page.send("subscribe", {"streams": ["websocket"]})
            assert (await page.expect("stream_update"))["data"]["data"]["servers"] == 2
            assert (await writer.request("heartbeat"))["type"] == "heartbeat"


async def test_page_of_system_e_begins_with_what_it_shows(autojump_clock: Any) -> None:
    """`/ws/metrics`: the machine, agents, costs, activity, and which streams of its own the application has."""
    async with open_test_server() as server:
        server.hub.metrics.declare("orders", clients=True)  # type: ignore[attr-defined]  # the kit's hub
        client = await server.connect("/ws/metrics")
        begun: dict[str, Any] = {}
        while len(begun) < 8:
            message = await client.receive()
            if message["type"] == "subscribed":
                begun |= message["data"]["channels"]
        assert set(begun) == {
            "streams",
            *(
                f"streams:{name}"
                for name in ("cpu", "memory", "disk", "network", "agent_performance", "cost", "user_activity")
            ),
        }
        assert "orders" in [each["stream"] for each in begun["streams"]["snapshot"]["streams"]]
        reply = await client.request("metrics.publish", {"stream": "orders", "data": {"count": 1}})
        assert (reply["type"], reply["data"]) == ("metrics.published", {"stream": "orders"})
        reply = await client.request("metrics.data")
        assert (reply["type"], reply["data"]["streams"]["orders"]["data"]) == ("metrics.data", {"count": 1})
