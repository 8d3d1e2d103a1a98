"""What tests of several floors share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext

import pytest
import trio
from hypothesis import HealthCheck, settings

import rtcore
from rtcore.hub.hub import Hub
from rtcore.server.profiles import EndpointHandler, MessageHandler
from rtcore.server.server import Server
from rtcore.testing import TestServer, open_test_hub
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE
from tests.driver_server import DriverServer, OpenServer, ServerKind
from tests.tls_contexts import Tls, make_contexts

# How long a machine takes to think of an example says nothing of rtcore: it may be busy, or watch memory as it goes.
settings.register_profile("rtcore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rtcore")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Contexts of a server and of a client that trusts it."""
    return make_contexts(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=[TestServer, DriverServer], ids=["stream", "driver"])
def server_kind(request: pytest.FixtureRequest, nursery: trio.Nursery) -> Iterator[ServerKind]:
    """Makes a test server whose clients come as streams, and one whose clients the socket driver serves."""
    if request.param is not DriverServer:
        yield request.param
        return
    if not SOCKETS_AVAILABLE:
        pytest.skip("this system has no socket driver")
    servers: list[DriverServer] = []

    def make(server: Server) -> TestServer:
        servers.append(DriverServer(server, readers=nursery))
        return servers[-1]

    yield make
    for server in servers:
        server.release()


@pytest.fixture
def open_server(server_kind: ServerKind) -> OpenServer:
    """`rtcore.testing.open_test_server`, for each kind of server."""

    @asynccontextmanager
    async def open_one(
        settings: rtcore.Settings | None = None,
        *,
        hub: Hub | None = None,
        hooks: rtcore.ConnectionHooks | None = None,
        endpoints: Mapping[str, EndpointHandler | MessageHandler] | None = None,
    ) -> AsyncGenerator[TestServer]:
        settings = settings or rtcore.Settings()
        new = open_test_hub(limits=settings.limits, namespaces=settings.namespaces, features=settings.features)
        async with new if hub is None else nullcontext(hub) as served, trio.open_nursery() as nursery:
            server = server_kind(Server(served, settings, hooks=hooks, endpoints=endpoints))
            await nursery.start(server.run)
            try:
                yield server
            finally:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await server.hang_up()
                nursery.cancel_scope.cancel()

    return open_one
