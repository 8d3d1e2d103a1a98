"""Pages are bounded in bytes as in numbers: what is read in parts is whole in the end."""

from __future__ import annotations

from typing import Any

import rtcore
from rtcore.protocol.json_codec import json_dumps
from tests.features.notifications.conftest import OpenTeam

LIMIT = 64 * 1024


async def _fill(hub: rtcore.ApplicationHub, size: int) -> list[str]:
    """Ids of what is sent in turn to a user and to the workspace, the newest first."""
    sent = []
    for number in range(20):
        user = "ann" if number % 2 else None
        sent.append(await hub.notifications.send(workspace="acme", user=user, title="t", data="x" * size))
    return [each.id for each in reversed(sent)]


async def test_page_ends_where_a_reply_is_full_and_the_next_goes_on(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team(limits=rtcore.Limits(replay_bytes=LIMIT)) as team:
        ids = await _fill(team.hub, 10_000)
        ann, found, after = await team.connect("ann"), [], None
        for _ in range(len(ids)):
            page = (await ann.request("notification.list", {} if after is None else {"after": after}))["data"]
            assert len(json_dumps(page["notifications"])) <= LIMIT
            shown = [each["id"] for each in page["notifications"]]
            found += shown
            after = shown[-1]
            if not page["more"]:
                break
            assert len(shown) == 6, "as many as there is room for"
        assert found == ids


async def test_state_of_both_channels_is_one_reply(autojump_clock: Any, open_team: OpenTeam) -> None:
    """A page of an application subscribes to both at once."""
    async with open_team(limits=rtcore.Limits(replay_bytes=LIMIT)) as team:
        ids = await _fill(team.hub, 10_000)
        _, own, board = await team.visit("ann")
        assert len(json_dumps([own["notifications"], board["notifications"]])) <= LIMIT
        for state, of in ((own, ids[::2]), (board, ids[1::2])):
            assert [each["id"] for each in state["notifications"]] == of[:3]
            assert (state["more"], state["unread"]) == (True, 10)


async def test_page_has_one_however_large(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team(limits=rtcore.Limits(replay_bytes=1024)) as team:
        ids = await _fill(team.hub, 3000)
        ann, own, _ = await team.visit("ann")
        assert [each["id"] for each in own["notifications"]] == ids[:1]
        page = (await ann.request("notification.list", {"after": ids[0]}))["data"]
        assert ([each["id"] for each in page["notifications"]], page["more"]) == (ids[1:2], True)
