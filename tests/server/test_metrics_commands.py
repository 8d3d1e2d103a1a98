"""`metrics.publish` and `metrics.data`: what clients may push, and how much of it others are sent."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.settings import FeatureSettings
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import open_test_server
from rtcore.values.limits import Limits

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})
FOR_CLIENTS = FeatureSettings(metrics=MetricSettings(client_streams=frozenset({"orders"})))


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ({"stream": "cpu", "data": {}}, "access.denied", "data.stream: not a stream that clients may push to"),
        ({"stream": "alert_events", "data": {}}, "access.denied", None),
        ({"stream": "scaling_status", "data": {}}, "access.denied", None),
        ({"stream": "own", "data": {}}, "access.denied", "data.stream: not a stream that clients may push to"),
        ({"stream": "a:b", "data": {}}, "access.denied", None),
        ({"stream": "", "data": {}}, "request.malformed", "data.stream: expected 1 to 64 characters, got 0"),
        ({"stream": "a", "data": [1]}, "request.malformed", "data.data: expected an object, got an array"),
        ({"stream": "a"}, "request.malformed", "data.data: missing"),
        ({"stream": "b", "data": {}}, "access.denied", "data.stream: not a stream that clients may push to"),
        (
            {"stream": "orders", "data": {"text": "x" * 16 * 1024}},
            "limit.too_large",
            "data.data: sample of 16395 bytes exceeds metric_sample_bytes=16384",
        ),
    ],
)
async def test_samples_that_cannot_be_pushed_are_refused(
    data: Any, code: str, message: str | None, autojump_clock: Any
) -> None:
    """And no stream begins with them."""
    async with open_test_server() as server:
        hub: Any = server.hub
        hub.metrics.declare("own")
        hub.metrics.declare("orders", clients=True)
        client = await server.connect()
        error = (await client.request("metrics.publish", data))["data"]
        assert error["code"] == code
        assert message is None or error["message"] == message
        assert len(hub.metrics.streams()) == 16
        assert hub.metrics.latest("orders") is hub.metrics.latest("own") is None


async def test_reply_with_all_samples_is_bounded(autojump_clock: Any) -> None:
    """What has no room is left out and says so; the others are there, over each way to ask."""
    async with open_test_server(Settings(limits=Limits(metric_data_bytes=20_000))) as server:
        hub: Any = server.hub
        for name in ("zz1", "zz2", "zz3"):
            hub.metrics.declare(name)
        hub.metrics.publish("zz1", {"text": "x" * 10_000})
        hub.metrics.publish("zz2", {"text": "x" * 20_000})
        hub.metrics.publish("zz3", {"text": "x"})
        client = await server.connect()
        dashboard = await server.connect("/dashboard/ws", subprotocols=())
        await dashboard.receive()
        asked = [
            (await client.request("metrics.data"))["data"],
            (await dashboard.request("get_dashboard_data"))["data"],
        ]
        for streams in (each["streams"] for each in asked):
            assert len(streams["zz1"]["data"]["text"]) == 10_000
            assert streams["zz2"]["data"] is None
            expected = "sample of 20011 bytes is left out: the reply has metric_data_bytes=20000"
            assert streams["zz2"]["message"] == expected
            assert streams["zz3"]["data"] == {"text": "x"}


async def test_streams_for_clients_may_be_set(autojump_clock: Any) -> None:
    """A server without code of its own has them, too; the streams of every hub cannot be among them."""
    async with open_test_server(Settings(features=FOR_CLIENTS)) as server:
        client = await server.connect()
        await client.request("metrics.publish", {"stream": "orders", "data": {"count": 1}})
        assert (await client.request("metrics.data"))["data"]["streams"]["orders"]["data"] == {"count": 1}
    with pytest.raises(ValueError, match="not that of a stream that every hub has"):
        MetricSettings(client_streams=frozenset({"cpu"}))


async def test_samples_are_pushed_by_those_with_the_role(autojump_clock: Any) -> None:
    """Workers in other processes and languages."""
    async with open_test_server(Settings(authentication=KEYS)) as server:
        hub: Any = server.hub
        hub.metrics.declare("orders", clients=True)
        tokens = {
            role: jwt.encode({"sub": role, "exp": hub.clock() + 60, "roles": [role]}, SECRET)
            for role in ("publisher", "reader")
        }
        reader = await server.connect(token=tokens["reader"])
        await reader.request("subscribe", {"channels": ["streams:orders"]})
        reply = await reader.request("metrics.publish", {"stream": "orders", "data": {"count": 1}})
        assert reply["data"]["code"] == "access.denied"
        writer = await server.connect(token=tokens["publisher"])
        await writer.request("metrics.publish", {"stream": "orders", "data": {"count": 1}})
        assert (await reader.expect("stream_update"))["data"] == {"stream": "orders", "data": {"count": 1}}
