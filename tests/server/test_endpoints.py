"""Endpoints are settings: several side by side in one server, each with its own names, times and channels."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio
import trio.testing

from rtcore.errors import HandshakeRefused, SettingsError
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.server.profile_settings import BUILT_IN_PROFILES, ProfileSettings, all_profiles
from rtcore.server.server import Server
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import TestServer, open_test_hub, open_test_server
from rtcore.values.channels import Namespace, Scope
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})


def test_built_in_endpoints_are_those_of_the_systems() -> None:
    paths = {profile.path for profile in all_profiles({}).values()}
    assert {"/ws/metrics", "/ws/activity", "/ws/stream", "/ws/approvals"} <= paths


def test_a_built_in_endpoint_is_changed_field_by_field() -> None:
    name = "metrics"
    changed = all_profiles({name: ProfileSettings(idle_seconds=7.0)})[name]
    assert (changed.path, changed.idle_seconds) == (BUILT_IN_PROFILES[name].path, 7.0)
    assert name not in all_profiles({name: ProfileSettings(enabled=False)})


async def test_endpoints_live_side_by_side(autojump_clock: Any) -> None:
    """One hub behind all of them: what one kind of client is told under one name, another is under its own."""
    mobile = ProfileSettings(
        path="/ws/mobile",
        channels=("news",),
        commands={"say": "publish"},
        replies={"published": "said"},
        events={"news.item": "item"},
    )
    async with open_test_server(Settings(profiles={"mobile": mobile})) as server:
        plain, other = await server.connect(), await server.connect("/ws/mobile")
        assert list((await other.expect("subscribed"))["data"]["channels"]) == ["news"]
        await plain.request("subscribe", {"channels": ["news"]})
        await other.send("say", {"channel": "news", "type": "news.item", "data": 1}, id=1)
        assert (await other.expect("said"))["id"] == 1
        event, same = await other.expect("item"), await plain.expect("news.item")
        assert event | {"type": "news.item"} == same
        for path in ("/ws/metrics", "/ws/activity", "/ws/stream", "/ws/approvals"):
            assert (await (await server.connect(path)).request("heartbeat"))["type"] == "heartbeat"
        with pytest.raises(HandshakeRefused) as refused:
            await server.connect("/ws/nothing")
        assert refused.value.status == 404


async def test_events_come_under_their_name_after_a_backlog_and_in_batches(autojump_clock: Any) -> None:
    profile = ProfileSettings(path="/m", events={"a.long.name": "n"})
    async with open_test_server(Settings(profiles={"m": profile})) as server:
        client = await server.connect("/m")
        await client.request("subscribe", {"channels": ["c"], "batch": {"events": 2, "seconds": 1}})
        for number in range(2):
            server.hub.publish("c", "a.long.name", number)
        batch = await client.expect("batch")
        assert [event["type"] for event in batch["data"]["events"]] == ["n", "n"]
        assert [event["data"] for event in batch["data"]["events"]] == [0, 1]


async def test_endpoint_may_let_its_clients_be_silent_for_ever(autojump_clock: Any) -> None:
    """As `limits` may: a screen on a wall says nothing, and the support chat has five minutes of its own to change."""
    profiles = {"stream": ProfileSettings(idle_seconds=0)}
    async with open_test_server(Settings(profiles=profiles, limits=Limits(ping_seconds=0))) as server:
        client = await server.connect("/ws/stream")
        await client.receive_nothing(3600)
        assert (await client.request("heartbeat"))["type"] == "heartbeat"


async def test_endpoint_has_its_own_times(autojump_clock: Any) -> None:
    profiles = {"short": ProfileSettings(path="/short", idle_seconds=10.0, heartbeat_seconds=3.0)}
    limits = Limits(ping_seconds=0)
    async with open_test_server(Settings(profiles=profiles, limits=limits)) as server:
        client = await server.connect("/short")
        began = trio.current_time()
        closed = await client.receive_close()
        assert (closed.code, closed.reason) == (CloseCode.IDLE_TIMEOUT, "no message for idle_seconds=10")
        assert 10 <= trio.current_time() - began < 15


async def test_endpoint_without_authentication_gives_nobody_an_identity(autojump_clock: Any) -> None:
    profiles = {"open": ProfileSettings(path="/open", authentication="none", channels=("inbox:{user}",))}
    settings = Settings(authentication=KEYS, profiles=profiles)
    async with (
        open_test_hub(namespaces={"inbox": Namespace(scope=Scope.USER)}) as hub,
        open_test_server(settings, hub=hub) as server,
    ):
        token = jwt.encode({"sub": "u1", "exp": hub.clock() + 60}, SECRET)
        client = await server.connect("/open", token=token)
        assert (await client.expect("error"))["data"]["code"] == "access.denied"
        assert (await client.request("heartbeat"))["type"] == "heartbeat"
        other = await server.connect("/ws")
        await other.send("history", {"channel": "a"})
        assert (await other.expect("error"))["data"]["code"] == "access.authentication_required"


async def test_endpoint_that_is_full_says_when_to_come_back(autojump_clock: Any) -> None:
    """503 with `Retry-After`, before anything is upgraded; a client that leaves makes room for one."""
    profiles = {"few": ProfileSettings(path="/few", connections=1)}
    async with open_test_server(Settings(profiles=profiles)) as server:
        client = await server.connect("/few")
        with pytest.raises(HandshakeRefused) as refused:
            await server.connect("/few")
        assert (refused.value.status, dict(refused.value.headers)["retry-after"]) == (503, "5")
        await server.connect("/ws")
        await client.close()
        await trio.testing.wait_all_tasks_blocked()
        await server.connect("/few")


async def test_endpoint_at_the_root_leaves_pages_to_http(autojump_clock: Any) -> None:
    """A server of its own for one kind of client has it where such clients look first."""
    async with open_test_server(Settings(profiles={"root": ProfileSettings(path="/")})) as server:
        assert (await (await server.connect("/")).request("heartbeat"))["type"] == "heartbeat"
        stream = server.open_stream()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := await stream.receive_some():
            answer += more
        assert answer.startswith(b"HTTP/1.1 404 "), "the HTTP side has no page there"
        assert b'"request.not_found"' in answer


def settings_with(**profile: Any) -> Settings:
    return Settings(profiles={"mine": ProfileSettings(path="/mine", **profile)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (settings_with(dialect="klingon"), '$.profiles.mine.dialect: expected one of rtcore, got "klingon"'),
        (
            settings_with(authentication="required"),
            "$.profiles.mine.authentication: required, but no authentication is configured",
        ),
        (
            Settings(profiles={"mine": ProfileSettings(path="/ws")}),
            '$.profiles.mine.path: expected a path of its own, got "/ws", which is that of $.path',
        ),
    ],
)
async def test_endpoint_that_cannot_be_is_refused(settings: Settings, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Server(Hub(), settings)
    assert str(caught.value) == message


async def test_dialect_of_a_feature_is_found_by_its_name(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        dialect = Dialect(channels=("a",), aliases={"p": "publish", "q": "publish"}, announces=False)
        hub.registry.join(object(), dialects={"special": dialect})
        settings = settings_with(dialect="special", commands={"h": "history", "q": "heartbeat"})
        async with open_test_server(settings, hub=hub) as server:
            client = await server.connect("/mine")
            assert (await client.request("p", {"channel": "a", "type": "t", "data": 1}))["type"] == "published"
            assert (await client.expect("t"))["channel"] == "a"
            assert (await client.request("h", {"channel": "a"}))["type"] == "history"
            assert (await client.request("q"))["type"] == "heartbeat", "settings come before the dialect"


async def test_open_endpoint_beside_keys_gives_strangers_no_roles(autojump_clock: Any) -> None:
    """Where others need a token, whoever has none may publish nothing and has no workspace."""
    profiles = {"open": ProfileSettings(path="/open", authentication="none")}
    settings = Settings(authentication=KEYS, profiles=profiles)
    async with (
        open_test_hub(namespaces={"free": Namespace(publish_roles=None)}) as hub,
        open_test_server(settings, hub=hub) as server,
    ):
        client = await server.connect("/open")
        for type, data in (
            ("publish", {"channel": "free", "type": "task.failed", "data": {}}),
            ("publish", {"channel": "tasks", "type": "task.failed", "data": {}}),
            ("subscribe", {"channels": ["presence:default"]}),
            ("metrics.publish", {"stream": "x", "data": {}}),
        ):
            await client.send(type, data, id=1)
            assert (await client.expect("error"))["data"]["code"] == "access.denied", type


async def test_open_endpoint_beside_keys_is_closed_to_a_page_that_rebinds_its_name(autojump_clock: Any) -> None:
    """Where others need a token, such a page has none; here nobody needs one, so the name must be the server's own."""
    profiles = {"open": ProfileSettings(path="/open", authentication="none")}
    async with open_test_server(Settings(authentication=KEYS, profiles=profiles)) as server:
        answers = {
            (path, host): await answer_to_page(server, path, host)
            for path in ("/open", "/ws")
            for host in ("evil.example", "localhost")
        }
    assert answers == {
        ("/open", "evil.example"): 403,
        ("/open", "localhost"): 101,
        ("/ws", "evil.example"): 101,
        ("/ws", "localhost"): 101,
    }


async def answer_to_page(server: TestServer, path: str, host: str) -> int:
    """The status that a page of the server's own origin gets, as its name says it."""
    stream = server.open_stream()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MTExMTExMTExMTExMTExMQ==", "", ""]
    await stream.send_all("\r\n".join(lines).encode())
    status = int((await stream.receive_some()).split(b" ")[1])
    await stream.aclose()
    return status
