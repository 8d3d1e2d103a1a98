"""
The server: listeners, connections, and their end in the right order.

    Server.run
      socket driver           reads and writes plain sockets    ends when the last connection has
        connections nursery   every connection's task           ends with the drain
          listeners nursery   accept loops                      ends just before: a drain still answers who comes

The hub's own tasks (broadcaster, timeout watcher) and the features live outside and end last.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import evolve

from rtcore._fast import Traffic
from rtcore.errors import SettingsError
from rtcore.features.system_metrics import SystemMetrics
from rtcore.hub.hub import Hub
from rtcore.protocol.compression import compression_totals
from rtcore.server.admission import ConnectionPool, PoolStatistics
from rtcore.server.arrivals import Arrivals
from rtcore.server.authentication import Authenticator
from rtcore.server.connections import Connections
from rtcore.server.conversation import Converser
from rtcore.server.demo import run_demo
from rtcore.server.draining import Drain
from rtcore.server.endpoints import make_profiles
from rtcore.server.figures import EndpointFigures, ServerFigures
from rtcore.server.hooks import ConnectionHooks, Presence
from rtcore.server.http_api import build_app
from rtcore.server.http_bridge import BridgeConfig
from rtcore.server.incoming import Incoming, own_address
from rtcore.server.listener import accept_connections, open_listeners
from rtcore.server.origins import OriginPolicy
from rtcore.server.profile_check import ECHO_PATH, check_endpoint_path
from rtcore.server.profiles import ECHO, EndpointHandler, MessageHandler, Profile
from rtcore.server.proxies import ProxyTrust
from rtcore.server.reception import Reception
from rtcore.server.rest.modules import rest_modules
from rtcore.server.revocation import RevocationList
from rtcore.server.server_stream import counted_in
from rtcore.server.settings import Settings
from rtcore.server.settings_check import check_settings
from rtcore.server.tls import TlsContext
from rtcore.server.violations import ViolationLedger
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE, open_socket_table
from rtcore.transports.socket_stream import SocketStream
from rtcore.values.identity import ANONYMOUS
from rtcore.values.version import VERSION

__all__ = ["Server", "serve"]

logger = logging.getLogger("rtcore.server")

_TLS_BUFFER_BYTES: Final = 256 * 1024


class Server:
    """
    One listening address with everything behind it.

    Args:
        hub: Where its connections subscribe and publish; it must be running.
        settings: What the server is told.
        hooks: Told of connections that come and go.
        endpoints: An application's own handlers of raw WebSocket messages, by path.

    Raises:
        SettingsError: If the settings contradict each other, or would open the server to everybody unasked.
    """

    def __init__(
        self,
        hub: Hub,
        settings: Settings | None = None,
        *,
        hooks: ConnectionHooks | None = None,
        endpoints: Mapping[str, EndpointHandler | MessageHandler] | None = None,
    ) -> None:
        self.hub = hub
        self.settings = settings = settings or Settings()
        for warning in check_settings(settings, hub.registry):
            logger.warning("%s", warning)
        self.pool = ConnectionPool(settings.limits, settings.retry_after_seconds)
        self.ledger = ViolationLedger(settings.limits)
        authentication = settings.authentication
        self.revocations = (
            RevocationList(clock=hub.clock)
            if authentication is None
            else RevocationList.of(authentication, clock=hub.clock)
        )
        self.traffic = Traffic()
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Address and port of each listener, once it listens."""
        self.authenticator = (
            None
            if authentication is None
            else Authenticator(authentication, revocations=self.revocations, clock=hub.clock)
        )
        self._tls = None if settings.tls is None else TlsContext(settings.tls)
        anonymous = evolve(ANONYMOUS, roles=settings.anonymous_roles)
        self._started_at = hub.clock()
        self._drain = Drain(settings, hub.timeouts)
        self._system = SystemMetrics(hub)
        origins, proxies = OriginPolicy.of(settings), ProxyTrust(settings.trusted_proxies)
        self._endpoints = profiles = _by_path(self._profiles(endpoints or {}))
        for profile in profiles.values():  # those without a maximum of their own are counted all the same
            self.pool.limit_path(profile.path, profile.connections or settings.limits.connections)
        self._reception = Reception(
            settings,
            profiles=profiles,
            pool=self.pool,
            ending=self._drain.ending,
            origins=origins,
            proxies=proxies,
            authenticator=self.authenticator,
            anonymous=anonymous,
        )
        app = build_app(
            hub,
            self,
            system=self._system,
            version=VERSION,
            limits=settings.limits,
            authenticator=self.authenticator,
            anonymous=anonymous,
            revocations=self.revocations,
            origins=origins,
            proxies=proxies,
            ledger=self.ledger,
            metrics_public=settings.metrics_public,
            rest=rest_modules(hub.registry),
            clock=hub.clock,
            monotonic=trio.current_time,
        )
        self._connections = Connections(
            hub,
            self._reception,
            pool=self.pool,
            limits=settings.limits,
            traffic=self.traffic,
            presence=Presence(hub, hooks or ConnectionHooks()),
            drain=self._drain,
            app=app,
            bridge=BridgeConfig(limits=settings.limits, ending=self._drain.ending),
        )
        self._arrivals: Arrivals | None = None
        self._ended = trio.Event()

    def _profiles(self, endpoints: Mapping[str, EndpointHandler | MessageHandler]) -> Iterable[Profile]:
        converser = Converser(
            hub=self.hub,
            authenticator=self.authenticator,
            revocations=self.revocations,
            ledger=self.ledger,
            traffic=self.traffic,
            heartbeat_seconds=self.settings.heartbeat_seconds,
        )
        yield from make_profiles(self.settings, converser)
        if self.settings.echo:
            yield Profile.of_handler(ECHO_PATH, ECHO)
        for path, handler in endpoints.items():
            check_endpoint_path(path, self.hub.registry)
            yield Profile.of_handler(path, handler)

    # What is told of it

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.addresses[0][1]

    @property
    def url(self) -> str:
        """Where a client on this machine connects."""
        host = self.settings.host
        host = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
        return f"{'ws' if self._tls is None else 'wss'}://{host}:{self.port}{self.settings.path}"

    @property
    def started(self) -> bool:
        """Whether new clients are welcome."""
        return self._connections.nursery is not None and not self.draining

    @property
    def draining(self) -> bool:
        """Whether it is on its way out."""
        return self._drain.ending.requested.is_set()

    def retry_after(self) -> float:
        """Seconds that a client is told to wait that finds no room, or finds the server on its way out."""
        return self._drain.ending.retry_after()

    def statistics(self) -> ServerFigures:
        """A snapshot of connections and traffic."""
        pool, traffic, ledger = self.pool.statistics(), self.traffic, self.ledger.statistics()
        uncompressed, compressed = compression_totals()
        return ServerFigures(
            started_at=self._started_at,
            connections=pool.active,
            connections_total=pool.total_created,
            connections_maximum=pool.limit,
            dialects=_by_dialect(self._endpoints.values(), pool),
            refused=dict(self._connections.refused),
            messages_received=traffic.messages_in,
            messages_sent=traffic.messages_out,
            bytes_received=traffic.bytes_in,
            bytes_sent=traffic.bytes_out + self.hub.broadcaster.bytes_sent,
            errors=traffic.errors,
            rate_violations=ledger.total,
            compression_bytes_in=uncompressed,
            compression_bytes_out=compressed,
        )

    # Running

    async def run(
        self, *, listen: bool = True, task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """
        Listen and serve until drained or cancelled; started with itself once it listens.

        Cancelled, every connection still gets a close frame if that takes no longer than a second. `drain` is kinder.

        Args:
            listen: False to serve only what `accept` is given: memory streams in a test, say.

        Raises:
            ServerError: If it cannot listen.
        """
        settings = self.settings
        try:
            listeners = await open_listeners(settings.host, settings.port, settings.listen_backlog) if listen else []
            with counted_in(self.hub, self.pool, self.traffic, self.ledger):
                async with self._open_arrivals(), trio.open_nursery() as connections:
                    self._connections.nursery = connections
                    self.addresses = tuple(_address(listener) for listener in listeners)
                    await self._serve(listeners, connections, task_status)
                    connections.cancel_scope.cancel()
        finally:
            self._ended.set()

    async def _serve(
        self,
        listeners: Sequence[trio.SocketListener],
        connections: trio.Nursery,
        task_status: trio.TaskStatus[Server],
    ) -> None:
        """Serve until it is to end, then say good-bye to those that are there, and to those who still come."""
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(accept_connections, listener, self._accepted)
            if self.settings.demo:
                await connections.start(run_demo, self.hub)
            task_status.started(self)
            await self._drain.ending.requested.wait()
            await self._drain.finish()
            accepting.cancel_scope.cancel()

    @asynccontextmanager
    async def _open_arrivals(self) -> AsyncGenerator[None]:
        """Plain sockets are served by the driver, where there is one; TLS and other systems by streams."""
        if self._tls is not None or not SOCKETS_AVAILABLE:
            yield
            return
        async with open_socket_table() as table:
            self._arrivals = Arrivals(
                table,
                self._reception,
                limits=self.settings.limits,
                timeouts=self.hub.timeouts,
                unfinished=self._connections.unfinished,
                outcomes=self._connections,
            )
            try:
                yield
            finally:
                self._arrivals.close()

    def drain(self) -> None:
        """
        Let nobody new in, close every connection with 1012 spread over time, and then end; idempotent.

        Who comes meanwhile is answered, handshakes and changes over HTTP with 503, and does not make it longer.
        """
        self._drain.start()

    async def wait_ended(self) -> None:
        """
        Wait until `run` is over: nobody is connected any more, and another server may listen on the port.

        A checkpoint; any number of tasks may wait, and cancelling one changes nothing.
        """
        await self._ended.wait()

    def reload(self) -> None:
        """
        Read certificate and keys again; connections that there are stay.

        Raises:
            SettingsError: If something cannot be read; what was read before stays in use.
        """
        faults: list[str] = []
        for part in (self._tls, self.authenticator):
            try:
                if part is not None:
                    part.reload()
            except SettingsError as error:  # one bad file must not keep the others from being read
                faults.append(str(error))
        if faults:
            raise SettingsError("\n".join(faults))

    def accept(self, incoming: Incoming) -> None:
        """Serve one more connection, from elsewhere than the listeners, while the server runs."""
        self._connections.accept(incoming)

    def _accepted(self, descriptor: int, client: tuple[str, int]) -> None:
        if self._arrivals is not None:
            self._arrivals.add(descriptor, client)
            return
        connected = socket.socket(fileno=descriptor)
        try:
            self._accept_stream(connected, client)
        except BaseException:
            connected.close()
            raise

    def _accept_stream(self, connected: socket.socket, client: tuple[str, int]) -> None:
        stream: trio.abc.Stream = SocketStream(connected)
        prepare = None
        if self._tls is not None:
            secured = trio.SSLStream(stream, self._tls.context, server_side=True, https_compatible=True)
            stream, prepare = secured, secured.do_handshake
        incoming = Incoming(
            stream=stream, client=client, server=own_address(connected), secure=self._tls is not None
        )
        self._connections.accept(incoming, prepare)


def _by_path(profiles: Iterable[Profile]) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for profile in profiles:
        if profile.path in found:
            raise SettingsError(f"endpoints: there is one at {profile.path} already")
        found[profile.path] = profile
    return found


def _by_dialect(profiles: Iterable[Profile], pool: PoolStatistics) -> dict[str, EndpointFigures]:
    found: dict[str, EndpointFigures] = {}
    for profile in profiles:
        if profile.dialect is not None:
            before = found.get(profile.dialect, EndpointFigures(connections=0, maximum=0))
            active, most = pool.endpoints[profile.path]
            found[profile.dialect] = EndpointFigures(
                connections=before.connections + active, maximum=min(before.maximum + most, pool.limit)
            )
    return found


def _address(listener: trio.SocketListener) -> tuple[str, int]:
    name = listener.socket.getsockname()
    return str(name[0]), int(name[1])


async def serve(
    hub: Hub,
    settings: Settings | None = None,
    *,
    hooks: ConnectionHooks | None = None,
    endpoints: Mapping[str, EndpointHandler | MessageHandler] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Run a server; `await nursery.start(rtcore.serve, hub, settings)` returns it once it listens.

    Arguments and errors are those of `Server` and `Server.run`.
    """
    await Server(hub, settings, hooks=hooks, endpoints=endpoints).run(task_status=task_status)
