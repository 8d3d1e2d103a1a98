"""What a client may not say about presence and typing, and the exact words that it gets."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from rtcore.values.shown import show

NAME = "data.conversation: expected 1 to 128 letters, digits, '_', '.', ':', '~' or '-', got "
STATUS = "data.status: expected one of online, away, offline, got "
ACTIVITY = 'data.activity: expected one of viewing, editing, commenting, none, got ""'
WITHOUT = "data.name: the token says who you are; a name is for clients without one"
LIMIT = "data.limit: expected 1 to list_users_maximum=1000, got"
MALFORMED, TOO_LARGE = "request.malformed", "limit.too_large"
REFUSED: list[tuple[str, Any, str, str]] = [
    ("presence.join", [], MALFORMED, "data: expected an object, got an array"),
    ("presence.join", {"status": "busy"}, MALFORMED, f'{STATUS}"busy"'),
    ("presence.join", {"status": 1}, MALFORMED, f"{STATUS}1"),
    ("presence.join", {"activity": ""}, MALFORMED, ACTIVITY),
    ("presence.join", {"page": 7}, MALFORMED, "data.page: expected text, got a number"),
    ("presence.join", {"page": "x" * 256}, TOO_LARGE, "data.page: expected 0 to 255 characters, got 256"),
    ("presence.join", {"name": "Ann"}, MALFORMED, WITHOUT),
    ("presence.join", {"user": "x"}, MALFORMED, "data.user: unknown field"),
    ("presence.join", {"workspace": "w2"}, MALFORMED, "data.workspace: unknown field"),
    ("presence.update", {"status": "gone"}, MALFORMED, f'{STATUS}"gone"'),
    ("presence.update", {"name": "Ann"}, MALFORMED, "data.name: unknown field"),
    ("presence.update", {"page": ["x"]}, MALFORMED, "data.page: expected text, got an array"),
    ("presence.leave", {"x": 1}, MALFORMED, "data.x: unknown field"),
    ("presence.list", {"limit": 0}, MALFORMED, f"{LIMIT} 0"),
    ("presence.list", {"limit": 1001}, MALFORMED, f"{LIMIT} 1001"),
    ("presence.list", {"limit": 1.0}, MALFORMED, "data.limit: expected a whole number, got 1.0"),
    ("presence.list", {"after": ""}, MALFORMED, "data.after: expected 1 to 261 characters, got 0"),
    ("presence.list", {"workspace": "w2"}, MALFORMED, "data.workspace: unknown field"),
    ("typing.start", {}, MALFORMED, "data.conversation: missing"),
    ("typing.start", {"conversation": ""}, MALFORMED, "data.conversation: expected 1 to 128 characters, got 0"),
    (
        "typing.start",
        {"conversation": "c" * 129},
        TOO_LARGE,
        "data.conversation: expected 1 to 128 characters, got 129",
    ),
    ("typing.start", {"conversation": "a b"}, MALFORMED, f'{NAME}"a b"'),
    ("typing.start", {"conversation": "ä"}, MALFORMED, f'{NAME}"ä"'),
    ("typing.start", {"conversation": "c\n"}, MALFORMED, f'{NAME}"c\\n"'),
    ("typing.stop", {"conversation": "a/b"}, MALFORMED, f'{NAME}"a/b"'),
    ("typing.stop", {"conversation": "c", "user": "x"}, MALFORMED, "data.user: unknown field"),
]


async def test_client_is_told_what_is_wrong_and_nothing_has_changed(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann = await there.member("ann")
        for type, data, code, message in REFUSED:
            reply = await ann.request(type, data)
            assert reply["type"] == "error", (type, data)
            told = reply["data"]
            expected = (code, message, message.partition(":")[0])
            assert (told["code"], told["message"], told["field"]) == expected, (type, data)
        presence, typing = there.hub.presence.statistics(), there.hub.typing.statistics()
        assert (presence.users, typing.users) == (0, 0)


@pytest.mark.parametrize("type", ["presence.join", "presence.update", "presence.list", "typing.start"])
@pytest.mark.parametrize(
    ("user", "workspace", "code", "message"),
    [
        ("ann", None, "access.denied", "{feature} needs a workspace, and the token names none"),
        (
            "ann",
            "ä" * 250,
            "access.denied",
            "no channel of {feature} can be named after the workspace {workspace}: channel name of {length} "
            "characters exceeds the limit of 255",
        ),
    ],
)
async def test_who_has_no_workspace_that_channels_are_named_after_is_told_so(
    autojump_clock: Any, open_workspaces: Any, type: str, user: str, workspace: str | None, code: str, message: str
) -> None:
    async with open_workspaces() as there:
        client = await there.member(user, workspace)
        told = (await client.request(type, {"conversation": "c"} if type == "typing.start" else {}))["data"]
        feature = type.partition(".")[0]
        assert (told["code"], told["message"]) == (code, message.format(
            feature=feature, length=len(feature) + 1501, workspace=show(workspace)
        ))


async def test_nobody_passes_for_a_guest_nor_a_guest_for_another_kind(
    autojump_clock: Any, open_workspaces: Any
) -> None:
    async with open_workspaces() as there:
        client = await there.member("guest:Ann")
        told = (await client.request("presence.join"))["data"]
        assert (told["code"], told["message"]) == (
            "access.denied",
            "a user called guest:... cannot be told from a guest",
        )
    async with open_workspaces(guests=False) as there:
        client = await there.member("guest:Ann")
        assert (await client.request("presence.join"))["data"]["user_id"] == "guest:Ann"
    async with open_workspaces(tokens=False) as there:
        client = await there.server.connect()
        for name in ("\n", "a\u202eb", " "):
            told = (await client.request("presence.join", {"name": name}))["data"]
            assert (told["code"], told["message"]) == (
                "request.malformed",
                f"data.name: expected printable characters, got {json.dumps(name)}",
            )
        told = (await client.request("presence.join", {"name": "x" * 65}))["data"]
        assert told["message"] == "data.name: expected 1 to 64 characters, got 65"
    async with open_workspaces(tokens=False, guests=False) as there:
        client = await there.server.connect()
        told = (await client.request("presence.join", {"name": "Ann"}))["data"]
        assert (told["code"], told["message"]) == (
            "access.authentication_required",
            "presence needs a token that says who you are",
        )


async def test_full_workspace_and_busy_user_are_told_to_come_back(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(users=1, connections_per_user=1) as there:
        first, second, other = await there.member("ann"), await there.member("ann"), await there.member("bob")
        await first.request("presence.join")
        told = (await second.request("presence.join"))["data"]
        assert (told["code"], told["transient"]) == ("limit.busy", True)
        assert told["message"] == "the user is present through the limit of connections_per_user=1 already"
        told = (await other.request("presence.join"))["data"]
        assert told["message"] == "the workspace holds its limit of users=1"
        assert (await (await there.member("bob", "w2")).request("presence.join"))["type"] == "presence.joined"
        await first.close()
        assert (await second.request("presence.join"))["type"] == "presence.joined", "the place of one that lingers"
        await second.close()
        await trio.sleep(6)
        assert there.names() == [], "what was refused before is no ghost"
