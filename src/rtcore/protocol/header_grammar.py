"""
The head of an HTTP/1.1 request, read strictly.

What is looser than the grammar here is refused, not repaired: another party on the way may have repaired it
differently, and two readings of one request are how requests are smuggled. Refused are lines that end in a bare LF,
folded lines, spaces before a colon, control characters, a second `Host`, and all else the grammar has no place for.

Sources: RFC 9112, sections 2 to 5; RFC 9110, section 5.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from rtcore.errors import HandshakeRefused
from rtcore.values.limits import Limits

__all__ = ["HeadReader", "RequestHead", "parse_request_head", "split_list"]

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER_LINE: Final = re.compile(rb"(" + _TOKEN + rb"):([\t -~\x80-\xff]*)")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
_TARGET: Final = re.compile(r"(?:https?://[^/?#\"<>]+)?(/[^?#\"<>]*)?(?:\?([^#\"<>]*))?", re.ASCII | re.IGNORECASE)

_SINGLE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "host",
        "origin",
        "sec-websocket-key",
        "sec-websocket-version",
    }
)
"""Headers of which a request has one at most."""


@frozen(kw_only=True)
class RequestHead:
    """The request line and the headers."""

    method: str
    target: str
    """As it was sent."""
    path: str
    """The target's path, not decoded; `/` where an absolute target has none, `*` of `OPTIONS *`."""
    query: str
    """What follows the first question mark, not decoded."""
    version: str
    """Always `1.1`: others are refused."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case and values in Latin-1, without the spaces around them, in order."""

    def get(self, name: str) -> str | None:
        """The value of the first header of this name (in lower case); None where there is none."""
        for candidate, value in self.headers:
            if candidate == name:
                return value
        return None

    def get_all(self, name: str) -> tuple[str, ...]:
        """The values of all headers of this name (in lower case), in order."""
        return tuple(value for candidate, value in self.headers if candidate == name)


class HeadReader:
    """
    Collects a request head as it comes, and refuses one that grows too long before it is whole.

    Every byte is looked at once, whatever the pieces. One empty line before the request line is passed over, as RFC
    9112, section 2.2, asks.

    Args:
        limits: `request_head_bytes` and `request_line_bytes` are the bounds.
    """

    __slots__ = ("_buffer", "_limits", "_line_start", "_lines", "_passed_over", "_scanned")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._lines = 0
        self._line_start = 0
        self._passed_over = False
        self._scanned = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes held of a head that is not whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """
        Take the next bytes of the connection.

        Args:
            data: n >= 0 bytes, cut anywhere.

        Returns:
            The head with its closing empty line, and what came after it; None if the head has not ended.

        Raises:
            HandshakeRefused: With 400 at a bare LF; 414 or 431 as soon as a line or the head is too long.
        """
        buffer = self._buffer
        buffer += data
        while True:
            newline = buffer.find(b"\n", self._scanned)
            if newline < 0:
                self._scanned = len(buffer)
                self._check_line(self._scanned - self._line_start)
                self._check_head(self._scanned)
                return None
            if newline == 0 or buffer[newline - 1] != 0x0D:
                raise HandshakeRefused(400, "line ends in a bare LF")
            length = newline - 1 - self._line_start
            self._check_line(length)
            self._check_head(newline + 1)
            if length == 0:
                if self._lines:
                    return bytes(buffer[: newline + 1]), bytes(buffer[newline + 1 :])
                if self._passed_over:
                    raise HandshakeRefused(400, "request begins with empty lines")
                self._passed_over = True
                del buffer[: newline + 1]
                newline = -1
            else:
                self._lines += 1
            self._line_start = self._scanned = newline + 1

    def _check_line(self, length: int) -> None:
        _check_line_bytes(length, self._lines == 0, self._limits)

    def _check_head(self, length: int) -> None:
        _check_head_bytes(length, self._limits)


def parse_request_head(data: bytes, limits: Limits) -> RequestHead:
    """
    Read a request head.

    Args:
        data: The head, with the empty line that ends it.
        limits: `request_head_bytes`, `request_line_bytes` and `request_headers` are the bounds.

    Raises:
        HandshakeRefused: With 414 for a request line that is too long, 431 for headers that are too long or too many,
        505
            for a version other than HTTP/1.1 and 1.0, 400 for everything else that the grammar does not allow.
    """
    if not data.endswith(b"\r\n\r\n"):
        raise HandshakeRefused(400, "request head has no end")
    lines = data[:-4].split(b"\r\n")
    _check_line_bytes(len(lines[0]), True, limits)
    _check_head_bytes(len(data), limits)
    method, target, version = _parse_request_line(lines[0])
    if len(lines) - 1 > limits.request_headers:
        raise HandshakeRefused(431, f"{len(lines) - 1} headers exceed request_headers={limits.request_headers}")
    headers = tuple(_parse_header(line, limits) for line in lines[1:])
    _check_headers(headers, version)
    path, query = _parse_target(method, target)
    return RequestHead(method=method, target=target, path=path, query=query, version=version, headers=headers)


def split_list(values: tuple[str, ...]) -> tuple[str, ...]:
    """
    The elements of a comma-separated list that may be spread over several headers; empty elements are left out, as RFC
    9110, section 5.6.1.2, asks. Not for lists with quoted strings.
    """
    elements = (element.strip(" \t") for value in values for element in value.split(","))
    return tuple(element for element in elements if element)


def _check_line_bytes(length: int, is_request_line: bool, limits: Limits) -> None:
    if length > limits.request_line_bytes:
        status, name = (414, "request line") if is_request_line else (431, "header")
        raise HandshakeRefused(status, f"{name} exceeds request_line_bytes={limits.request_line_bytes}")


def _check_head_bytes(length: int, limits: Limits) -> None:
    if length > limits.request_head_bytes:
        raise HandshakeRefused(431, f"request head exceeds request_head_bytes={limits.request_head_bytes}")


def _parse_request_line(line: bytes) -> tuple[str, str, str]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HandshakeRefused(400, "malformed request line")
    method, target, major, minor = (part.decode("ascii") for part in match.groups())
    if major != "1" or minor not in ("0", "1"):  # 1.0: what load balancers still check health with
        raise HandshakeRefused(505, f"HTTP/{major}.{minor} is not spoken here: only HTTP/1.1 and 1.0")
    return method, target, f"{major}.{minor}"


def _parse_header(line: bytes, limits: Limits) -> tuple[str, str]:
    _check_line_bytes(len(line), False, limits)
    match = _HEADER_LINE.fullmatch(line)
    if match is None:
        raise HandshakeRefused(400, "malformed header line")
    name, value = match.groups()
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


def _check_headers(headers: tuple[tuple[str, str], ...], version: str) -> None:
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise HandshakeRefused(400, f"more than one {name} header")
    host = next((value for name, value in headers if name == "host"), None)
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
