"""
Hypercorn's HTTP/1.1 state machine, narrowed to what rtcore serves.

Left out: HTTP/2 (both ways into it), WebSocket (the listener takes upgrades before they come here) and reply bodies for
errors that are not JSON. Added: every head is read as strictly as a connection's first (`StrictConnection`), and an
honest `Connection: close` whenever this reply will be the last one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import h11
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import Event, Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent

from rtcore.protocol.handshake import asked_host, wants_websocket
from rtcore.protocol.header_grammar import RequestHead
from rtcore.server.http_connection import StrictConnection
from rtcore.server.http_errors import refusal_body
from rtcore.values.limits import Limits

__all__ = ["BoundedH11Protocol"]

_CLOSE = (b"connection", b"close")


class BoundedH11Protocol(H11Protocol):
    """One HTTP/1.1 connection: bytes in through `handle`, bytes out through the `send` it was given."""

    connection: StrictConnection
    _held: bytes = b""

    def read_strictly(self, limits: Limits) -> None:
        """Before the first byte: with these bounds on a head."""
        self.connection = StrictConnection(limits)

    @property
    def owes_input(self) -> bool:
        """Whether the client may still be sending something that nobody will read as HTTP."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    async def stream_send(self, event: Event) -> None:
        """Send a part of a reply, saying so when the connection ends after it."""
        if isinstance(event, Response) and event.status_code >= 200 and self._is_last():
            event = replace(event, headers=[*event.headers, _CLOSE])
        await super().stream_send(event)

    def _is_last(self) -> bool:
        # A reply that comes before the end of the request's body leaves bytes behind that nobody will read as HTTP.
        return self.context.terminated.is_set() or self.connection.their_state is h11.SEND_BODY

    async def _check_protocol(self, event: h11.Request) -> None:
        """Never switch to HTTP/2: an `Upgrade: h2c` may be ignored. Source: RFC 9110, section 7.8."""

    async def _create_stream(self, request: h11.Request) -> None:
        head = self.connection.head
        assert head is not None, "h11 has seen no other"
        if wants_websocket(head):
            # Only the first request of a connection can become a WebSocket; by now the bytes belong to HTTP.
            await self._send_error_response(400)
            await self.send(Closed())
            return
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=_headers(head),
                http_version=head.version,
                method=head.method,  # as it is: to whom case matters, `get` is no GET (RFC 9110, section 9.1)
                raw_path=(f"{head.path}?{head.query}" if head.query else head.path).encode("ascii"),
                state=self.connection_state,
            )
        )

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Write the head of a reply together with what follows it: one packet and one system call for most replies."""
        try:
            data = self._held + (self.connection.send(event) or b"")
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        self._held = data if isinstance(event, h11.Response) else b""
        if data and not self._held:
            await self.send(RawData(data))

    async def _send_error_response(self, status_code: int) -> None:
        refused = self.connection.refused
        body = refusal_body(status_code, problem=None if refused is None else str(refused))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), _CLOSE]
        await self._send_h11_event(
            h11.Response(
                status_code=status_code,
                headers=list(chain(headers, self.config.response_headers("h11"))),
            )
        )
        head = self.connection.head
        if head is None or head.method != "HEAD":
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def _headers(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """The headers, with the host that the target names where it names one. Source: RFC 9112, section 3.2.2."""
    host = asked_host(head)
    headers = [(name, value) for name, value in head.headers if name != "host"]
    if host is not None:
        headers.insert(0, ("host", host))
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
