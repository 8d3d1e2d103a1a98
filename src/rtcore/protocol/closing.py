"""
Close frames: what may stand in them.

Source: RFC 6455, sections 5.5.1 and 7.4, and the registry of close codes that it opened (1012 to 1014 came later).
"""

from __future__ import annotations

from rtcore._fast import is_utf8
from rtcore.errors import LocalProtocolError, RemoteProtocolError
from rtcore.values.opcodes import CloseCode

__all__ = ["REASON_BYTES", "encode_close_payload", "is_valid_close_code", "parse_close_payload"]

REASON_BYTES = 123
"""Longest reason, in bytes of UTF-8: a control frame has 125, of which the code takes two."""


def is_valid_close_code(code: int) -> bool:
    """
    Whether this code may stand in a close frame: registered for the wire, or of the ranges for libraries and users.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def parse_close_payload(payload: bytes) -> tuple[int, str]:
    """
    Code and reason of a close frame.

    Args:
        payload: 0 to 125 bytes.

    Returns:
        1005 and an empty reason where the payload is empty.

    Raises:
        RemoteProtocolError: With 1002 if the payload has one byte or its code may not be sent; with 1007 if the reason
        is
            not UTF-8.
    """
    if not payload:
        return CloseCode.NO_STATUS.value, ""
    if len(payload) < 2:
        raise RemoteProtocolError("close frame has a payload of 1 byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_close_code(code):
        raise RemoteProtocolError(f"close code {code} must not be sent")
    reason = payload[2:]
    if not is_utf8(reason):
        raise RemoteProtocolError("reason in close frame is not UTF-8", close_code=CloseCode.INVALID_DATA)
    return code, reason.decode()


def encode_close_payload(code: int, reason: str = "") -> bytes:
    """
    The payload of a close frame.

    Args:
        code: 1005 for an empty payload, or a code that may be sent.
        reason: For people to read; cut at a character's end to 123 bytes of UTF-8.

    Raises:
        LocalProtocolError: If the code may not be sent, or a reason comes without a code.
    """
    if code == CloseCode.NO_STATUS:
        if reason:
            raise LocalProtocolError("a close frame without a code cannot have a reason")
        return b""
    if not is_valid_close_code(code):
        raise LocalProtocolError(f"close code {code} must not be sent")
    octets = reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore").encode()
    return code.to_bytes(2, "big") + octets
