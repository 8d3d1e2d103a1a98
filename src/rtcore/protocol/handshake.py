"""
The opening handshake: from a request head to the response that opens the connection, or the one that refuses it.

Source: RFC 6455, sections 4.2 and 9.1; RFC 9110, sections 7.8 and 15.5.22.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from attrs import define

from rtcore.errors import TRANSIENT_CODES, ErrorCode, HandshakeRefused
from rtcore.protocol.compression import CompressionParameters, CompressionSettings, Extension, negotiate_compression
from rtcore.protocol.header_grammar import RequestHead, split_list
from rtcore.values.shown import show

__all__ = [
    "Accepted",
    "accept_handshake",
    "accept_key",
    "asked_host",
    "parse_extensions",
    "refusal_response",
    "select_subprotocol",
    "wants_websocket",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What the server appends to the client's key. Source: RFC 6455, section 1.3."""
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==", re.ASCII)
"""The base64 of 16 bytes: the last character carries two bits, and the other four of a canonical text are zero."""
_VERSION: Final = "13"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PARAMETER: Final = re.compile(
    r"[ \t]*;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    r'(?:[ \t]*=[ \t]*(?:([!#$%&\'*+.^_`|~0-9A-Za-z-]+)|"((?:[\t !#-\[\]-~]|\\[\t -~])*)"))?',
    re.ASCII,
)
_AUTHORITY_END: Final = re.compile(r"[/?]")
_CODES: Final = MappingProxyType(
    {
        401: ErrorCode.AUTHENTICATION_FAILED,
        403: ErrorCode.DENIED,
        404: ErrorCode.NOT_FOUND,
        405: ErrorCode.METHOD_NOT_ALLOWED,
        414: ErrorCode.TOO_LARGE,
        429: ErrorCode.RATE,
        431: ErrorCode.TOO_LARGE,
        503: ErrorCode.BUSY,
    }
)
"""What a status means, where the refusal does not say; all others: malformed."""
_UPGRADE_REQUIRED: Final = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION))
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_AGREEMENTS: Final = 256
"""Agreements remembered: browsers make a handful of offers, and other clients a few more."""
_OFFER_LENGTH: Final = 256
"""Longest offer that is remembered, in characters, so that nobody can keep much memory with strange ones."""


@define  # for each connection; a frozen one costs 2.4 times as much to make
class Accepted:
    """A handshake that succeeded; not to be changed."""

    response: bytes
    """What to write, whole, before the first frame."""
    subprotocol: str | None
    """The one agreed on; None for none."""
    compression: CompressionParameters | None
    """What was agreed on; None for no compression."""


def wants_websocket(head: RequestHead) -> bool:
    """Whether the request asks for WebSocket, rightly or wrongly: `accept_handshake` says which."""
    return _lists(head, "upgrade", "websocket")


def asked_host(head: RequestHead) -> str | None:
    """
    The host that a request is for: that of an absolute target, whatever the `Host` header says; None for neither.

    Source: RFC 9112, section 3.2.2.

    Raises:
        HandshakeRefused: There is a user before the host, which no client sends. Source: RFC 9110, section 4.2.4.
    """
    scheme, separator, rest = head.target.partition("://")
    if not separator or not scheme.isalpha():
        return head.get("host")
    host = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    if "@" in host:
        raise HandshakeRefused(400, "the target has a user before its host")
    return host


def accept_handshake(
    head: RequestHead,
    *,
    subprotocols: Sequence[str] = (),
    compression: CompressionSettings | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Accepted:
    """
    Answer an upgrade.

    Args:
        head: The request.
        subprotocols: Those the server speaks; the client's order decides among them.
        compression: What the server is willing to do; None for no compression.
        headers: More headers of the response, already safe to write.

    Raises:
        HandshakeRefused: With 405 if the method is not GET; 426 if the request asks for no upgrade or another version
        than
            13; 400 for everything else that RFC 6455, section 4.2.1, asks for and the request lacks.
    """
    _check_upgrade(head)
    key = _checked_key(head)
    subprotocol = select_subprotocol(head, subprotocols)
    agreed = _agree(head.get_all("sec-websocket-extensions"), compression)
    response = _SWITCHING + _accept_bytes(key)
    if subprotocol is not None:
        response += b"\r\nSec-WebSocket-Protocol: " + subprotocol.encode("ascii")
    if agreed is not None:
        response += b"\r\nSec-WebSocket-Extensions: " + agreed[1]
    for name, value in headers:
        response += f"\r\n{name}: {value}".encode("latin-1")
    return Accepted(response + b"\r\n\r\n", subprotocol, None if agreed is None else agreed[0])


def accept_key(key: str) -> str:
    """The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`. Source: RFC 6455, section 4.2.2."""
    return _accept_bytes(key).decode("ascii")


def _accept_bytes(key: str) -> bytes:
    # SHA-1 proves that the server read the key; nothing here rests on its strength.
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False)


def select_subprotocol(head: RequestHead, subprotocols: Sequence[str]) -> str | None:
    """
    The first subprotocol that the client offers and the server speaks; None if there is none, which is no error.

    Raises:
        HandshakeRefused: With 400 if an offer is not a token, or comes twice. Source: RFC 6455, section 4.1, item 10.
    """
    values = head.get_all("sec-websocket-protocol")
    if not values:
        return None
    # Not remembered, as extensions are: some clients put a token here, since browsers let a page set no other header.
    offered = split_list(values)
    if any(not _TOKEN.fullmatch(name) for name in offered):
        raise HandshakeRefused(400, "Sec-WebSocket-Protocol is not a list of tokens")
    if len(set(offered)) != len(offered):
        raise HandshakeRefused(400, "Sec-WebSocket-Protocol offers the same twice")
    return next((name for name in offered if name in subprotocols), None)


def parse_extensions(values: Sequence[str]) -> tuple[Extension, ...]:
    """
    The offers of all `Sec-WebSocket-Extensions` headers, in order.

    Raises:
        HandshakeRefused: With 400 if they do not follow the grammar. Source: RFC 6455, section 9.1.
    """
    return tuple(extension for value in values for extension in _parse_extension_list(value))


def _agree(
    values: tuple[str, ...], compression: CompressionSettings | None
) -> tuple[CompressionParameters, bytes] | None:
    """What is agreed on for these headers, and the value of the response's; None for no compression."""
    if not values:
        return None
    if len(values) == 1 and len(values[0]) <= _OFFER_LENGTH:
        return _remembered_agreement(values, compression)
    return _agreement(values, compression)


def _agreement(
    values: tuple[str, ...], compression: CompressionSettings | None
) -> tuple[CompressionParameters, bytes] | None:
    offers = parse_extensions(values)
    agreed = None if compression is None else negotiate_compression(offers, compression)
    return None if agreed is None else (agreed[0], agreed[1].encode("ascii"))


_remembered_agreement = lru_cache(maxsize=_AGREEMENTS)(_agreement)


def refusal_response(refused: HandshakeRefused) -> bytes:
    """
    The whole HTTP/1.1 response to a request that was refused, with a JSON body that says why; it ends the connection.

    For HEAD there is the length of that body, and no more. Source: RFC 9110, section 9.3.2.
    """
    try:
        phrase = HTTPStatus(refused.status).phrase
    except ValueError:
        phrase = "Refused"
    body = _refusal_body(refused)
    upgrade = any(name.lower() == "upgrade" for name, _ in refused.headers)
    lines = [
        f"HTTP/1.1 {refused.status} {phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        # Whoever sends Upgrade must name it in Connection. Source: RFC 9110, section 7.8.
        "Connection: close, Upgrade" if upgrade else "Connection: close",
    ]
    lines.extend(f"{name}: {value}" for name, value in refused.headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (b"" if refused.head_only else body)


def _refusal_body(refused: HandshakeRefused) -> bytes:
    """The error that all of HTTP answers with, so that a client has one shape to read."""
    code = refused.code or _CODES.get(refused.status, ErrorCode.MALFORMED)
    retry_after = next((float(value) for name, value in refused.headers if name.lower() == "retry-after"), None)
    error = {
        "code": code.value,
        "message": str(refused),
        "transient": code in TRANSIENT_CODES,
        "retry_after": retry_after,
        "field": None,
    }
    return json.dumps({"error": error}).encode()


def _lists(head: RequestHead, name: str, token: str) -> bool:
    first = head.get(name)
    if first is None:
        return False
    if first.lower() == token:  # alone, as it nearly always comes
        return True
    return any(element.lower() == token for element in split_list(head.get_all(name)))


def _check_upgrade(head: RequestHead) -> None:
    """Everything that must hold before the key is looked at."""
    if head.method != "GET":
        problem = f"a WebSocket handshake is a GET, got {show(head.method)}"
        raise HandshakeRefused(405, problem, headers=(("Allow", "GET"),), head_only=head.method == "HEAD")
    if head.version != "1.1":
        raise HandshakeRefused(505, f"a WebSocket handshake is HTTP/1.1, not {head.version}")
    if not wants_websocket(head):
        raise HandshakeRefused(426, "this is a WebSocket endpoint", headers=_UPGRADE_REQUIRED)
    if not _lists(head, "connection", "upgrade"):
        raise HandshakeRefused(400, "Connection does not name Upgrade")
    if head.get("transfer-encoding") is not None or head.get("content-length") not in (None, "0"):
        raise HandshakeRefused(400, "a WebSocket handshake has no body")
    version = head.get("sec-websocket-version")
    if version != _VERSION:
        message = "no Sec-WebSocket-Version" if version is None else "Sec-WebSocket-Version is not 13"
        raise HandshakeRefused(426, message, headers=_UPGRADE_REQUIRED)


def _checked_key(head: RequestHead) -> str:
    key = head.get("sec-websocket-key")
    if key is None:
        raise HandshakeRefused(400, "no Sec-WebSocket-Key")
    if not _KEY.fullmatch(key):
        raise HandshakeRefused(400, "Sec-WebSocket-Key is not the base64 of 16 bytes")
    return key


def _parse_extension_list(value: str) -> list[Extension]:
    extensions = []
    position = 0
    while True:
        position = _skip_spaces(value, position)
        if position < len(value) and value[position] != ",":
            extension, position = _parse_extension(value, position)
            extensions.append(extension)
            position = _skip_spaces(value, position)
        if position == len(value):
            return extensions
        if value[position] != ",":
            raise _malformed_extensions()
        position += 1


def _parse_extension(value: str, position: int) -> tuple[Extension, int]:
    name = _TOKEN.match(value, position)
    if name is None:
        raise _malformed_extensions()
    position = name.end()
    parameters = []
    while (match := _PARAMETER.match(value, position)) is not None:
        position = match.end()
        parameters.append((match[1], _parameter_value(match[2], match[3])))
    return Extension(name[0], tuple(parameters)), position


def _parameter_value(token: str | None, quoted: str | None) -> str | None:
    """A quoted value must be a token once it is unquoted. Source: RFC 6455, section 9.1."""
    if quoted is None:
        return token
    value = re.sub(r"\\(.)", r"\1", quoted)
    if not _TOKEN.fullmatch(value):
        raise _malformed_extensions()
    return value


def _skip_spaces(value: str, position: int) -> int:
    while position < len(value) and value[position] in " \t":
        position += 1
    return position


def _malformed_extensions() -> HandshakeRefused:
    return HandshakeRefused(400, "malformed Sec-WebSocket-Extensions")
