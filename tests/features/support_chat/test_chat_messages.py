"""Messages of a session: each once, however often it is reported, and read a page at a time."""

from __future__ import annotations

from typing import Any

import pytest

import rtcore
from rtcore.errors import ErrorCode
from rtcore.features.settings import FeatureSettings
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.protocol.json_codec import json_dumps
from rtcore.testing import open_test_hub, open_test_server

PATH = "/api/v1/admin/chat-dashboard/ws"


async def test_message_that_is_reported_again_is_that_message() -> None:
    """Who had no answer reports again: nobody sees it twice, and it counts once."""
    async with open_test_hub() as hub:
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        first = desk.message("s1", "m1", sender="carol", text="hello")
        desk.message_status("s1", "m1", "read")
        before = len(hub.history(desk.channel).events)
        again = desk.message("s1", "m1", sender="carol", text="hello")
        assert again == {**first, "status": "read"}
        assert len(hub.history(desk.channel).events) == before
        assert (desk.state.sessions["s1"].unread, desk.state.analytics.kinds.total()) == (1, 1)
        desk.end_session("s1")
        assert desk.message("s1", "m1", sender="carol", text="hello") == again, "also when the session has ended since"


@pytest.mark.parametrize("other", [{"text": "bye"}, {"sender": "dave"}, {"kind": "image"}, {"from_agent": True}])
async def test_another_message_of_the_same_id_is_refused(other: dict[str, Any]) -> None:
    async with open_test_hub() as hub:
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        desk.message("s1", "m1", sender="carol", text="hello")
        with pytest.raises(rtcore.RequestError) as caught:
            desk.message("s1", "m1", **{"sender": "carol", "text": "hello", **other})
        assert (caught.value.code, caught.value.message, caught.value.field) == (
            ErrorCode.CONFLICT,
            'message_id: there is another message "m1" already',
            "message_id",
        )
        assert [message.text for message in desk.state.sessions["s1"].messages.values()] == ["hello"]


async def test_status_of_the_last_message_changes_its_session(autojump_clock: Any) -> None:
    """A list of sessions shows whether the last message was read; that of older ones it does not show."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        for name in ("m1", "m2"):
            desk.message("s1", name, sender="carol")
        for _ in range(6):  # the session, the queue, and twice a message and its session
            await client.receive()
        desk.message_status("s1", "m1", "read")
        desk.message_status("s1", "m2", "failed")
        for message in ("m1", "m2"):
            assert (await client.expect("message_updated"))["data"]["message"]["messageId"] == message
        (session,) = (await client.expect("session_update"))["data"]
        assert session["lastMessage"]["status"] == "failed"


async def test_session_is_told_a_page_of_messages_at_a_time(autojump_clock: Any) -> None:
    features = FeatureSettings(support_chat=SupportChatSettings(page_messages=3, messages=7))
    async with open_test_hub(features=features) as hub, open_test_server(hub=hub) as server:
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        for number in range(8):
            desk.message("s1", f"m{number}", sender="carol")
        client = await server.connect(PATH, subprotocols=())
        pages, before = [], None
        while True:
            await client.send("request_session_update", {"sessionId": "s1", "before": before})
            (session,) = (await client.expect("session_update"))["data"]
            pages.append([message["messageId"] for message in session["messages"]])
            if not session["more"]:
                break
            before = session["messages"][0]["messageId"]
        assert pages == [["m5", "m6", "m7"], ["m2", "m3", "m4"], ["m1"]]
        await client.send("request_session_update", {"sessionId": "s1", "limit": 1})
        (session,) = (await client.expect("session_update"))["data"]
        assert ([message["messageId"] for message in session["messages"]], session["more"]) == (["m7"], True)
        await client.send("request_session_update", {"sessionId": "s1", "before": "m0"})
        assert (await client.expect("error"))["data"]["message"] == "data.before: no such message is kept"


async def test_page_of_messages_is_bounded_in_bytes(autojump_clock: Any) -> None:
    """A hundred messages of ten thousand characters were four megabytes."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        for number in range(100):
            desk.message("s1", f"m{number}", sender="carol", text="\U0001f600" * 10_000)
        client = await server.connect(PATH, subprotocols=())
        await client.send("request_session_update", {"sessionId": "s1"})
        (session,) = (await client.expect("session_update"))["data"]
        assert len(json_dumps(session["messages"])) <= 262_144 + len(session["messages"]) + 1
        assert ([message["messageId"] for message in session["messages"]][-1], session["more"]) == ("m99", True)


async def test_message_that_is_larger_than_a_page_is_one(autojump_clock: Any) -> None:
    """Otherwise nobody could read on before it."""
    features = FeatureSettings(support_chat=SupportChatSettings(page_bytes=10))
    async with open_test_hub(features=features) as hub, open_test_server(hub=hub) as server:
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="carol")
        desk.message("s1", "m1", sender="carol", text="x" * 100)
        client = await server.connect(PATH, subprotocols=())
        await client.send("request_session_update", {"sessionId": "s1"})
        (session,) = (await client.expect("session_update"))["data"]
        assert (len(session["messages"]), session["more"]) == (1, False)
