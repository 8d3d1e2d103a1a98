"""`GET /api/v1/dashboard/stats` and `/data`: metric streams for whoever polls."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity

STATS = "/api/v1/dashboard/stats"
DATA = "/api/v1/dashboard/data"


async def depth() -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"depth": 3}


async def test_data_is_fresh_although_nobody_watches(open_api: Any) -> None:
    """A page that falls back to polling shows the same figures."""
    async with open_api() as api:
        api.hub.metrics.register("queue", depth)
        body = (await api.client.get(DATA)).json()
        assert body["streams"]["queue"] == {
            "data": {"depth": 3},
            "timestamp": "2025-06-15T15:06:40.000Z",
            "state": "idle",
            "message": None,
        }
        assert 0 < body["overview"]["memory_utilization"] <= 1
        assert body["overview"]["health"] == "ok"
        assert body["overview"]["stream_count"] == len(body["availableStreams"]) == len(body["streams"]) == 15
        assert body["streams"]["scaling_status"]["data"] is None


async def test_statistics_say_how_each_stream_is(open_api: Any) -> None:
    async with open_api() as api:

        @api.hub.metrics.register("broken")
        async def broken() -> dict[str, Any]:
            raise OSError("password")

        async with api.hub.subscribe("streams:broken") as events:
            await anext(events)
            body = (await api.client.get(STATS)).json()
        assert body["clients"] == {"connected": 2, "maximum": 100}
        assert (body["health"], body["failing_count"], body["watched_count"], body["running_count"]) == (
            "degraded",
            1,
            1,
            0,
        )
        assert [stream for stream in body["streams"] if stream["stream"] == "broken"] == [
            {
                "stream": "broken",
                "state": "failing",
                "interval_seconds": 5.0,
                "watched": True,
                "samples": 0,
                "failures": 1,
                "sampled_at": None,
                "failing_since": "2025-06-15T15:06:40.000Z",
                "message": "the source failed: OSError",
            }
        ]


async def test_asker_sees_the_streams_that_it_may_read(open_api: Any) -> None:
    people = {"boss": Identity(user="b", roles={"boss"}), "ann": Identity(user="a")}
    async with open_api(identities=people) as api:
        api.hub.metrics.register("secret", depth, roles=["boss"])
        for path in (STATS, DATA):
            seen = {
                name: "secret" in (await api.client.get(path, headers={"Authorization": f"Bearer {name}"})).text
                for name in people
            }
            assert seen == {"boss": True, "ann": False}
            assert (await api.client.get(path)).status_code == 401


async def test_figures_may_be_public(open_api: Any) -> None:
    """As those of the server itself; what is for some roles stays so."""
    async with open_api(identities={}, metrics_public=True) as api:
        api.hub.metrics.register("secret", depth, roles=["boss"])
        body = (await api.client.get(DATA)).json()
        assert "cpu" in body["streams"]
        assert "secret" not in body["streams"]
        document = (await api.client.get("/openapi.json")).json()
        assert document["paths"][DATA]["get"]["security"] == [{"token": []}, {}]


async def test_public_figures_are_those_that_need_no_role(open_api: Any) -> None:
    """Whoever has no token has none of `anonymous_roles` either, where others need one."""
    namespaces = {"streams": Namespace(read_roles={"publisher"})}
    async with open_api(identities={}, metrics_public=True, namespaces=namespaces) as api:
        assert (await api.client.get(DATA)).json()["availableStreams"] == []
        assert (await api.client.get(STATS)).json()["streams"] == []
    async with open_api(namespaces=namespaces) as api:
        assert "cpu" in (await api.client.get(DATA)).json()["availableStreams"]


@pytest.mark.parametrize("path", [STATS, DATA])
@pytest.mark.parametrize(
    ("method", "query", "status", "field"),
    [
        ("GET", "stream=cpu", 400, "stream"),
        ("GET", "x=1&x=2", 400, "x"),
        ("POST", "", 405, None),
        ("DELETE", "", 405, None),
    ],
)
async def test_what_there_is_not_is_refused(
    open_api: Any, path: str, method: str, query: str, status: int, field: str | None
) -> None:
    async with open_api() as api:
        response = await api.client.request(method, f"{path}?{query}")
        assert (response.status_code, response.json()["error"].get("field")) == (status, field)
