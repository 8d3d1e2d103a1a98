"""How tests of queues speak with a server."""

from __future__ import annotations

from typing import Any

import rtcore
from rtcore.testing import TestClient

__all__ = ["ALL", "ask", "refusal"]

ALL = rtcore.Settings(anonymous_roles=frozenset({"publisher", "worker", "admin"}))
"""Everybody may do everything."""


async def ask(client: TestClient, type: str, **data: Any) -> Any:
    """The data of the reply."""
    reply = await client.request(type, data)
    return reply["data"]


async def refusal(client: TestClient, type: str, data: object) -> tuple[str, str]:
    """Code and message of the error that is the answer."""
    await client.send(type, data, id=1)
    error = (await client.expect("error"))["data"]
    return error["code"], error["message"]
