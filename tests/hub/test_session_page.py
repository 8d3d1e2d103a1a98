"""What the server sends has the keys that docs/protocol.md shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```json server\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = {message["type"]: message for message in map(json.loads, reversed(BLOCKS))}  # of a type shown twice, the first

MAPS = {"positions", "channels", "types"}  # objects whose keys are names, not fields


def keys(value: Any, name: str = "") -> Any:
    """The structure of a message: its keys, and those of objects and first items below."""
    if isinstance(value, dict) and name in MAPS:
        return [keys(next(iter(value.values()), None))]
    if isinstance(value, dict):
        optional = {"id", "key", "conflated", "reason"}
        return {key: keys(part, key) for key, part in value.items() if key not in optional and key != "message"}
    return None


async def conversation(client: Any, tokens: Any) -> dict[str, Any]:
    """One of each message that the server can send."""
    seen: dict[str, Any] = {}

    async def hear(messages: list[dict[str, Any]]) -> None:
        seen.update((message["type"], message) for message in messages)

    client.session.start()
    await hear(client.received())
    await hear(await client.say("auth", {"token": "one"}, id=1))
    await hear(await client.say("refresh", {"token": "two"}, id=1))
    await hear(await client.say("subscribe", {"channels": ["tasks"]}, id=1))
    await hear(await client.say("publish", {"channel": "tasks", "type": "task.progress", "data": None}, id=1))
    await hear(await client.say("set_filters", {}, id=1))
    await hear(await client.say("replay", {"channel": "tasks"}, id=1))
    await hear(await client.say("history", {"channel": "empty"}, id=1))
    await hear(await client.say("heartbeat", id=1))
    await hear(await client.say("ack", {"positions": {"tasks": seen["published"]["data"]["position"]}}, id=1))
    await hear(await client.say("nonsense", id=1))
    client.subscriber.taking = False
    for number in range(4):
        client.hub.publish("tasks", "tool.output", number)
        client.hub.broadcaster.flush()
    client.subscriber.taking = True
    client.hub.broadcaster.mark(client.subscriber)
    await hear(client.received())
    await hear(await client.say("subscribe", {"channels": ["tasks"], "since": {"last": 2}, "batch": True}))
    await hear(await client.say("unsubscribe", {"channels": ["tasks"]}, id=1))
    return seen


async def test_messages_have_the_keys_that_the_page_shows(talk: Any, tokens: Any) -> None:
    identity = Identity(user="u1", workspace="w1", roles={"publisher"}, expires_at=2e9)
    client = talk(limits=Limits(lag_events=2), identity=None, authenticator=tokens(one=identity, two=identity))
    seen = await conversation(client, tokens)
    assert set(SHOWN) - {"tool.output"} <= set(seen)
    for type, shown in SHOWN.items():
        sent = seen[type]
        if type == "task.progress":  # the data of an event is its publisher's
            sent, shown = {**sent, "data": 0}, {**shown, "data": 0}
        if type in ("replayed", "batch"):
            sent["data"]["events"] = shown["data"]["events"] = []
        assert keys(sent) == keys(shown), type
