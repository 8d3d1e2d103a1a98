"""`connection.connected` and `connection.disconnected`: for administrators, and whoever the settings name."""

from __future__ import annotations

from typing import Any

import jwt

from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import open_test_server
from rtcore.values.channels import Namespace

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})


async def test_events_say_which_connection_and_whose_it_is(autojump_clock: Any) -> None:
    """The id is that of the client's own `welcome`; who authenticates late is known when it goes."""
    async with open_test_server(Settings(authentication=KEYS)) as server:
        tokens = {
            role: jwt.encode({"sub": role, "exp": server.hub.clock() + 60, "roles": [role]}, SECRET)
            for role in ("admin", "viewer")
        }
        watching = await server.connect(token=tokens["admin"])
        await watching.request("subscribe", {"channels": ["connections"]})
        early = await server.connect(token=tokens["viewer"])
        came = (await watching.expect("connection.connected"))["data"]
        assert came == {"connection_id": early.welcome["connection_id"], "user_id": "viewer"}
        late = await server.connect()
        came = (await watching.expect("connection.connected"))["data"]
        assert came == {"connection_id": late.welcome["connection_id"]}
        await late.request("auth", {"token": tokens["viewer"]})
        await late.close()
        assert (await watching.expect("connection.disconnected"))["data"] == came | {"user_id": "viewer"}
        refused = await early.request("subscribe", {"channels": ["connections"]})
        assert refused["data"]["code"] == "access.denied"


async def test_others_read_them_where_the_namespace_says_so_and_nobody_writes_them(autojump_clock: Any) -> None:
    """The one option that is set leaves the others as they were."""
    readable = Namespace(read_roles=frozenset({"publisher"}))
    async with open_test_server(Settings(namespaces={"connections": readable})) as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["connections"]})
        await server.connect()
        assert (await client.expect("connection.connected"))["channel"] == "connections"
        forged = {"channel": "connections", "type": "connection.connected", "data": {}}
        assert (await client.request("publish", forged))["data"]["code"] == "access.denied"
