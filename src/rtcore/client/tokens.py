"""Where the token comes from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from rtcore.errors import AuthenticationError

__all__ = ["Token", "get_token"]

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or what gets one: called before each `auth`, and again in time before the token's end."""


async def get_token(token: Token) -> str:
    """
    The token to authenticate with.

    Raises:
        OSError: Its source cannot be reached now.
        AuthenticationError: The function that gets it is at fault; the cause is what it raised.
    """
    try:
        found: object = token() if callable(token) else token
        if inspect.isawaitable(found):
            found = await found
    except OSError:
        raise
    except Exception as error:  # the caller's function may raise anything; whoever uses the client is told
        raise AuthenticationError(f"no token: its function raised {type(error).__name__}") from error
    if not isinstance(found, str):
        raise AuthenticationError(f"no token: its function returned {type(found).__name__}")
    return found
