"""A server that drains is there until it ends: it says so to whoever comes, and nobody who comes makes it longer."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from attrs import define

import rtcore
from rtcore.errors import HandshakeRefused
from rtcore.server.ending import Ending
from rtcore.testing import TestClient, TestServer, open_test_server

GET = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
EVENT = {"channel": "tasks", "type": "task.noted", "data": {}}
LIMITS = rtcore.Limits(idle_seconds=0, close_seconds=10, drain_seconds=30)


# Over sockets


@define
class Listening:
    """A server behind a port, and what its clients need to know."""

    server: rtcore.Server
    context: ssl.SSLContext | None
    ended: trio.Event

    @property
    def base(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.server.port}"

    async def open_client(self) -> TestClient:
        stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", self.server.port)
        if self.context is not None:
            stream = trio.SSLStream(stream, self.context, server_hostname="127.0.0.1", https_compatible=True)
        return TestClient(stream)

    def open_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.base, verify=self.context or False)


@asynccontextmanager
async def listening(files: tuple[Path, Path] | None) -> AsyncGenerator[Listening]:
    """The deadline is against standstill only."""
    tls = None if files is None else rtcore.TlsSettings(certificate=files[0], key=files[1])
    settings = rtcore.Settings(port=0, tls=tls, limits=LIMITS, retry_after_seconds=7, drain_jitter_seconds=0)
    ended = trio.Event()

    async def serve(hub: rtcore.Hub, *, task_status: trio.TaskStatus[rtcore.Server]) -> None:
        await rtcore.serve(hub, settings, task_status=task_status)
        ended.set()

    with trio.fail_after(20):
        async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
            server = await nursery.start(serve, hub)
            context = None if files is None else ssl.create_default_context(cafile=str(files[0]))
            yield Listening(server, context, ended)
            nursery.cancel_scope.cancel()


@pytest.fixture(params=["plain", "tls"])
def files(request: pytest.FixtureRequest, make_certificate: Callable[[str], tuple[Path, Path]]) -> object:
    return None if request.param == "plain" else make_certificate("localhost")


async def test_whoever_comes_is_answered_until_the_last_client_is_gone(files: tuple[Path, Path] | None) -> None:
    """A load balancer that is refused a connection knows less than one that is told 503."""
    async with listening(files) as there, there.open_http() as kept, there.open_http() as http:
        deaf = await there.open_client()
        await deaf.handshake()
        late = await there.open_client()
        assert (await kept.get("/readyz")).status_code == 200
        there.server.drain()

        ready = await kept.get("/readyz")  # over the connection that it has
        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
        assert ready.headers["connection"] == "close"
        assert (await http.get("/healthz")).status_code == 200
        assert "rtcore_draining 1.0" in (await http.get("/metrics")).text
        refused = await http.post("/api/v1/publish", json=EVENT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server.unavailable")
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("7", "close")
        assert EVENT["type"] not in there.server.hub.statistics().events_by_type
        for client in (late, await there.open_client()):
            with pytest.raises(HandshakeRefused) as caught:
                await client.handshake()
            assert (caught.value.status, dict(caught.value.headers)["retry-after"]) == (503, "7")
            error = json.loads(str(caught.value))["error"]
            assert (error["code"], error["transient"], error["retry_after"]) == ("server.unavailable", True, 7)
        assert there.server.statistics().refused == {"503": 2}

        assert not there.ended.is_set()
        await trio.aclose_forcefully(deaf.stream)
        await there.ended.wait()
        with pytest.raises(OSError, match="all attempts to connect"):
            await there.open_client()


async def test_the_port_is_free_once_the_end_was_waited_for() -> None:
    """A server that replaces another one in the same process listens where that did."""
    async with listening(None) as there, trio.open_nursery() as nursery:
        client = await there.open_client()
        await client.handshake()
        there.server.drain()
        nursery.start_soon(client.receive_close)
        await there.server.wait_ended()
        settings = rtcore.Settings(port=there.server.port)
        second = await nursery.start(rtcore.serve, there.server.hub, settings)
        second.drain()
        await second.wait_ended()


# On a clock that jumps

SETTINGS = rtcore.Settings(limits=LIMITS, drain_jitter_seconds=0)


async def http_head_only(stream: trio.abc.Stream) -> None:
    await stream.send_all(GET[:-2])


async def http_half_a_body(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")


async def http_answered(stream: trio.abc.Stream) -> None:
    await stream.send_all(GET)
    assert (await stream.receive_some()).startswith(b"HTTP/1.1 503")


async def handshake_that_reads_nothing(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
    await stream.send_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


async def silent(stream: trio.abc.Stream) -> None:
    pass


LATE = [http_head_only, http_half_a_body, http_answered, handshake_that_reads_nothing, silent]


async def open_idle(server: TestServer) -> trio.abc.Stream:
    """An HTTP connection that has had its first answer."""
    stream = server.open_stream()
    await stream.send_all(GET)
    assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
    return stream


@pytest.mark.parametrize("idle", [False, True], ids=["new", "kept alive"])
@pytest.mark.parametrize("late", LATE, ids=lambda late: late.__name__)
async def test_who_comes_during_a_drain_does_not_make_it_longer(
    autojump_clock: trio.testing.MockClock, late: Callable[[trio.abc.Stream], object], idle: bool
) -> None:
    """It ends with the client that was there before, whatever those do that came later."""
    async with open_test_server(SETTINGS) as server, trio.open_nursery() as nursery:
        client = await server.connect()
        kept = await open_idle(server)
        server.server.drain()
        began = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(late, kept if idle else server.open_stream())
        await trio.sleep(4)
        assert not server.ended.is_set()
        assert (await client.receive_close()).code == rtcore.CloseCode.SERVICE_RESTART
        await server.ended.wait()
        assert trio.current_time() - began == pytest.approx(4)


async def test_connections_that_idle_are_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server(SETTINGS) as server:
        for _ in range(3):
            await open_idle(server)
        began = trio.current_time()
        server.server.drain()
        await server.ended.wait()
        assert trio.current_time() == began


@pytest.mark.parametrize(
    ("setting", "told", "header"), [(0, 0.0, "1"), (0.04, 0.1, "1"), (5.25, 5.3, "6"), (20, 20.0, "20")]
)
async def test_the_setting_rules_what_clients_are_told_to_wait(
    autojump_clock: trio.testing.MockClock, setting: float, told: float, header: str
) -> None:
    """In the close frame, in the refusal of a handshake, and over HTTP; never less, where there is no jitter to add."""
    settings = rtcore.Settings(limits=LIMITS, drain_jitter_seconds=0, retry_after_seconds=setting)
    async with open_test_server(settings) as server:
        client, deaf = await server.connect(), await server.connect()
        server.server.drain()
        assert (await client.receive_close()).reason == f"service restart; retry after {told} s"
        with pytest.raises(HandshakeRefused) as caught:
            await server.connect()
        assert dict(caught.value.headers)["retry-after"] == header
        assert server.server.retry_after() == told
        await trio.aclose_forcefully(deaf.stream)


async def test_a_time_is_told_that_is_spread_as_the_close_frames_are(autojump_clock: trio.testing.MockClock) -> None:
    """Who was refused comes back as late as who was closed."""
    settings = rtcore.Settings(limits=LIMITS, drain_jitter_seconds=3, retry_after_seconds=20)
    async with open_test_server(settings) as server, trio.open_nursery() as nursery:
        reasons: list[str] = []

        async def note(client: TestClient) -> None:
            reasons.append((await client.receive_close()).reason)

        for _ in range(600):
            nursery.start_soon(note, await server.connect())
        server.server.drain()
        waits = [server.server.retry_after() for _ in range(600)]
        await server.ended.wait()
    told = [float(re.sub(r"[^\d.]", "", reason)) for reason in reasons]
    for seconds in (waits, told):
        assert 20 <= min(seconds) < 21
        assert 22 < max(seconds) <= 23


def test_ending_waits_for_nobody_that_was_released() -> None:
    """Holding twice is holding once, and releasing whom nobody holds does nothing."""
    ending, holder = Ending(), object()
    ending.hold(holder)
    ending.hold(holder)
    ending.release(object())
    assert len(ending) == 1
    ending.release(holder)
    assert len(ending) == 0
