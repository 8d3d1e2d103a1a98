"""What the end of a connection means: come back, or give up and say why."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from rtcore.errors import AuthenticationError, ConnectionClosed, ErrorCode, HandshakeRefused
from rtcore.values.opcodes import CloseCode

__all__ = ["Ending", "judge_ending"]

_FINAL_CODES: Final = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
    }
)
"""The server says that this client misbehaves: the same again would end the same way."""

_TRANSIENT_STATUSES: Final = frozenset({408, 425, 429})
"""Refusals below 500 after which the same request may succeed. Source: RFC 9110, RFC 8470, RFC 6585."""

_RETRY_HINT: Final = re.compile(r"retry[ _-]after[ =:]+(\d{1,6}(?:\.\d{1,3})?)", re.ASCII | re.IGNORECASE)


@frozen(kw_only=True)
class Ending:
    """How a connection, or an attempt at one, ended."""

    final: Exception | None
    """What every use of the client raises from now on; None: connect again."""
    retry_after: float | None
    """Seconds that the server asked for; None where it named none."""
    reason: str
    """The cause, in words for a person; parts of it come from the server."""


def judge_ending(error: Exception, *, new_token_possible: bool) -> Ending:
    """
    Decide from the cause.

    Args:
        error: What ended the connection or kept it from opening.
        new_token_possible: Whether the next attempt would bring another token than the one that ran out.
    """
    if isinstance(error, ConnectionClosed):
        return _judge_close(error, new_token_possible)
    if isinstance(error, HandshakeRefused):
        return _judge_refusal(error)
    if isinstance(error, AuthenticationError):
        return _judge_authentication(error, new_token_possible)
    return Ending(final=None, retry_after=None, reason=_words(error))


def _words(error: BaseException) -> str:
    """The cause; where Trio tried several addresses, what became of the last: its own words say little."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[-1]
    if type(error) is OSError and isinstance(cause, OSError):
        error = cause
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TimeoutError):
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _judge_close(error: ConnectionClosed, new_token_possible: bool) -> Ending:
    final: Exception | None = None
    if error.code == CloseCode.AUTHENTICATION_FAILED:
        final = AuthenticationError(error.reason or "the server refused the token")
    elif error.code == CloseCode.TOKEN_REVOKED:
        final = AuthenticationError(error.reason or "the token was revoked", code=ErrorCode.TOKEN_REVOKED)
    elif error.code == CloseCode.TOKEN_EXPIRED and not new_token_possible:
        final = AuthenticationError(error.reason or "the token expired", code=ErrorCode.TOKEN_EXPIRED)
    elif error.code in _FINAL_CODES:
        final = error
    hint = _RETRY_HINT.search(error.reason)
    return Ending(final=final, retry_after=float(hint[1]) if hint else None, reason=str(error))


def _judge_refusal(error: HandshakeRefused) -> Ending:
    transient = error.status >= 500 or error.status in _TRANSIENT_STATUSES
    retry_after = next((value for name, value in error.headers if name.lower() == "retry-after"), "")
    # The HTTP-date form is not used by rtcore, and a client's clock is no measure for it: it counts as no hint.
    seconds = float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after, re.ASCII) else None
    return Ending(final=None if transient else error, retry_after=seconds, reason=str(error))


def _judge_authentication(error: AuthenticationError, new_token_possible: bool) -> Ending:
    come_back = error.code is ErrorCode.TOKEN_EXPIRED and new_token_possible
    return Ending(final=None if come_back else error, retry_after=None, reason=error.message)
