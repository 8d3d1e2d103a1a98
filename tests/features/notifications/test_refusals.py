"""What clients and code ask for that would not be what they get: ids that are none, pages, and ends of progress."""

from __future__ import annotations

from typing import Any

import pytest

import rtcore
from rtcore.values.shown import show
from tests.features.notifications.conftest import OpenTeam, refusal


async def test_reading_up_to_what_is_no_id_reads_nothing(autojump_clock: Any, open_team: OpenTeam) -> None:
    """Ids are compared as text: whatever sorts high would read all there is, and what comes yet."""
    async with open_team() as team:
        client, _, _ = await team.visit("ann")
        sent = await team.hub.notifications.send(user="ann", workspace="acme", title="1")
        for type, field, refused in (
            ("notification.read", "up_to", "No such"),
            ("notification.list", "after", "No such"),
            ("notification.read", "up_to", sent.id.upper() + "x"),
        ):
            code, message = await refusal(client, type, {field: refused})
            assert code == "request.malformed"
            assert message == f'data.{field}: expected the id of a notification, got "{refused}"'
            beyond = f"{int(sent.id[:12], 16) + 1:012x}-00000000"
            code, message = await refusal(client, type, {field: beyond})
            assert code == "request.not_found"
            assert message == f'data.{field}: no notification so far has the id "{beyond}"'
        for type in ("notification.read", "notification.dismiss"):
            assert (await refusal(client, type, {"ids": [sent.id, "x"]}))[1].startswith("data.ids[1]: expected the id")
        assert await team.hub.notifications.unread("ann", workspace="acme") == 1
        with pytest.raises(rtcore.RequestError, match="expected either ids or up_to"):
            await team.hub.notifications.read("ann", sent.id, up_to=sent.id, workspace="acme")
        await team.hub.notifications.send(workspace="acme", title="2")
        await client.request("notification.read", {"up_to": sent.id})
        assert await team.hub.notifications.unread("ann", workspace="acme") == 1


async def test_id_that_was_forgotten_is_a_place_yet(autojump_clock: Any, open_team: OpenTeam) -> None:
    """A reader may page, and say what he has read, while what his page showed goes."""
    async with open_team() as team:
        client = await team.connect("ann")
        sent = [await team.hub.notifications.send(user="ann", workspace="acme", title=str(n)) for n in range(3)]
        await team.hub.notifications.withdraw(sent[1].id)
        page = (await client.request("notification.list", {"after": sent[1].id}))["data"]
        assert [each["id"] for each in page["notifications"]] == [sent[0].id]
        last = (await client.request("notification.list", {"after": sent[0].id}))["data"]
        assert (last["notifications"], last["more"]) == ([], False)
        marked = (await client.request("notification.read", {"up_to": sent[1].id}))["data"]
        assert (marked["ids"], marked["unread"]) == ([sent[0].id], 1)


async def test_page_is_never_shorter_than_was_asked_without_a_word(autojump_clock: Any, open_team: OpenTeam) -> None:
    """Who asks for more than a page holds must hear how much it holds."""
    async with open_team(page_notifications=3) as team:
        client = await team.connect("ann")
        for number in range(4):
            await team.hub.notifications.send(user="ann", workspace="acme", title=str(number))
        for limit in (4, 1000, 0, -1):
            code, message = await refusal(client, "notification.list", {"limit": limit})
            expected = f"data.limit: expected a whole number from 1 to page_notifications=3, got {limit}"
            assert (code, message) == ("request.malformed", expected)
        page = (await client.request("notification.list", {"limit": 3}))["data"]
        assert (len(page["notifications"]), page["more"]) == (3, True)


async def test_end_of_progress_stands(autojump_clock: Any, open_team: OpenTeam) -> None:
    """Whoever has seen the end may have acted on it; told twice by a sender who lost the reply, it is the same end."""
    async with open_team() as team:
        sender = await team.connect("bot", "publisher")
        for end in ("completed", "failed", "cancelled"):
            sent = await sender.request("notification.send", {"title": "t", "user": "ann", "progress": 10})
            id = sent["data"]["id"]
            update = {"id": id, "progress": 100, "status": end}
            for _ in range(2):
                changed = await sender.request("notification.update", update)
                assert changed["data"]["progress"] == {"value": 100, "status": end}
            for change, field in (({"status": "running", "progress": 10}, "status"), ({"progress": 10}, "progress")):
                assert await refusal(sender, "notification.update", {"id": id, **change}) == (
                    "request.conflict",
                    f"data.{field}: the progress has ended as {end} at 100, and cannot become "
                    f"{change.get('status', end)} at 10",
                )
            after = await sender.request("notification.update", {"id": id, "body": "done", "level": "success"})
            assert after["data"]["progress"] == {"value": 100, "status": end}, "text is another matter"


async def test_token_of_a_workspace_too_long_for_a_channel_is_told_so(autojump_clock: Any, open_team: OpenTeam) -> None:
    """Not to mend a field that the client has not sent, and may not."""
    async with open_team() as team:
        sender = await team.connect("bot", "publisher", workspace="w" * 245)
        code, message = await refusal(sender, "notification.send", {"title": "t", "user": "ann"})
        assert code == "access.denied"
        assert message == (
            f"no channel of notifications can be named after the workspace {show('w' * 245)}: "
            "channel name of 263 characters exceeds the limit of 255"
        )


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("read", {"user": 5}, "user: expected text, got 5"),
        ("unread", {"user": None}, "user: expected text, got null"),
        ("unread", {"user": "ann", "workspace": ["acme"]}, "workspace: expected text, got an array"),
        ("update", {"progress": "half"}, 'progress: expected a number from 0 to 100, got "half"'),
        ("update", {"progress": 101}, "progress: expected a number from 0 to 100, got 101"),
        ("update", {"status": "over"}, 'status: expected one of running, completed, failed, cancelled, got "over"'),
        ("update", {"title": "x" * 201}, "title: expected 1 to title_length=200 characters, got 201"),
    ],
)
async def test_code_is_told_which_argument_is_not_acceptable(
    call: str, arguments: dict[str, Any], message: str, autojump_clock: Any, open_team: OpenTeam
) -> None:
    """As a client is, and not by whatever breaks further down."""
    async with open_team() as team:
        if call == "update":
            arguments = {**arguments, "id": (await team.hub.notifications.send(user="ann", title="t")).id}
        with pytest.raises(rtcore.RequestError) as caught:
            await getattr(team.hub.notifications, call)(**arguments)
        assert (str(caught.value.message), caught.value.field) == (message, message.partition(":")[0])


async def test_bounds_are_settings(autojump_clock: Any, open_team: OpenTeam) -> None:
    bounds = {"title_length": 300, "body_length": 5, "actions": 6, "escalation_steps": 0, "kept_seconds": 10.0**8}
    async with open_team(**bounds) as team:
        sender = await team.connect("bot", "publisher")
        actions = [{"id": str(number), "label": "X"} for number in range(6)]
        fitting = {"user": "ann", "title": "x" * 300, "body": "12345", "actions": actions, "expires_after": 10**8}
        assert (await sender.request("notification.send", fitting))["type"] == "notification.sent"
        for more, message in (
            ({"body": "123456"}, "data.body: expected 1 to body_length=5 characters, got 6"),
            ({"escalate": [{"user": "bob", "after": 1}]}, "data.escalate: expected at most escalation_steps=0, got 1"),
        ):
            assert (await refusal(sender, "notification.send", fitting | more))[1] == message


async def test_end_told_by_somebody_else_stands_and_is_no_fault_of_the_block(
    autojump_clock: Any, open_team: OpenTeam
) -> None:
    """An administrator who ends a progress by hand must not bring down the program that tells it."""
    async with open_team() as team, team.hub.notifications.progress(user="ann", title="Import") as progress:
        await team.hub.notifications.update(progress.id, progress=40, status="failed")
        progress.update(50)
    shown = (await team.hub.notifications.get(progress.id)).notification.progress
    assert shown is not None
    assert (shown.value, shown.status) == (40, "failed")


async def test_interrupted_progress_goes_on_with_whoever_takes_it_up(autojump_clock: Any, open_team: OpenTeam) -> None:
    """It is not that of the process that was interrupted any more, so the next restart does not interrupt it again."""
    store = rtcore.MemoryStore()
    async with open_team(store) as team:
        progress = team.hub.notifications.progress(user="ann", title="Import")
        await progress.__aenter__()  # and its process ends
    async with open_team(store) as team:
        taken_up = await team.hub.notifications.get(progress.id)
        assert taken_up.notification.progress is not None
        assert taken_up.notification.progress.status == "interrupted"
        await team.hub.notifications.update(progress.id, progress=50, status="running")
    async with open_team(store) as team:
        shown = (await team.hub.notifications.get(progress.id)).notification.progress
        assert shown is not None
        assert (shown.value, shown.status) == (50, "running")
