"""
Hypercorn's HTTP/1.1 state machine, narrowed to what rtcore serves.

Left out: HTTP/2 (both ways into it), WebSocket (the listener takes upgrades before they come here) and reply bodies for
errors that are not JSON. Added: bounds on a complete request head, which h11 enforces only while a head is incomplete,
and an honest `Connection: close` whenever this reply will be the last one.
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

from rtcore.server.http_errors import refusal_body
from rtcore.values.limits import Limits

__all__ = ["BoundedH11Protocol"]

_CLOSE = (b"connection", b"close")


class BoundedH11Protocol(H11Protocol):
    """One HTTP/1.1 connection: bytes in through `handle`, bytes out through the `send` it was given."""

    limits: Limits = Limits()
    _held: bytes = b""

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
        refusal = self._refusal(request)
        if refusal is not None:
            await self._send_error_response(refusal)
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
                headers=list(request.headers),
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii").upper(),
                raw_path=_origin_form(request.target),
                state=self.connection_state,
            )
        )

    def _refusal(self, request: h11.Request) -> int | None:
        """The status that a complete head is refused with; None when it is served."""
        if request.http_version not in (b"1.0", b"1.1"):
            return 505
        if len(request.target) > self.limits.request_line_bytes:
            return 414
        lengths = [len(name) + len(value) for name, value in request.headers]
        if len(lengths) > self.limits.request_headers or sum(lengths) > self.limits.request_head_bytes:
            return 431
        if any(name == b"upgrade" and b"websocket" in value.lower() for name, value in request.headers):
            # Only the first request of a connection can become a WebSocket; by now the bytes belong to HTTP.
            return 400
        return None

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
        body = refusal_body(status_code)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), _CLOSE]
        await self._send_h11_event(
            h11.Response(
                status_code=status_code,
                headers=list(chain(headers, self.config.response_headers("h11"))),
            )
        )
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def _origin_form(target: bytes) -> bytes:
    """The path and query of a request target; a server must accept the absolute form too. RFC 9112, section 3.2.2."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target
    _, slash, path = rest.partition(b"/")
    return slash + path if slash else b"/"
