"""
Everything that rtcore raises.

    RtcoreError
    +-- SettingsError              a setting is wrong; names its path
    +-- LocalProtocolError         our caller broke the protocol: a bug on this side
    +-- RemoteProtocolError        the peer broke the protocol; carries the close code that it earns
    +-- HandshakeRefused           the request is answered with an HTTP status instead of an upgrade
    +-- ConnectionClosed           nobody's fault: the connection is over; carries code and reason
    +-- RequestError               what a client may see: code, message, transient, retry_after, field
    |   +-- AuthenticationError    the token is missing, malformed, expired, revoked or not ours
    +-- ConditionError             the condition of an alert rule cannot be read; carries the column
    +-- DeliveryFailed             a notification did not get out; says whether trying again may help
    +-- HubClosed                  the hub has ended
    +-- ServerError                the server could not start
    +-- OutputFailed               the producer of an output that is read failed
    +-- OutputCancelled            somebody asked for the end of an output that is read
    +-- StoreError                 what must survive a restart could not be opened, read or written
    +-- ProcessNotStarted          a command could not be run at all
    +-- ProcessFailed              a command ended with an exit code other than 0, or by a signal

Whose fault it is decides the class. A message names the value and the limit, and never a secret.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "TRANSIENT_CODES",
    "AuthenticationError",
    "ConditionError",
    "ConnectionClosed",
    "DeliveryFailed",
    "ErrorCode",
    "HandshakeRefused",
    "HubClosed",
    "LocalProtocolError",
    "OutputCancelled",
    "OutputFailed",
    "ProcessFailed",
    "ProcessNotStarted",
    "RemoteProtocolError",
    "RequestError",
    "RtcoreError",
    "ServerError",
    "SettingsError",
    "StoreError",
]


class ErrorCode(StrEnum):
    """
    Codes of `error` messages. The part before the dot is the family, the part after it the case.

    `request.*` is the client's to mend and permanent; `access.*` needs another identity; `limit.*` and `server.*` may
    pass by themselves where `TRANSIENT_CODES` lists them.
    """

    MALFORMED = "request.malformed"
    """Not JSON, not an object, or a field of the wrong type."""
    UNKNOWN_TYPE = "request.unknown_type"
    UNKNOWN_CHANNEL = "request.unknown_channel"
    """The channel name is not valid, or the connection is not subscribed to it."""
    INVALID_FILTER = "request.invalid_filter"
    INVALID_POSITION = "request.invalid_position"
    CONFLICT = "request.conflict"
    """The same idempotency key came with another body, or the same thing was done already."""
    NOT_FOUND = "request.not_found"
    """There is nothing of this name; over HTTP: nothing at this path."""
    METHOD_NOT_ALLOWED = "request.method_not_allowed"
    """Over HTTP: there is something at this path, but not for this method."""
    UNSUPPORTED_MEDIA_TYPE = "request.unsupported_media_type"
    """Over HTTP: the body is not `application/json`."""
    AUTHENTICATION_REQUIRED = "access.authentication_required"
    AUTHENTICATION_FAILED = "access.authentication_failed"
    TOKEN_EXPIRED = "access.token_expired"
    TOKEN_REVOKED = "access.token_revoked"
    DENIED = "access.denied"
    RATE = "limit.rate"
    TOO_LARGE = "limit.too_large"
    TOO_DEEP = "limit.too_deep"
    TOO_MANY_CHANNELS = "limit.too_many_channels"
    BUSY = "limit.busy"
    UNAVAILABLE = "server.unavailable"
    TIMEOUT = "server.timeout"
    INTERNAL = "server.internal"


TRANSIENT_CODES = frozenset(
    {ErrorCode.RATE, ErrorCode.BUSY, ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.INTERNAL}
)
"""Codes after which the same request may succeed later."""


class RtcoreError(Exception):
    """The root of rtcore's exceptions; never raised itself."""

    def __new__(cls, *args: object, **kwargs: object) -> RtcoreError:
        if cls is RtcoreError:
            raise TypeError("RtcoreError is abstract: raise one of its subclasses")
        return super().__new__(cls, *args)


class SettingsError(RtcoreError):
    """A setting is wrong. The message has one line per fault, each with its path, such as `$.limits.connections`."""


class ServerError(RtcoreError):
    """The server could not start."""


class StoreError(RtcoreError):
    """
    A store could not be opened, read or written: the disk is full, the file is damaged, in use, or not ours.

    The message names the file and what the system says. Where a write raises it, nothing of that write is to be seen.
    """


class ProcessNotStarted(RtcoreError):
    """A command could not be run at all. The message names no argument: arguments may be secret."""


class ProcessFailed(RtcoreError):
    """A command ended with an exit code other than 0, or by a signal. The message names no argument."""

    def __init__(self, message: str, *, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode
        """The exit code; the negated number of the signal where one ended it."""


class OutputFailed(RtcoreError):
    """The producer of an output failed; what it had written can still be read."""


class OutputCancelled(RtcoreError):
    """Somebody asked for the end of an output; what it had written can still be read."""


class LocalProtocolError(RtcoreError):
    """Our caller did something that the protocol forbids; nothing was sent."""


class RemoteProtocolError(RtcoreError):
    """The peer did something that the protocol forbids."""

    def __init__(self, message: str, *, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code
        """The code to close the connection with. Source: RFC 6455, section 7.4.1."""


class HandshakeRefused(RtcoreError):
    """The upgrade is refused with an HTTP status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        code: ErrorCode | None = None,
        head_only: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.code = code
        """What the body says; None: what the status means."""
        self.head_only = head_only
        """Whether the answer must have no body, as that to HEAD."""


class ConnectionClosed(RtcoreError):
    """The connection is over."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"connection closed with {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class RequestError(RtcoreError):
    """A request that was not carried out, in words that its sender may read."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retry_after: float | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        """Seconds after which the same request may succeed; None where waiting does not help or nobody knows."""
        self.field = field
        """Path of the field at fault, such as `data.channels[0]`; None where none is."""

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in TRANSIENT_CODES


class AuthenticationError(RequestError):
    """The token does not open this door. The message says why in general terms and never repeats the token."""

    def __init__(self, message: str, *, code: ErrorCode = ErrorCode.AUTHENTICATION_FAILED) -> None:
        super().__init__(code, message)


class ConditionError(RtcoreError):
    """The condition of an alert rule cannot be read, or never has a value."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column
        """Where in the text, from 1."""


class DeliveryFailed(RtcoreError):
    """A notification did not get out. The message names neither the secrets nor the path of where it should go."""

    def __init__(self, message: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether the same notification may get out later."""
        self.retry_after = retry_after
        """Seconds that the other side asks to be left alone for; None where it does not say."""


class HubClosed(RtcoreError):
    """The hub has ended; nothing can be published or subscribed to any more."""
