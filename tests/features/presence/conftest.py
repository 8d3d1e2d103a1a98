"""A server with tokens, and members of its workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import jwt
import pytest
from attrs import define

from rtcore.application import ApplicationHub
from rtcore.features.presence.settings import PresenceSettings
from rtcore.features.settings import FeatureSettings
from rtcore.features.typing.settings import TypingSettings
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import START, TestClient, TestServer, open_test_server
from rtcore.values.limits import Limits

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})


@define(eq=False)
class Workspaces:
    """The server, and who comes in."""

    server: TestServer

    @property
    def hub(self) -> ApplicationHub:
        return cast("ApplicationHub", self.server.hub)

    async def member(self, user: str, workspace: str | None = "w1", **more: Any) -> TestClient:
        """A client with a token."""
        return await self.server.connect(token=self.token(user, workspace), **more)

    @staticmethod
    def token(user: str, workspace: str | None = "w1") -> str:
        claims = {"sub": user, "exp": START + 10**7} | ({} if workspace is None else {"workspace": workspace})
        return jwt.encode(claims, SECRET, "HS256")

    def names(self, workspace: str = "w1") -> list[str]:
        """Who is there at this moment."""
        return [each.user for each in self.hub.presence.online(workspace)]


OpenWorkspaces = Callable[..., AbstractAsyncContextManager[Workspaces]]


@pytest.fixture
def open_workspaces() -> OpenWorkspaces:
    """Opens a server; its options are those of `PresenceSettings`, `typing`, `limits`, and `tokens=False` for none."""

    @asynccontextmanager
    async def opened(
        *, typing: TypingSettings | None = None, limits: Limits | None = None, tokens: bool = True, **presence: Any
    ) -> AsyncIterator[Workspaces]:
        settings = Settings(
            authentication=KEYS if tokens else None,
            features=FeatureSettings(presence=PresenceSettings(**presence), typing=typing or TypingSettings()),
            limits=limits or Limits(),
        )
        async with open_test_server(settings) as server:
            yield Workspaces(server)

    return opened
