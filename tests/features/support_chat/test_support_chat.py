"""A support-chat dashboard, with the message names of its clients: they must work unchanged."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio

import rtcore
from rtcore.application import ApplicationHub
from rtcore.features.settings import FeatureSettings
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.testing import TestClient, TestServer, open_test_hub, open_test_server
from rtcore.values.identity import Identity

PATH = "/api/v1/admin/chat-dashboard/ws"
SECRET = "s" * 40
WITH_TOKENS = rtcore.Settings(
    authentication=rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})
)


def token(hub: ApplicationHub, user: str, **claims: Any) -> str:
    return jwt.encode({"sub": user, "exp": hub.clock() + 3600, **claims}, SECRET)


async def dashboard(server: TestServer, hub: ApplicationHub, user: str = "ann", **claims: Any) -> TestClient:
    """A client that knows nothing of rtcore: no subprotocol, the token in its first message."""
    client = await server.connect(PATH, subprotocols=())
    await client.send("auth", {"token": token(hub, user, **claims)})
    success = await client.expect("auth_success")
    assert success["data"]["user_id"] == user
    return client


def one_session(hub: ApplicationHub, user: str = "ann", session_id: str = "s1") -> rtcore.Desk:
    desk = hub.support_chat.desk(user=user)
    desk.open_session(session_id, customer="carol", subject="refund")
    return desk


# The contract


async def test_requests_are_answered_under_their_names(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        desk = one_session(hub)
        desk.open_session("s2", customer="dave")
        desk.assign("s2", "a1")
        desk.message("s2", "m1", sender="dave", text="hi")
        client = await dashboard(server, hub)
        await client.send("request_session_update", {"sessionId": "s2"})
        (session,) = (await client.expect("session_update"))["data"]
        assert (session["sessionId"], session["status"], session["unread"]) == ("s2", "active", 1)
        assert [each["text"] for each in session["messages"]] == ["hi"]
        await client.send("request_queue_update")
        queue = (await client.expect("queue_updated"))["data"]
        assert [each["sessionId"] for each in queue["waiting_sessions"]] == ["s1"]
        await client.send("request_metrics_update")
        metrics = (await client.expect("metrics_updated"))["data"]
        assert metrics.keys() == {"overview", "satisfactionMetrics", "messageAnalytics"}
        assert (metrics["overview"]["activeSessions"], metrics["overview"]["waitingSessions"]) == (1, 1)
        await client.send("heartbeat")
        assert "timestamp" in (await client.expect("heartbeat"))["data"]


async def test_changes_are_told_at_once(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        desk = one_session(hub)
        client = await dashboard(server, hub)
        desk.open_session("s2", customer="dave")
        told = {message["type"]: message["data"] for message in [await client.receive(), await client.receive()]}
        assert told["session_update"][0]["sessionId"] == "s2"
        assert told["queue_depth_changed"] == {"queue_depth": 2}
        desk.agent_status("a1", "in_call", name="Al")
        assert (await client.expect("agent_status_changed"))["data"] == {
            "desk": desk.channel,
            "agentId": "a1",
            "status": "in_call",
        }
        desk.message("s1", "m1", sender="carol", text="hello", kind="image")
        created = (await client.expect("message_created"))["data"]
        assert (created["sessionId"], created["message"]["text"], created["message"]["type"]) == (
            "s1",
            "hello",
            "image",
        )
        (session,) = (await client.expect("session_update"))["data"]
        assert (session["unread"], session["lastMessage"]["text"]) == (1, "hello"), (
            "a list of sessions keeps itself right"
        )
        desk.typing("s1", "carol")
        assert (await client.expect("typing_indicator"))["data"] == {
            "desk": desk.channel,
            "sessionId": "s1",
            "users": ["carol"],
        }
        began = trio.current_time()
        assert (await client.expect("queue_updated"))["data"]["queue_depth"] == 2, "on schedule, every 5 s"
        assert (await client.expect("typing_indicator"))["data"]["users"] == []
        assert trio.current_time() - began == pytest.approx(6.0), "typing ends by itself"


async def test_figures_come_on_schedule(autojump_clock: Any) -> None:
    """Metrics every 10 s, the queue every 5 s, sessions every 10 s."""
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        one_session(hub).assign("s1", "a1")
        client = await dashboard(server, hub)
        began, heard = trio.current_time(), []
        for _ in range(8):
            message = await client.receive()
            heard.append((round(trio.current_time() - began), message["type"]))
        assert sorted(heard) == [
            (5, "queue_updated"),
            (10, "active_sessions_updated"),
            (10, "metrics_updated"),
            (10, "queue_updated"),
            (15, "queue_updated"),
            (20, "active_sessions_updated"),
            (20, "metrics_updated"),
            (20, "queue_updated"),
        ]


async def test_schedules_can_be_set(autojump_clock: Any) -> None:
    features = FeatureSettings(support_chat=SupportChatSettings(queue_seconds=1.0))
    async with open_test_hub(features=features) as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await dashboard(server, hub)
        began = trio.current_time()
        await client.expect("queue_updated")
        assert trio.current_time() - began == pytest.approx(1.0)


async def test_who_sends_no_token_is_closed_in_time(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        began = trio.current_time()
        await client.receive_close()
        assert trio.current_time() - began == pytest.approx(5.0)


async def test_wrong_token_gets_an_error_and_is_closed(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        await client.send("auth", {"token": "wrong"})
        assert (await client.expect("error"))["data"]["message"]
        assert (await client.receive_close()).code == rtcore.CloseCode.AUTHENTICATION_FAILED


async def test_silence_of_five_minutes_ends_it(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        client = await dashboard(server, hub)
        began = trio.current_time()
        while trio.current_time() - began < 299:
            await client.receive()
        closed = await client.receive_close()
        assert closed.code == rtcore.CloseCode.IDLE_TIMEOUT


# Isolation


async def test_nobody_gets_another_users_data(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        one_session(hub, "ann")
        client = await dashboard(server, hub, "bob", roles=["admin"])
        await client.send("request_session_update", {"sessionId": "s1"}, id=1)
        assert (await client.expect("error"))["data"]["message"] == "data.sessionId: no such session"
        await client.send("request_queue_update")
        assert (await client.expect("queue_updated"))["data"]["waiting_sessions"] == []
        hub.support_chat.desk(user="ann").open_session("s2", customer="c")
        await client.send("subscribe", {"channels": ["user_support_chat:ann"]})
        assert (await client.expect("error"))["data"]["code"] == "access.denied"


async def test_desk_of_a_workspace_is_for_its_people(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        desk = hub.support_chat.desk(workspace="w1")
        desk.open_session("s1", customer="c")
        seen = {
            name: hub.support_chat.queue(identity)["queue_depth"]
            for name, identity in {
                "agent": Identity(user="a", workspace="w1", roles={"agent"}),
                "customer": Identity(user="c", workspace="w1"),
                "stranger": Identity(user="b", workspace="w2", roles={"admin"}),
            }.items()
        }
        assert seen == {"agent": 1, "customer": 0, "stranger": 0}


async def test_dashboard_without_tokens_sees_the_desk_of_all(autojump_clock: Any) -> None:
    """On a developer's machine nobody has a token; there are no errors for what there cannot be."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        hub.support_chat.desk(workspace="default").open_session("s1", customer="c")
        told = {message["type"] for message in [await client.receive(), await client.receive()]}
        assert told == {"session_update", "queue_depth_changed"}


# Bad input


@pytest.mark.parametrize(
    ("type", "data", "message"),
    [
        ("request_session_update", {}, "data.sessionId: missing"),
        ("request_session_update", {"sessionId": 7}, "data.sessionId: expected text, got a number"),
        ("request_session_update", {"sessionId": ""}, "data.sessionId: expected 1 to 200 characters, got 0"),
        ("request_session_update", {"sessionId": "x"}, "data.sessionId: no such session"),
        ("request_session_update", {"sessionId": "x", "id": "x"}, "data.id: unknown field"),
        ("request_queue_update", {"now": True}, "data.now: unknown field"),
        ("request_everything", {}, 'type: no such command: "request_everything"'),
    ],
)
async def test_bad_requests_are_refused(type: str, data: Any, message: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        await client.send(type, data, id=1)
        assert (await client.expect("error"))["data"]["message"] == message


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda desk: desk.open_session("", customer="c"), "session_id: expected 1 to 200 characters, got 0"),
        (lambda desk: desk.open_session("x" * 201, customer="c"), "session_id: expected 1 to 200 characters, got 201"),
        (
            lambda desk: desk.open_session("a/b", customer="c"),
            'session_id: expected an id neither . nor .., without /, \\ and control characters, got "a/b"',
        ),
        (lambda desk: desk.open_session("s", customer=5), "customer: expected 1 to 200 characters, got int"),
        (lambda desk: desk.assign("s1", ""), "agent_id: expected 1 to 200 characters, got 0"),
        (
            lambda desk: desk.message("s1", "m", sender="c", kind="fax"),
            'kind: expected one of text, image, file, audio, video, got "fax"',
        ),
        (
            lambda desk: desk.message("s1", "m", sender="c", status="lost"),
            'status: expected one of sent, delivered, read, failed, got "lost"',
        ),
        (
            lambda desk: desk.message("s1", "m", sender="c", text="x" * 10_001),
            "text: expected 0 to 10000 characters, got 10001",
        ),
        (
            lambda desk: desk.agent_status("a", "asleep"),
            'status: expected one of active, idle, offline, in_call, got "asleep"',
        ),
        (lambda desk: desk.typing("no", "c"), "session_id: no such session"),
        (lambda desk: desk.message_status("s1", "m", "read"), "message_id: no such message"),
    ],
)
async def test_bad_reports_are_refused(act: Any, message: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        desk = one_session(hub)
        with pytest.raises(rtcore.RequestError) as caught:
            act(desk)
        assert caught.value.message == message


async def test_there_is_one_desk_of_a_name() -> None:
    async with open_test_hub(features=FeatureSettings(support_chat=SupportChatSettings(desks=1))) as hub:
        desk = hub.support_chat.desk(workspace="w")
        assert hub.support_chat.desk(workspace="w") is desk
        with pytest.raises(rtcore.RequestError, match="desks=1"):
            hub.support_chat.desk(user="w")
        with pytest.raises(ValueError, match="expected a workspace, a user, or both"):
            hub.support_chat.desk()
        for name in ("", "x" * 255, "\udc00"):
            with pytest.raises(rtcore.RequestError, match="channel") as caught:
                hub.support_chat.desk(user=name)
            assert caught.value.field == "user"


async def test_desk_is_shown_to_whom_it_belongs_whatever_he_is_called() -> None:
    async with open_test_hub() as hub:
        hub.support_chat.desk(user="a@b").open_session("s1", customer="carol")
        assert hub.support_chat.desk(user="a@b") is not hub.support_chat.desk(user="a~40b")
        for user, seen in (("a@b", 1), ("a~40b", 0), ("a", 0), ("", 0), ("\udc00", 0), ("ä" * 255, 0)):
            identity = rtcore.Identity(user=user, workspace=None)
            assert hub.support_chat.queue(identity)["queue_depth"] == seen, user


async def test_desk_of_a_user_in_a_workspace_is_shown_there_only(autojump_clock: Any) -> None:
    """Another workspace may have a user of the same name; the user's own desk is shown wherever a token has him."""
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        hub.support_chat.desk(user="ann").open_session("of ann", customer="carol")
        desk = hub.support_chat.desk(user="ann", workspace="w1")
        desk.open_session("of ann in w1", customer="dave")
        for workspace, seen in (("w1", ["of ann", "of ann in w1"]), ("w2", ["of ann"])):
            who = Identity(user="ann", workspace=workspace, roles={"agent", "admin"})
            waiting = hub.support_chat.queue(who)["waiting_sessions"]
            assert sorted(each["sessionId"] for each in waiting) == seen  # type: ignore[index, call-overload, union-attr]
        inside, outside = await dashboard(server, hub, workspace="w1"), await dashboard(server, hub, workspace="w2")
        await outside.send("request_session_update", {"sessionId": "of ann in w1"})
        assert (await outside.expect("error"))["data"]["message"] == "data.sessionId: no such session"
        desk.message("of ann in w1", "m1", sender="dave", text="hello")
        assert (await inside.expect("message_created"))["data"]["message"]["text"] == "hello"
        await outside.receive_nothing()


async def test_ended_session_has_nobody_typing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        desk = one_session(hub)
        desk.typing("s1", "carol")
        desk.typing("s1", "carol")
        desk.end_session("s1")
        indicators = [event.data for event in hub.history(desk.channel).events if event.type == "typing_indicator"]
        assert indicators == [{"desk": desk.channel, "sessionId": "s1", "users": users} for users in (["carol"], [])]
        await trio.sleep(10)
        assert len(hub.timeouts) == 0


async def test_message_ends_its_senders_typing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        desk = one_session(hub)
        desk.typing("s1", "carol")
        desk.message("s1", "m1", sender="carol", text="x")
        desk.message_status("s1", "m1", "read")
        types = [event.type for event in hub.history(desk.channel).events]
        assert types[1:] == [
            "typing_indicator",
            "message_created",
            "session_update",
            "typing_indicator",
            "message_updated",
            "session_update",
        ]


async def test_text_that_json_cannot_carry_is_refused_before_it_counts(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect(PATH, subprotocols=())
        desk = hub.support_chat.desk(workspace="default")
        desk.open_session("s1", customer="c")
        desk.assign("s1", "a")
        with pytest.raises(rtcore.RequestError, match="text: expected text that UTF-8 can carry"):
            desk.message("s1", "m", sender="c", text="hi \ud800")
        assert not desk.state.sessions["s1"].messages
        while (await client.receive())["type"] != "active_sessions_updated":
            pass


async def test_lists_of_sessions_are_bounded(autojump_clock: Any) -> None:
    async with open_test_hub(features=FeatureSettings(support_chat=SupportChatSettings(listed=2))) as hub:
        desk = hub.support_chat.desk(workspace="w")
        looking = Identity(user="a", workspace="w", roles={"agent"})
        for number in range(5):
            desk.open_session(f"s{number}", customer="c")
        queue = hub.support_chat.queue(looking)
        assert (len(queue["waiting_sessions"]), queue["queue_depth"]) == (2, 5)  # type: ignore[arg-type]
        for number in range(5):
            desk.assign(f"s{number}", "a")
            desk.message(f"s{number}", "m", sender="c", text="x" * 9000)
        sessions = hub.support_chat.sessions(looking)
        assert len(sessions) == 2
        assert len(str(sessions)) < 2000, "of the last message an excerpt"
