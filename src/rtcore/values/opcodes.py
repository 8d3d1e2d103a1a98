"""Numbers of the WebSocket wire: opcodes and close codes."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode", "Opcode"]


class Opcode(IntEnum):
    """Frame opcodes. Source: RFC 6455, section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """
    Why a connection ended.

    Codes below 4000 are those of RFC 6455, section 7.4.1, and its registry; the codes from 4000 are rtcore's own and
    say whether coming back makes sense: see `docs/protocol.md`.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """Never sent: the peer's close frame carried no code."""
    ABNORMAL = 1006
    """Never sent: the connection was lost without a close frame."""
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013

    SLOW_CONSUMER = 4000
    """The peer did not read for too long or fell too far behind; reconnect and resume."""
    IDLE_TIMEOUT = 4001
    """No message from the peer for `Limits.idle_seconds`."""
    PING_TIMEOUT = 4002
    """A ping stayed unanswered for `Limits.pong_seconds`."""
    AUTHENTICATION_TIMEOUT = 4003
    """No valid `auth` within `Limits.authentication_seconds`."""
    AUTHENTICATION_FAILED = 4004
    """The token was refused; do not reconnect with the same one."""
    TOKEN_EXPIRED = 4005
    """The token ran out and was not refreshed in time; reconnect with a new one."""
    TOKEN_REVOKED = 4006
    """The token or its user was revoked; do not reconnect with the same one."""
