"""An HTTP application over a real hub, for the tests of this directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import h11
import httpx
import orjson
import pytest
import trio
from attrs import define, field
from starlette.applications import Starlette
from trio.testing import memory_stream_pair

from rtcore.application import ApplicationHub
from rtcore.errors import AuthenticationError
from rtcore.features.settings import FeatureSettings
from rtcore.server.figures import EndpointFigures, ServerFigures
from rtcore.server.http_api import build_app
from rtcore.server.http_bridge import BridgeConfig, HttpPeer, serve_http
from rtcore.server.rest.modules import rest_modules
from rtcore.values.channels import Namespace
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

PUBLISHER = Identity(user="", roles={"publisher"})


@define(eq=False)
class Surroundings:
    """Doubles of everything around the application but the hub."""

    started: bool = True
    draining: bool = False
    identities: dict[str, Identity] = field(factory=dict)
    """By token."""
    revoked: list[tuple[str, str]] = field(factory=list)
    violations: list[tuple[str, str]] = field(factory=list)
    now: float = 1_750_000_000.0

    def retry_after(self) -> float:
        return 2.5

    def statistics(self) -> ServerFigures:
        return ServerFigures(
            started_at=self.now - 60,
            connections=3,
            connections_total=7,
            connections_maximum=1000,
            dialects={"dashboard": EndpointFigures(connections=2, maximum=100)},
            refused={"full": 2},
        )

    def authenticate(self, token: str) -> Identity:
        if token not in self.identities:
            raise AuthenticationError("not a token of this server")
        return self.identities[token]

    def revoke_token(self, token_id: str) -> int:
        self.revoked.append(("token_id", token_id))
        return 1

    def revoke_user(self, user: str) -> int:
        self.revoked.append(("user", user))
        return 2

    def record(self, client: str, kind: str, now: float) -> bool:
        self.violations.append((client, kind))
        return False

    async def document(self) -> dict[str, Json]:
        return {
            "cpu": {"percent": 1.5, "count": 2, "load_average": [0.1, 0.2, 0.3]},
            "memory": dict.fromkeys(("total", "available", "used", "swap_total", "swap_used"), 1) | {"percent": 2.0},
            "disk": {"path": "/", "total": 3, "used": 2, "free": 1, "percent": 66.7}
            | dict.fromkeys(("read_bytes_per_second", "write_bytes_per_second"), 0.0),
            "network": dict.fromkeys(("received_bytes", "sent_bytes", "errors", "dropped"), 0)
            | dict.fromkeys(("received_bytes_per_second", "sent_bytes_per_second"), 0.5),
            "process": dict.fromkeys(("pid", "memory_bytes", "threads", "descriptors"), 1)
            | {"cpu_percent": 150.0, "uptime_seconds": 60.0},
        }

    def clock(self) -> float:
        return self.now


@define(eq=False)
class Api:
    """The application, a client for it, and what is around it."""

    app: Starlette
    hub: ApplicationHub
    around: Surroundings
    client: httpx.AsyncClient

    async def publish(self, body: Any, **headers: str) -> httpx.Response:
        """POST /api/v1/publish."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/api/v1/publish", json=body, headers=named)


OpenApi = Callable[..., AbstractAsyncContextManager[Api]]


@asynccontextmanager
async def _open_api(
    *,
    limits: Limits | None = None,
    identities: Mapping[str, Identity] | None = None,
    namespaces: Mapping[str, Namespace] | None = None,
    features: FeatureSettings | None = None,
    **more: Any,
) -> AsyncIterator[Api]:
    """Without `identities` nobody needs a token, and everybody may publish."""
    around = Surroundings(identities=dict(identities or {}))
    hub = ApplicationHub(limits=limits, namespaces=namespaces, features=features, clock=around.clock)
    options: dict[str, Any] = {
        "system": around,
        "version": "1.2.3",
        "limits": limits,
        "authenticator": around if identities is not None else None,
        "anonymous": PUBLISHER,
        "revocations": around if identities is not None else None,
        "ledger": around,
        "rest": rest_modules(hub.registry),
        "clock": around.clock,
        "monotonic": around.clock,
    }
    app = build_app(hub, around, **(options | more))
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 4711))
    async with (
        trio.open_nursery() as nursery,
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        await nursery.start(hub.run)
        yield Api(app, hub, around, client)
        nursery.cancel_scope.cancel()


@pytest.fixture
def open_api() -> OpenApi:
    """Opens an application; see `_open_api` for the options."""
    return _open_api


# The bridge: an application of a few lines, and clients on memory streams


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked; `/early` replies before it reads, `/fails` not at all, `/waits` only when told."""
    if scope["path"] == "/fails":
        raise RuntimeError("by design")
    body = bytearray()
    while scope["path"] != "/early":
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/waits":
        await scope["state"].get("never", trio.sleep_forever)()
    content = orjson.dumps([scope["method"], scope["path"], scope["query_string"].decode(), len(body), scope["client"]])
    headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class HttpClient:
    """An HTTP client on a memory stream, strict because h11 reads for it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """The next reply; the request itself went out as raw bytes."""
        leftover = self.http.trailing_data[0]
        self.http = h11.Connection(h11.CLIENT)
        if leftover:
            self.http.receive_data(leftover)
        self.http.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self.http.send(h11.EndOfMessage())
        body = b""
        response = None
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.stream.receive_some())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert response is not None
                headers = {name.decode(): value.decode() for name, value in response.headers}
                return response.status_code, headers, body

    async def at_end(self) -> bool:
        """Whether the server ends the connection without another byte."""
        return await self.stream.receive_some() == b""


@asynccontextmanager
async def _served(head: bytes = b"", config: BridgeConfig | None = None) -> AsyncIterator[HttpClient]:
    """A client whose connection is served; leaving the block closes the client and waits for the server's end."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            peer = HttpPeer(client=("192.0.2.1", 4711))
            await serve_http(answering, far, head, config=config or BridgeConfig(), peer=peer)

        nursery.start_soon(serve)
        yield HttpClient(near)
        await near.aclose()


@pytest.fixture
def served() -> Callable[..., AbstractAsyncContextManager[HttpClient]]:
    """Opens a client whose connection is served by `application`; see `_served`."""
    return _served


@pytest.fixture
def application() -> Any:
    """An ASGI application that says what it was asked; see `answering`."""
    return answering


@pytest.fixture
def http_client() -> type[HttpClient]:
    """An HTTP client for any stream."""
    return HttpClient
