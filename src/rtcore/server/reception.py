"""
Reception: a connection's first bytes, up to the point where it is known what it wants.

The request head is read within a deadline and limits. An upgrade at a known path becomes a WebSocket connection;
anything
else that is HTTP goes, unread bytes and all, to the HTTP side. A refusal is one complete HTTP response, and the
connection
is read to its end for a moment, since a socket closed with bytes unread takes its last answer back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import trio
from attrs import define, field, frozen

from rtcore.errors import AuthenticationError, ErrorCode, HandshakeRefused
from rtcore.protocol.compression import CompressionLevel, CompressionSettings
from rtcore.protocol.handshake import Accepted, accept_handshake, asked_host, refusal_response, wants_websocket
from rtcore.protocol.header_grammar import HeadReader, RequestHead, parse_request_head
from rtcore.server.admission import ConnectionPool
from rtcore.server.authentication import Authenticator, bearer_token
from rtcore.server.ending import Ending
from rtcore.server.incoming import Incoming, Peer
from rtcore.server.origins import OriginPolicy
from rtcore.server.profiles import Profile
from rtcore.server.proxies import ProxyTrust
from rtcore.server.settings import Settings
from rtcore.server.waiting import header_seconds
from rtcore.values.identity import NOBODY, Identity

__all__ = ["HttpRequest", "Reception", "Upgrade", "refuse"]

logger = logging.getLogger("rtcore.reception")

_RECEIVE_BYTES: Final = 64 * 1024
_LINGER_SECONDS: Final = 0.2
_REFUSAL_SECONDS: Final = 2.0  # time for the peer to read why; more would let refused connections pile up


@frozen(kw_only=True)
class HttpRequest:
    """A connection for the HTTP side, with what was read of it."""

    bytes_read: bytes = field(repr=False)


@define(kw_only=True)  # for each connection; a frozen one costs 2.4 times as much to make
class Upgrade:
    """A handshake that succeeded, its answer not yet written; not to be changed."""

    profile: Profile
    accepted: Accepted
    identity: Identity | None
    """None: the client has yet to authenticate in its first message."""
    address: str
    """Whom the connection counts for: the peer, or the client that a trusted proxy names."""
    early: bytes = field(repr=False)
    """Bytes that came after the request."""


class Reception:
    """
    Args:
        settings: Limits and compression.
        profiles: Endpoints by path.
        pool: Room for connections.
        ending: Once it has begun, there is room for nobody.
        origins: Which pages may connect.
        proxies: Whose word on a client's address is taken.
        authenticator: Verifies tokens; None: nobody needs one.
        anonymous: Who a client without a token is, where none is needed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        profiles: Mapping[str, Profile],
        pool: ConnectionPool,
        ending: Ending,
        origins: OriginPolicy,
        proxies: ProxyTrust,
        authenticator: Authenticator | None,
        anonymous: Identity,
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._pool = pool
        self._ending = ending
        self._origins = origins
        self._proxies = proxies
        self._authenticator = authenticator
        self._anonymous = anonymous
        level = CompressionLevel(settings.compression)
        self._compression = None if level is CompressionLevel.NONE else CompressionSettings(level=level)

    async def receive(self, incoming: Incoming) -> Upgrade | HttpRequest | None:
        """
        What a connection wants; None if it left or was too slow. The handshake's deadline is the caller's.

        Raises:
            HandshakeRefused: If it gets no further than this.
        """
        reader = HeadReader(self._settings.limits)
        while True:
            data = await incoming.stream.receive_some(_RECEIVE_BYTES)
            if not data:
                return None
            found = reader.feed(bytes(data))
            if found is not None:
                return self.decide(incoming.peer, *found)

    def decide(self, connected: Peer, head_bytes: bytes, rest: bytes) -> Upgrade | HttpRequest:
        """
        What a whole request head wants.

        Args:
            connected: Who sent it.
            head_bytes: The head, with the empty line that ends it.
            rest: What came after it.

        Raises:
            HandshakeRefused: If it gets no further than this.
        """
        head = parse_request_head(head_bytes, self._settings.limits)
        profile = self._profiles.get(head.path)
        if profile is None or (head.path == "/" and not wants_websocket(head)):  # a page may be at `/` too
            if wants_websocket(head):
                raise HandshakeRefused(404, "there is no WebSocket endpoint at this path")
            return HttpRequest(bytes_read=head_bytes + rest)
        accepted = accept_handshake(head, subprotocols=profile.subprotocols, compression=self._compression)
        peer = connected.client[0]
        secure = connected.secure or self._proxies.is_secure(peer, head)
        token_needed = self._authenticator is not None and not profile.anonymous
        self._origins.check(head.get("origin"), asked_host(head), secure=secure, token_needed=token_needed)
        identity = self._identify(head, profile)
        address = self._proxies.client_address(peer, head)
        self._check_open()
        self._pool.admit(address, profile.path)  # last of all, since from here on there is something to give back
        return Upgrade(
            profile=profile, accepted=accepted, identity=identity, address=address, early=rest
        )

    def _check_open(self) -> None:
        if self._ending.requested.is_set():
            headers = (("Retry-After", header_seconds(self._ending.retry_after())),)
            raise HandshakeRefused(503, "the server is ending", headers=headers, code=ErrorCode.UNAVAILABLE)

    def _identify(self, head: RequestHead, profile: Profile) -> Identity | None:
        if self._authenticator is None:
            return self._anonymous
        if profile.anonymous:
            return NOBODY
        values = head.get_all("authorization")
        try:
            if len(values) > 1:
                raise AuthenticationError("the Authorization header comes twice")
            if values:
                return self._authenticator.authenticate(bearer_token(values[0]))
            if not profile.authenticates_itself:
                raise AuthenticationError("a token is needed in the Authorization header")
        except AuthenticationError as error:
            challenge = (("WWW-Authenticate", "Bearer"),)
            raise HandshakeRefused(401, error.message, headers=challenge, code=error.code) from error
        return None


async def refuse(stream: trio.abc.Stream, refused: HandshakeRefused) -> None:
    """Write the refusal, say that nothing follows, and read until the peer has seen it; a moment at most."""
    with trio.move_on_after(_REFUSAL_SECONDS):
        try:
            await stream.send_all(refusal_response(refused))
            if isinstance(stream, trio.abc.HalfCloseableStream):
                await stream.send_eof()
                patience = _REFUSAL_SECONDS
            else:  # TLS: the peer cannot be told; it is given the time that the answer takes to arrive
                patience = _LINGER_SECONDS
            with trio.move_on_after(patience):
                while await stream.receive_some(_RECEIVE_BYTES):
                    pass  # thrown away: nothing that follows a refused request is looked at
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            logger.debug("refused connection is gone: %s", error)
