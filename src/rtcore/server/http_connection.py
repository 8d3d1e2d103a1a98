"""
h11's server side, which is given only heads that the listener's own reader takes.

h11 is looser than RFC 9112 in what it reads: lines that end in a bare LF, folded lines, control characters, targets and
hosts of any form, two `Content-Length` that say the same. The listener refuses all that in the first request of a
connection. What it would refuse there is refused in every later one too: a server that reads the second request
otherwise than the first, or than the proxy before it, is how requests are smuggled. So each head is held back until it
is whole and was read strictly; bodies go to h11 as they come.
"""

from __future__ import annotations

from typing import Any

import h11

from rtcore.errors import HandshakeRefused
from rtcore.protocol.handshake import asked_host
from rtcore.protocol.header_grammar import HeadReader, RequestHead, parse_request_head
from rtcore.values.limits import Limits

__all__ = ["StrictConnection"]

_NO_REQUEST = b"\0\r\n\r\n"
"""What h11 refuses whatever its version: shown to it in the place of a head that we refuse, so that it knows."""


class StrictConnection(h11.Connection):
    """
    One HTTP/1.1 connection of a server.

    Args:
        limits: `request_head_bytes`, `request_line_bytes` and `request_headers` are the bounds of a head.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limits.request_head_bytes)
        self.head: RequestHead | None = None
        """The head of the request that is being read or answered; None until it is whole."""
        self.refused: HandshakeRefused | None = None
        """Why the head was refused; None: it was not."""
        self._limits = limits
        self._head_reader = HeadReader(limits)

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the connection; empty: there are no more."""
        if not data or self.head is not None:
            super().receive_data(data)
        elif self.refused is None:
            self._read_head(bytes(data))

    def next_event(self) -> Any:  # Any: h11's own types are of classes that it does not name in public
        """
        The next event, as h11 has it.

        Raises:
            h11.RemoteProtocolError: As h11 does, and for a head that is refused here, with its status.
        """
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            if self.refused is None:
                raise
            raise h11.RemoteProtocolError(str(self.refused), error_status_hint=self.refused.status) from error

    def start_next_cycle(self) -> None:
        """Begin with the next request, whose head may have come already, behind the last body."""
        super().start_next_cycle()
        data, closed = self.trailing_data
        self.__init__(self._limits)  # type: ignore[misc]  # h11 has no other way to take bytes back from it
        if data:
            self.receive_data(data)
        if closed:
            self.receive_data(b"")

    def _read_head(self, data: bytes) -> None:
        try:
            found = self._head_reader.feed(data)
            if found is None:
                return
            head, rest = found
            self.head = parse_request_head(head, self._limits)
            asked_host(self.head)
            _check_framing(self.head)
        except HandshakeRefused as refused:
            self.head, self.refused = None, refused
            super().receive_data(_NO_REQUEST)
        else:
            super().receive_data(head + rest)


def _check_framing(head: RequestHead) -> None:
    """
    Refuse a body with two lengths, or a list of them: whoever stood between may have believed another one.

    Source: RFC 9112, sections 6.1 and 6.3.
    """
    length = head.get("content-length")
    if length is not None and not length.isdecimal():
        raise HandshakeRefused(400, "Content-Length is not a number")
    if head.get("transfer-encoding") is None:
        return
    if length is not None:
        raise HandshakeRefused(400, "Transfer-Encoding and Content-Length exclude each other")
    if head.version == "1.0":
        raise HandshakeRefused(400, "HTTP/1.0 has no Transfer-Encoding")
