"""
A request head, from its bytes to its parts, read strictly.

The grammar is that of RFC 9112, sections 2 to 5, and nothing looser: see `rtcore.protocol.header_grammar` for why. This
is the reference. It looks at all header lines with one regular expression; line by line it goes only where that finds a
fault, to say which. The compiled twin reads plain heads by itself, and hands all others to this one.
"""

from __future__ import annotations

import re
from typing import Final

from rtcore.errors import HandshakeRefused
from rtcore.values.limits import Limits

__all__ = ["RequestHead", "check_head_bytes", "check_line_bytes", "parse_request_head", "whole_head_bytes"]

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER_LINE: Final = re.compile(_TOKEN + rb":[\t -~\x80-\xff]*")
_HEADER_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*\r\n)*")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
_TARGET: Final = re.compile(r"(?:https?://[^/?#\"<>]+)?(/[^?#\"<>]*)?(?:\?([^#\"<>]*))?", re.ASCII | re.IGNORECASE)

_SINGLE: Final = (
    "authorization",
    "content-length",
    "host",
    "origin",
    "sec-websocket-key",
    "sec-websocket-version",
)
"""Headers of which a request has one at most."""


class RequestHead:
    """
    The request line and the headers; not to be changed.

    Args:
        method: As it was sent.
        target: As it was sent.
        path: The target's path, not decoded; `/` where an absolute target has none, `*` of `OPTIONS *`.
        query: What follows the first question mark, not decoded.
        version: `1.1` or `1.0`: others are refused.
        headers: Names in lower case and values in Latin-1, without the spaces around them, in order.
    """

    __slots__ = ("_first", "headers", "method", "path", "query", "target", "version")

    def __init__(
        self, method: str, target: str, path: str, query: str, version: str, headers: tuple[tuple[str, str], ...]
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = version
        self.headers = headers
        self._first = dict(reversed(headers))

    def get(self, name: str) -> str | None:
        """The value of the first header of this name (in lower case); None where there is none."""
        return self._first.get(name)

    def get_all(self, name: str) -> tuple[str, ...]:
        """The values of all headers of this name (in lower case), in order."""
        first = self._first.get(name)
        if first is None:
            return ()
        if len(self._first) == len(self.headers):
            return (first,)
        return tuple([value for candidate, value in self.headers if candidate == name])


def parse_request_head(data: bytes, limits: Limits) -> RequestHead:
    """
    Read a request head.

    Args:
        data: The head, with the empty line that ends it.
        limits: `request_head_bytes`, `request_line_bytes` and `request_headers` are the bounds.

    Raises:
        HandshakeRefused: With 414 for a request line that is too long, 431 for headers that are too long or too many,
            505 for a version other than HTTP/1.1 and 1.0, 400 for everything else that the grammar does not allow.
    """
    if not data.endswith(b"\r\n\r\n"):
        raise HandshakeRefused(400, "request head has no end")
    request_line, _, lines = data[:-2].partition(b"\r\n")
    check_line_bytes(len(request_line), True, limits)
    check_head_bytes(len(data), limits)
    method, target, version = _parse_request_line(request_line)
    count = lines.count(b"\r\n")
    if count > limits.request_headers:
        raise HandshakeRefused(431, f"{count} headers exceed request_headers={limits.request_headers}")
    headers = _parse_headers(lines, limits)
    _check_headers(headers, version)
    path, query = _parse_target(method, target)
    return RequestHead(method, target, path, query, version, headers)


def whole_head_bytes(data: bytes) -> int:
    """
    The length of a head that came in one piece, as nearly all do, its closing empty line included.

    Args:
        data: The first bytes of a connection.

    Returns:
        0 if the head has not ended, begins with an empty line, or has a line that ends in a bare LF.
    """
    stop = data.find(b"\r\n\r\n") + 4
    if stop <= 4 or data.startswith(b"\r\n") or data.count(b"\n", 0, stop) != data.count(b"\r\n", 0, stop):
        return 0
    return stop


def check_line_bytes(length: int, is_request_line: bool, limits: Limits) -> None:
    """
    Return if a line of a head is not too long.

    Raises:
        HandshakeRefused: With 414 for the request line, 431 for a header.
    """
    if length > limits.request_line_bytes:
        status, name = (414, "request line") if is_request_line else (431, "header")
        raise HandshakeRefused(status, f"{name} exceeds request_line_bytes={limits.request_line_bytes}")


def check_head_bytes(length: int, limits: Limits) -> None:
    """
    Return if a head is not too long.

    Raises:
        HandshakeRefused: With 431.
    """
    if length > limits.request_head_bytes:
        raise HandshakeRefused(431, f"request head exceeds request_head_bytes={limits.request_head_bytes}")


def _parse_request_line(line: bytes) -> tuple[str, str, str]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HandshakeRefused(400, "malformed request line")
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):  # 1.0: what load balancers still check health with
        wanted = f"HTTP/{major.decode()}.{minor.decode()}"
        raise HandshakeRefused(505, f"{wanted} is not spoken here: only HTTP/1.1 and 1.0")
    return method.decode("ascii"), target.decode("ascii"), "1.1" if minor == b"1" else "1.0"


def _parse_headers(lines: bytes, limits: Limits) -> tuple[tuple[str, str], ...]:
    if len(lines) > limits.request_line_bytes or _HEADER_LINES.fullmatch(lines) is None:
        for line in lines.split(b"\r\n")[:-1]:
            check_line_bytes(len(line), False, limits)
            if _HEADER_LINE.fullmatch(line) is None:
                raise HandshakeRefused(400, "malformed header line")
    headers = []
    for text in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = text.partition(":")
        headers.append((name.lower(), value.strip(" \t")))
    return tuple(headers)


def _check_headers(headers: tuple[tuple[str, str], ...], version: str) -> None:
    first = dict(reversed(headers))
    if len(first) != len(headers):
        names = [name for name, _ in headers]
        for name in _SINGLE:
            if names.count(name) > 1:
                raise HandshakeRefused(400, f"more than one {name} header")
    host = first.get("host")
    if host is None:
        if version == "1.0":  # it knew no Host
            return
        raise HandshakeRefused(400, "no host header")
    if not _HOST.fullmatch(host):
        raise HandshakeRefused(400, "malformed host header")


def _parse_target(method: str, target: str) -> tuple[str, str]:
    if target == "*" and method == "OPTIONS":
        return "*", ""
    match = _TARGET.fullmatch(target)
    if match is None or not (target.startswith("/") or "://" in target):
        raise HandshakeRefused(400, "malformed request target")
    path, query = match.groups()
    return path or "/", query or ""
