"""
A connection's deadlines: what must have happened by when.

Pure arithmetic on times given from outside: nothing here waits. One timer a connection asks `due` when it fires, and
is told
what is to be done and when to ask again. Messages and pongs only write a time down.
"""

from __future__ import annotations

import math
from enum import IntEnum, auto
from typing import Final

from attrs import define

from rtcore.errors import ErrorCode
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["ConnectionTimers", "Due"]

_NEGLIGIBLE_SECONDS: Final = 0.001
_AWAY_SECONDS: Final = 1.0


class Due(IntEnum):
    """What a deadline that has passed asks for."""

    NOTHING = auto()
    PING = auto()
    AUTHENTICATION_TIMEOUT = auto()
    TOKEN_EXPIRED = auto()
    IDLE_TIMEOUT = auto()
    PING_TIMEOUT = auto()
    SLOW_CONSUMER = auto()
    CLOSE_TIMEOUT = auto()


_ENDINGS: Final[dict[Due, tuple[CloseCode, ErrorCode | None, str]]] = {
    Due.AUTHENTICATION_TIMEOUT: (
        CloseCode.AUTHENTICATION_TIMEOUT,
        ErrorCode.AUTHENTICATION_REQUIRED,
        "no valid auth message within authentication_seconds={limits.authentication_seconds:g}",
    ),
    Due.TOKEN_EXPIRED: (CloseCode.TOKEN_EXPIRED, ErrorCode.TOKEN_EXPIRED, "the token has expired"),
    Due.IDLE_TIMEOUT: (CloseCode.IDLE_TIMEOUT, None, "no message for idle_seconds={limits.idle_seconds:g}"),
    Due.PING_TIMEOUT: (CloseCode.PING_TIMEOUT, None, "no answer to a ping for pong_seconds={limits.pong_seconds:g}"),
    Due.SLOW_CONSUMER: (
        CloseCode.SLOW_CONSUMER,
        None,
        "slow consumer: nothing was taken for slow_consumer_seconds={limits.slow_consumer_seconds:g}",
    ),
}
"""How a connection ends by each of its deadlines: close code, the `error` told before it, and a form for the reason."""

_GRAVEST_FIRST: Final = (
    Due.AUTHENTICATION_TIMEOUT,
    Due.TOKEN_EXPIRED,
    Due.SLOW_CONSUMER,
    Due.IDLE_TIMEOUT,
    Due.PING_TIMEOUT,
    Due.PING,
)


@define(eq=False)
class ConnectionTimers:
    """Times on Trio's clock, in seconds; infinity: not running."""

    limits: Limits
    last_message: float
    """When the last message came: a heartbeat is one, a pong is not."""
    last_received: float
    """When anything came."""
    pinged: float = -math.inf
    """When the last ping left."""
    authenticate_by: float = math.inf
    expires: float = math.inf
    """When the token ends."""
    blocked_since: float = math.inf
    """Since when no byte was taken although some wait."""
    close_by: float = math.inf
    """When the closing handshake must be over."""

    def received(self, now: float, *, message: bool) -> None:
        """Something came."""
        self.last_received = now
        if message:
            self.last_message = now

    def away(self, seconds: float) -> None:
        """Nobody read for so long, because a handler was at work: the peer is not to blame for that time."""
        if seconds < _NEGLIGIBLE_SECONDS:
            return  # and an idle connection's times stay one number, not three
        self.last_message += seconds
        self.last_received += seconds
        self.pinged += seconds

    def due(self, now: float) -> Due:
        """The gravest deadline that has passed."""
        if now >= self.close_by:
            return Due.CLOSE_TIMEOUT
        if math.isfinite(self.close_by):
            return Due.NOTHING
        for deadline, due in zip(self._deadlines(), _GRAVEST_FIRST, strict=True):
            if now >= deadline:
                return due
        return Due.NOTHING

    def ending(self, due: Due) -> tuple[CloseCode, ErrorCode | None, str] | None:
        """How a connection ends when this is due: close code, the `error` told before, and why; None: it does not."""
        if due not in _ENDINGS:
            return None
        code, error_code, reason = _ENDINGS[due]
        return code, error_code, reason.format(limits=self.limits)

    def next(self) -> float:
        """When to ask again."""
        if math.isfinite(self.close_by):
            return self.close_by
        return min(self._deadlines())

    def next_while_away(self, now: float) -> float:
        """
        When to ask again while nobody reads: what waits for the peer moves on with the time, so not every moment.
        """
        slow = self.blocked_since + self.limits.slow_consumer_seconds
        fixed = min(self.close_by, self.authenticate_by, self.expires, slow)
        return min(fixed, max(self.next(), now + _AWAY_SECONDS))

    def _deadlines(self) -> tuple[float, ...]:
        """In the order of `_GRAVEST_FIRST`."""
        limits = self.limits
        unanswered = self.pinged > self.last_received
        return (
            self.authenticate_by,
            self.expires,
            self.blocked_since + limits.slow_consumer_seconds,
            self.last_message + limits.idle_seconds if limits.idle_seconds else math.inf,
            self.pinged + limits.pong_seconds if unanswered else math.inf,
            math.inf if unanswered or not limits.ping_seconds else self.last_received + limits.ping_seconds,
        )
