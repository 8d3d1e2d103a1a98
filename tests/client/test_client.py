"""Connecting, authenticating, coming back and giving up, against a scripted server in virtual time."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio

from rtcore.client import ClientState, connect
from rtcore.errors import (
    AuthenticationError,
    ConnectionClosed,
    HandshakeRefused,
)
from rtcore.values.events import Lane

URL = "ws://server/ws"


def connecting(server: Any, **options: Any) -> Any:
    return connect(URL, open_stream=server.open_stream, **options)


async def test_client_connects_publishes_and_leaves_with_1000(server: Any, autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            peer = await server.accept()
            assert await peer.published() == {
                "channel": "tasks",
                "type": "task.status",
                "data": {"a": 1},
                "lane": "high",
                "key": "k",
            }
            with pytest.raises(Exception, match="1000"):
                await peer.receive()

        nursery.start_soon(run)
        async with connecting(server) as client:
            await client.wait_connected()
            outcome = await client.publish("tasks", "task.status", {"a": 1}, lane=Lane.HIGH, key="k")
            assert (outcome.offset, outcome.sent) == (7, 1)
            assert client.state is ClientState.CONNECTED
        assert client.state is ClientState.CLOSED
        with pytest.raises(ConnectionClosed):
            await client.publish("tasks", "task.status")


async def test_token_travels_in_the_first_message_and_nowhere_else(server: Any, autojump_clock: Any) -> None:
    """A token in a URL ends up in logs and histories."""

    async def token() -> str:
        return "secret"

    async with connecting(server, token=token) as client:
        peer = await server.accept("required")
        request = await peer.expect("auth")
        assert request["data"] == {"token": "secret"}
        assert "secret" not in peer.websocket.path
        assert client.state is ClientState.CONNECTING
        await peer.send("auth_success", {"user_id": "u", "expires_at": None}, id=request["id"])
        await client.wait_connected()


async def test_token_from_a_function_is_refreshed_before_it_ends(server: Any, autojump_clock: Any) -> None:
    import time

    tokens = iter(["first", "second"])
    async with connecting(server, token=lambda: next(tokens)) as client:
        peer = await server.accept("required", heartbeat_seconds=10_000)
        request = await peer.expect("auth")
        await peer.send("auth_success", {"user_id": "u", "expires_at": time.time() + 300}, id=request["id"])
        await client.wait_connected()
        begin = trio.current_time()
        refresh = await peer.expect("refresh")
        assert refresh["data"] == {"token": "second"}
        assert 200 < trio.current_time() - begin < 300
        await peer.send("refreshed", {"user_id": "u", "expires_at": None}, id=refresh["id"])


async def test_missing_token_is_said_at_once(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client:
        await server.accept("required")
        with pytest.raises(AuthenticationError, match="requires a token"):
            await client.wait_connected()
        assert client.state is ClientState.CLOSED


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4004, AuthenticationError),
        (4006, AuthenticationError),
        (4005, AuthenticationError),
        (1002, ConnectionClosed),
        (1008, ConnectionClosed),
        (1009, ConnectionClosed),
    ],
)
async def test_final_close_code_is_raised_and_not_answered_by_reconnecting(
    server: Any, autojump_clock: Any, code: int, expected: type[Exception]
) -> None:
    async with connecting(server, token="t") as client:
        peer = await server.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.subscribed, "e-0")
            async with client.subscribe("tasks") as events:
                nursery.start_soon(peer.close, code, "reason")
                with pytest.raises(expected):
                    await events.receive()
        with pytest.raises(expected):
            await client.publish("tasks", "task.status")
        await trio.sleep(100)
        assert len(server.attempts) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4000, 4001, 4002, 4003])
async def test_passing_close_code_is_answered_by_reconnecting_in_under_five_seconds(
    server: Any, autojump_clock: Any, code: int
) -> None:
    async with connecting(server) as client:
        peer = await server.accept()
        await client.wait_connected()
        begin = trio.current_time()
        await peer.close(code)
        await server.accept()
        await client.wait_connected()
        assert trio.current_time() - begin < 5


async def test_expired_token_is_replaced_by_the_function_that_gets_tokens(server: Any, autojump_clock: Any) -> None:
    tokens = iter(["first", "second"])
    async with connecting(server, token=lambda: next(tokens)) as client:
        for expected in ("first", "second"):
            peer = await server.accept("required")
            request = await peer.expect("auth")
            assert request["data"]["token"] == expected
            await peer.send("auth_success", {}, id=request["id"])
            await client.wait_connected()
            if expected == "first":
                await peer.close(4005)
                await trio.testing.wait_all_tasks_blocked()


async def test_refused_token_is_raised(server: Any, autojump_clock: Any) -> None:
    async with connecting(server, token="t") as client:
        peer = await server.accept("required")
        await peer.fail(await peer.expect("auth"), "access.authentication_failed")
        with pytest.raises(AuthenticationError):
            await client.wait_connected()


async def test_retry_after_of_a_full_server_is_honoured(server: Any, autojump_clock: Any) -> None:
    server.refusals = [(503, [(b"Retry-After", b"20")])]
    async with connecting(server) as client:
        await server.accept()
        await client.wait_connected()
        first, second = server.attempts
        assert 20 <= second - first <= 20.5


async def test_permanent_refusal_is_raised_with_its_status(server: Any, autojump_clock: Any) -> None:
    server.refusals = [(403, [])]
    async with connecting(server) as client:
        with pytest.raises(HandshakeRefused) as caught:
            await client.wait_connected()
        assert caught.value.status == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "no endpoint here"}}', ": no endpoint here"),
        (b'{"error": {"message": "' + b"x" * 1000 + b'"}}', ": " + "x" * 200),
        (b"<html>Not Found</html>", ""),
        (b'{"error": "not found"}', ""),
        (b'{"error": {"message": 5}}', ""),
        (b'{"error": {"message": "red: \\u001b[31m"}}', ""),
        (b"[]", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
async def test_refusal_says_what_the_server_said(server: Any, autojump_clock: Any, body: bytes, words: str) -> None:
    """A status alone does not tell a wrong path from a page that may not connect; a proxy's page tells nothing."""
    server.refusals, server.body = [(404, [])], body
    async with connecting(server) as client:
        with pytest.raises(HandshakeRefused) as caught:
            await client.wait_connected()
    assert str(caught.value) == f"the server refused with HTTP 404{words}"


async def test_server_that_comes_back_has_its_clients_within_five_seconds(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client:
        peer = await server.accept()
        await client.wait_connected()
        server.down = True
        await peer.cut()
        await trio.sleep(40)
        server.down = False
        begin = trio.current_time()
        await server.accept()
        await client.wait_connected()
        assert trio.current_time() - begin < 5


async def test_changes_of_state_are_told_with_their_reason(server: Any, autojump_clock: Any) -> None:
    changes: list[tuple[ClientState, str]] = []
    server.down = True
    async with connecting(server, on_change=lambda state, why: changes.append((state, why))) as client:
        await trio.sleep(0.01)
        server.down = False
        await server.accept()
        await client.wait_connected()
    states = [state for state, _ in changes]
    assert states[:2] == [ClientState.CONNECTING, ClientState.WAITING]
    assert states[-2:] == [ClientState.CONNECTED, ClientState.CLOSED]
    assert changes[1][1].startswith("connection refused; trying again in")


async def test_message_of_the_time_away_is_sent_after_the_reconnect(server: Any, autojump_clock: Any) -> None:
    server.down = True
    async with connecting(server) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.publish, "tasks", "a")
        await trio.sleep(3)
        server.down = False
        peer = await server.accept()
        assert (await peer.published())["type"] == "a"


async def test_unanswered_message_is_sent_again_on_the_next_connection(server: Any, autojump_clock: Any) -> None:
    """At least once: nobody knows whether the first one arrived."""
    async with connecting(server) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.publish, "tasks", "a")
        peer = await server.accept()
        first = await peer.expect("publish")
        await peer.cut()
        peer = await server.accept()
        second = await peer.expect("publish")
        assert first["id"] == second["id"]
        await peer.send(
            "published",
            {"channel": "tasks", "offset": 1, "position": "e-1", "matched": 0, "sent": 0, "queued": 0, "dropped": 0},
            id=second["id"],
        )


async def test_transient_error_is_tried_again_after_the_time_that_the_server_names(
    server: Any, autojump_clock: Any
) -> None:
    async with connecting(server) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.publish, "tasks", "a")
        peer = await server.accept()
        begin = trio.current_time()
        await peer.fail(await peer.expect("publish"), "limit.rate", transient=True, retry_after=4)
        await peer.published()
        assert 4 <= trio.current_time() - begin <= 6


async def test_dead_server_is_noticed_and_left(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client:
        await server.accept(heartbeat_seconds=30)
        await client.wait_connected()
        begin = trio.current_time()
        await server.accept()
        assert 40 <= trio.current_time() - begin <= 45
        assert "fell silent" in client.statistics().last_ending


async def test_server_without_welcome_is_left_in_time(server: Any, autojump_clock: Any) -> None:
    async with connecting(server):
        await server.accept_silently()
        await server.accept()
        first, second = server.attempts
        assert 10 <= second - first <= 13


async def test_exception_of_the_block_comes_out_as_it_is(server: Any, autojump_clock: Any) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with connecting(server):
            raise KeyError("mine")


async def test_malformed_message_of_the_server_ends_the_connection_only(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client:
        peer = await server.accept()
        await client.wait_connected()
        await peer.websocket.send_message("nonsense")
        await server.accept()
        await client.wait_connected()


@pytest.mark.parametrize(
    "url", ["ftp://host/", "ws:///ws", "host", "ws://u:p@host/", "ws://host/?token=abc", "ws://host/?access_token=abc"]
)
async def test_url_of_another_form_or_with_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL must"):
        async with connect(url):
            raise AssertionError("unreachable")


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_moment_nothing_is_left_behind(server: Any, autojump_clock: Any, steps: int) -> None:
    """No task of the client is left: the nursery would not close otherwise."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                peer = await server.accept()
                await peer.subscribed("e-0")
                for offset in range(1, 4):
                    await peer.event(offset)
                await peer.published()

            async def count() -> None:
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                    await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

            nursery.start_soon(serve)
            nursery.start_soon(count)
            async with connecting(server) as client:
                await client.wait_connected()
                async with client.subscribe("tasks") as events:
                    async for event in events:
                        if event.offset == 3:
                            await client.publish("tasks", "a")
    assert scope.cancelled_caught


async def test_token_function_that_cannot_reach_its_source_is_asked_again(server: Any, autojump_clock: Any) -> None:
    answers: list[Any] = [OSError("token service away"), "token"]

    def token() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    async with connecting(server, token=token) as client:
        await server.accept("required")
        peer = await server.accept("required")
        request = await peer.expect("auth")
        await peer.send("auth_success", {}, id=request["id"])
        await client.wait_connected()
        assert client.statistics().last_ending == "token service away"


async def test_fault_of_the_token_function_closes_the_client_for_good(server: Any, autojump_clock: Any) -> None:
    def token() -> str:
        raise KeyError("mine")

    async with connecting(server, token=token) as client:
        await server.accept("required")
        with pytest.raises(AuthenticationError, match="its function raised KeyError") as caught:
            await client.wait_connected()
        assert isinstance(caught.value.__cause__, KeyError)


async def test_refresh_that_fails_leaves_the_connection_be(server: Any, autojump_clock: Any) -> None:
    answers: list[Any] = ["first", OSError("away")]

    def token() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    async with connecting(server, token=token) as client:
        peer = await server.accept("required", heartbeat_seconds=1000)
        request = await peer.expect("auth")
        await peer.send("auth_success", {"expires_at": time.time() + 60}, id=request["id"])
        await client.wait_connected()
        await trio.sleep(100)
        assert client.state is ClientState.CONNECTED
        assert not answers
