"""Who has a channel of his own, and who has none."""

from __future__ import annotations

from typing import Any

from tests.features.notifications.conftest import OpenTeam, refusal


async def test_what_a_user_without_channel_does_is_not_told_to_another(
    autojump_clock: Any, open_team: OpenTeam
) -> None:
    """Who has too long a name for a channel of his own sends and reads without one."""
    async with open_team() as team:
        ann = await team.connect("ann")
        await ann.request("subscribe", {"channels": ["notifications:acme:ann", "notifications:acme:ann:x"]})
        long = "ann:" * 60
        other = await team.connect(long, "publisher")
        code, message = await refusal(other, "notification.send", {"user": "bob", "title": "t", "receipts": True})
        assert (code, message[:14]) == ("request.malformed", "data.receipts:")
        sent = (await other.request("notification.send", {"user": "bob", "title": "t"}))["data"]
        assert "sender" not in sent
        wide = await team.hub.notifications.send(workspace="acme", title="all")
        assert (await refusal(other, "notification.read", {"ids": [wide.id]}))[0] == "access.denied"
        await team.hub.notifications.read(long, wide.id, workspace="acme")
        await ann.receive_nothing()


async def test_channel_below_a_users_own_is_nobody_elses_inbox(autojump_clock: Any, open_team: OpenTeam) -> None:
    """`notifications:acme:ann:x` is below ann's channel, and so in her scope: that of a user `ann:x` is another."""
    async with open_team() as team:
        ann = await team.connect("ann")
        below = "notifications:acme:ann:x"
        reply = await ann.request("subscribe", {"channels": [below]})
        assert reply["data"]["channels"][below].get("snapshot") is None
        other, _, _ = await team.visit("ann:x")
        sent = await team.hub.notifications.send(user="ann:x", workspace="acme", title="for you alone")
        assert (await other.expect("notification"))["data"]["user"] == "ann:x"
        assert (await other.request("notification.read", {"ids": [sent.id]}))["data"]["unread"] == 0
        await ann.receive_nothing()


async def test_workspace_without_channel_has_no_inboxes(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        client = await team.connect("x", workspace="acme:" * 50)
        assert (await refusal(client, "notification.read", {"up_to": "a"}))[0] == "access.denied"
