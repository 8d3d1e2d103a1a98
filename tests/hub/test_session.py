"""The conversation: who may speak, what faults are answered with, and that none of them ends it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from trio.testing import assert_no_checkpoints

from rtcore.errors import AuthenticationError, ErrorCode
from rtcore.values.channels import Namespace, Scope
from rtcore.values.identity import ANONYMOUS, Identity
from rtcore.values.limits import Limits
from rtcore.values.positions import Position

U1 = Identity(user="u1", workspace="w1", roles={"publisher"}, expires_at=2_000_000_000.0)


async def test_welcome_says_what_the_client_must_know(talk: Any) -> None:
    client = talk()
    client.session.start()
    (message,) = client.received()
    assert message["type"] == "welcome"
    data = message["data"]
    assert data["connection_id"] == "c1"
    assert data["protocol"] == "rtcore.v1"
    assert data["server"].startswith("rtcore/")
    assert data["authentication"] == "done"
    assert data["limits"]["message_bytes"] == 1024 * 1024


@pytest.mark.parametrize(("identity", "expected"), [(None, "required"), (ANONYMOUS, "none"), (U1, "done")])
async def test_welcome_says_whether_a_token_is_wanted(talk: Any, tokens: Any, identity: Any, expected: str) -> None:
    client = talk(identity=identity, authenticator=tokens())
    client.session.start()
    assert client.received()[0]["data"]["authentication"] == expected


async def test_session_that_could_never_be_authenticated_is_a_mistake(talk: Any) -> None:
    with pytest.raises(ValueError, match="authenticator"):
        talk(identity=None, authenticator=None)


async def test_handling_messages_is_no_tick_of_its_own(talk: Any) -> None:
    """A client's messages come by the dozen; what they publish is to leave together, in one write a subscriber."""
    client = talk()
    with assert_no_checkpoints():
        await client.session.handle_message(b'{"type":"heartbeat"}')
        await client.session.handle_message(b"{")


# Before authentication


@pytest.mark.parametrize(
    "type", ["subscribe", "publish", "history", "replay", "ack", "refresh", "unsubscribe", "set_filters", "nonsense"]
)
async def test_nothing_is_heard_before_authentication(talk: Any, tokens: Any, type: str) -> None:
    """Not even whether a type exists or its data is good."""
    client = talk(identity=None, authenticator=tokens())
    error = await client.refused(type, {"channels": 5}, id=3)
    assert error["code"] == "access.authentication_required"
    assert client.connection.closed is None


async def test_heartbeat_is_answered_before_authentication(talk: Any, tokens: Any) -> None:
    client = talk(identity=None, authenticator=tokens())
    (message,) = await client.say("heartbeat", id=1)
    assert (message["type"], message["data"]["positions"]) == ("heartbeat", {})


async def test_token_opens_the_door(talk: Any, tokens: Any) -> None:
    client = talk(identity=None, authenticator=tokens(good=U1))
    seen: list[Identity] = []
    client.session.on_authenticated = seen.append
    (message,) = await client.say("auth", {"token": "good"}, id="a")
    assert (message["type"], message["id"]) == ("auth_success", "a")
    assert message["data"] == {
        "user_id": "u1",
        "workspace": "w1",
        "roles": ["publisher"],
        "expires_at": 2_000_000_000.0,
    }
    assert seen == [U1]
    assert (await client.say("subscribe", {"channels": ["a"]}))[0]["type"] == "subscribed"


async def test_refused_token_gets_an_error_and_then_4004(talk: Any, tokens: Any) -> None:
    client = talk(identity=None, authenticator=tokens(good=U1))
    error = await client.refused("auth", {"token": "bad-secret"}, id=1)
    assert (error["code"], error["field"]) == ("access.authentication_failed", "data.token")
    assert "bad-secret" not in str(error)
    assert client.connection.closed == (4004, "authentication failed")


async def test_code_of_the_refusal_is_kept(talk: Any) -> None:
    class Expired:
        def authenticate(self, token: str) -> Identity:
            raise AuthenticationError("the token has expired", code=ErrorCode.TOKEN_EXPIRED)

    client = talk(identity=None, authenticator=Expired())
    assert (await client.refused("auth", {"token": "x"}))["code"] == "access.token_expired"


async def test_malformed_auth_may_be_tried_again(talk: Any, tokens: Any) -> None:
    """The deadline of the connection still runs; a typing error is not an attack."""
    client = talk(identity=None, authenticator=tokens(good=U1))
    assert (await client.refused("auth", {"token": 5}))["field"] == "data.token"
    assert client.connection.closed is None
    assert (await client.say("auth", {"token": "good"}))[0]["type"] == "auth_success"


async def test_second_auth_is_a_conflict(talk: Any, tokens: Any) -> None:
    client = talk(identity=U1, authenticator=tokens(good=U1))
    assert (await client.refused("auth", {"token": "good"}))["code"] == "request.conflict"
    assert client.connection.closed is None


async def test_anonymous_client_may_become_somebody(talk: Any, tokens: Any) -> None:
    client = talk(identity=ANONYMOUS, authenticator=tokens(good=U1))
    assert (await client.say("auth", {"token": "good"}))[0]["type"] == "auth_success"
    assert client.session.identity == U1


# Refreshing


async def test_refresh_replaces_the_identity_of_the_same_user(talk: Any, tokens: Any) -> None:
    newer = Identity(user="u1", workspace="w1", roles={"reader"}, expires_at=2_100_000_000.0)
    client = talk(identity=U1, authenticator=tokens(newer=newer))
    seen: list[Identity] = []
    client.session.on_authenticated = seen.append
    (message,) = await client.say("refresh", {"token": "newer"}, id=1)
    assert (message["type"], message["data"]["expires_at"]) == ("refreshed", 2_100_000_000.0)
    assert client.session.identity == newer
    assert seen == [newer]


@pytest.mark.parametrize("other", [Identity(user="u2", workspace="w1"), Identity(user="u1", workspace="w2")])
async def test_refresh_with_somebody_elses_token_changes_nothing(talk: Any, tokens: Any, other: Identity) -> None:
    client = talk(identity=U1, authenticator=tokens(other=other))
    error = await client.refused("refresh", {"token": "other"}, id=1)
    assert (error["code"], error["field"]) == ("access.authentication_failed", "data.token")
    assert client.session.identity == U1
    assert client.connection.closed is None


async def test_refresh_with_a_bad_token_keeps_the_connection(talk: Any, tokens: Any) -> None:
    client = talk(identity=U1, authenticator=tokens())
    assert (await client.refused("refresh", {"token": "bad"}))["code"] == "access.authentication_failed"
    assert client.connection.closed is None


async def test_nobody_has_nothing_to_refresh(talk: Any, tokens: Any) -> None:
    client = talk(identity=ANONYMOUS, authenticator=tokens(good=U1))
    assert (await client.refused("refresh", {"token": "good"}))["code"] == "access.authentication_required"


async def test_lost_role_ends_the_subscriptions_that_needed_it(talk: Any, tokens: Any) -> None:
    namespaces = {"secret": Namespace(read_roles={"reader"})}
    before = Identity(user="u1", roles={"reader"})
    client = talk(namespaces=namespaces, identity=before, authenticator=tokens(less=Identity(user="u1")))
    await client.say("subscribe", {"channels": ["secret", "open"]})
    gone, reply = await client.say("refresh", {"token": "less"}, id=1)
    assert gone["type"] == "unsubscribed"
    assert gone["data"] == {"channels": ["secret"], "reason": "access.denied"}
    assert "id" not in gone
    assert reply["type"] == "refreshed"
    client.hub.publish("secret", "t", 1)
    client.hub.publish("open", "t", 2)
    assert [message["channel"] for message in client.received()] == ["open"]


# Faults


@pytest.mark.parametrize(
    ("message", "code", "field", "identifier"),
    [
        (b"", "request.malformed", None, None),
        (b"{", "request.malformed", None, None),
        (b"[1]", "request.malformed", None, None),
        (b"\xff\xfe", "request.malformed", None, None),
        (b"[" * 100_000, "limit.too_deep", None, None),
        (b'{"id":7}', "request.malformed", "type", 7),
        (b'{"type":"nope","id":"x"}', "request.unknown_type", "type", "x"),
        (b'{"type":"subscribe","id":1,"data":[]}', "request.malformed", "data", 1),
        (b'{"type":"subscribe","id":[1]}', "request.malformed", "id", None),
        (b'{"type":"subscribe","id":2}', "request.malformed", "data.channels", 2),
        (b'{"type":"subscribe","id":2,"data":{"channels":[]}}', "request.malformed", "data.channels", 2),
        (b'{"type":"subscribe","id":2,"data":{"channels":["a",1]}}', "request.malformed", "data.channels[1]", 2),
        (
            b'{"type":"subscribe","id":2,"data":{"channels":["\xc3\xa4"]}}',
            "request.unknown_channel",
            "data.channels[0]",
            2,
        ),
        (b'{"type":"subscribe","data":{"channels":["a"],"colour":1}}', "request.malformed", "data.colour", None),
    ],
)
async def test_fault_is_answered_and_the_conversation_goes_on(
    talk: Any, message: bytes, code: str, field: str | None, identifier: object
) -> None:
    client = talk()
    (reply,) = await client.say_bytes(message)
    assert reply["type"] == "error"
    assert (reply["data"]["code"], reply["data"]["field"], reply.get("id")) == (code, field, identifier)
    assert client.connection.closed is None
    assert (await client.say("heartbeat"))[0]["type"] == "heartbeat"


async def test_fault_of_ours_shows_nothing_and_ends_nothing(
    talk: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = talk()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(client.hub, "history", fail)
    with caplog.at_level(logging.ERROR, "rtcore.session"):
        error = await client.refused("history", {"channel": "a"}, id=9)
    assert (error["code"], error["message"], error["transient"]) == ("server.internal", "internal error", True)
    assert "secret detail" in caplog.text, "the log has the traceback"
    assert (await client.say("heartbeat"))[0]["type"] == "heartbeat"


async def test_hub_that_has_ended_says_so(talk: Any) -> None:
    client = talk()
    client.hub.close()
    assert (await client.refused("subscribe", {"channels": ["a"]}, id=1))["code"] == "server.unavailable"


@pytest.mark.parametrize("type", ["heartbeat", "connection.heartbeat"])
async def test_heartbeat_comes_back_with_the_positions(talk: Any, type: str) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"], "where": {"type": "never"}})
    outcome = client.hub.publish("a", "t", None)
    client.received()
    (message,) = await client.say(type, {"anything": [1, 2]}, id=5)
    assert (message["type"], message["id"]) == (type, 5)
    assert message["data"] == {"timestamp": message["timestamp"], "positions": {"a": str(outcome.position)}}


async def test_answer_never_says_more_than_the_client_was_told(talk: Any) -> None:
    """A reply overtakes the notice of a loss; its position must not lie behind what the notice names."""
    client = talk(limits=Limits(lag_events=2))
    await client.say("subscribe", {"channels": ["a"]})
    client.hub.publish("a", "t", 1)
    client.received()
    client.subscriber.taking = False
    for number in range(2, 6):
        client.hub.publish("a", "t", number)
        client.hub.broadcaster.flush()
    (message,) = await client.say("heartbeat")
    assert Position.parse(message["data"]["positions"]["a"]).offset == 1
    (message,) = await client.say("subscribe", {"channels": ["a"]})
    assert Position.parse(message["data"]["channels"]["a"]["position"]).offset == 1
    client.subscriber.taking = True
    client.hub.broadcaster.mark(client.subscriber)
    dropped, *events = client.received()
    assert dropped["type"] == "dropped"
    assert [event["data"] for event in events] == [4, 5]
    (message,) = await client.say("heartbeat")
    assert message["data"]["positions"]["a"].endswith("-5")


async def test_users_and_workspaces_do_not_see_each_other(talk: Any) -> None:
    namespaces = {"inbox": Namespace(scope=Scope.USER), "team": Namespace(scope=Scope.WORKSPACE)}
    client = talk(namespaces=namespaces, identity=U1)
    for channel in ("inbox:u2", "team:w2", "inbox", "team"):
        error = await client.refused("subscribe", {"channels": ["inbox:u1", channel]})
        assert (error["code"], error["field"]) == ("access.denied", "data.channels[1]")
        assert (await client.refused("history", {"channel": channel}))["code"] == "access.denied"
        published = {"channel": channel, "type": "t", "data": 1}
        assert (await client.refused("publish", published))["code"] == "access.denied"
    assert not client.subscriber.cursors
    assert (await client.say("subscribe", {"channels": ["inbox:u1", "team:w1:x"]}))[0]["type"] == "subscribed"
