"""A team on a virtual clock: a hub, its server, and clients with tokens; what is stored outlives them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import jwt
import pytest
from attrs import define

import rtcore
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import TestClient, TestServer, open_test_hub, open_test_server

SECRET = "x" * 32


@define(eq=False)
class Team:
    """A hub, and a server over it that wants tokens."""

    hub: rtcore.ApplicationHub
    server: TestServer

    async def connect(self, user: str, *roles: str, workspace: str = "acme") -> TestClient:
        """A user's connection."""
        claims = {"sub": user, "workspace": workspace, "roles": list(roles), "exp": self.hub.clock() + 10**7}
        return await self.server.connect(token=jwt.encode(claims, SECRET))

    async def visit(self, user: str, *, workspace: str = "acme") -> tuple[TestClient, dict[str, Any], dict[str, Any]]:
        """A connection that has subscribed; with the state of its own notifications, and of those to the workspace."""
        client = await self.connect(user, workspace=workspace)
        of = rtcore.channel_part(workspace)
        own, all_of_it = f"notifications:{of}:{rtcore.channel_part(user)}", f"workspace_notifications:{of}"
        reply = await client.request("subscribe", {"channels": [own, all_of_it]})
        channels = reply["data"]["channels"]
        return client, channels[own]["snapshot"], channels[all_of_it]["snapshot"]


OpenTeam = Callable[..., AbstractAsyncContextManager[Team]]


@asynccontextmanager
async def _open_team(
    store: rtcore.Store | None = None, limits: rtcore.Limits | None = None, **notifications: Any
) -> AsyncGenerator[Team]:
    features = FeatureSettings(notifications=NotificationSettings(**notifications))
    key = rtcore.KeySettings(algorithm="HS256", secret=SECRET)
    settings = rtcore.Settings(
        authentication=rtcore.AuthenticationSettings(keys={"main": key}), limits=limits or rtcore.Limits()
    )
    async with (
        open_test_hub(store=store, features=features, limits=limits) as hub,
        open_test_server(settings, hub=hub) as server,
    ):
        yield Team(hub, server)


@pytest.fixture
def open_team() -> OpenTeam:
    """Opens a team; options are a store, limits, and settings of notifications."""
    return _open_team


async def take(events: rtcore.Subscription, count: int) -> AsyncGenerator[rtcore.Event]:
    """The next events, so many."""
    for _ in range(count):
        yield await events.__anext__()


async def refusal(client: TestClient, type: str, data: object) -> tuple[str, str]:
    """Code and message of the error that a command is answered with."""
    error = await client.request(type, data)
    assert error["type"] == "error", error
    return error["data"]["code"], error["data"]["message"]
