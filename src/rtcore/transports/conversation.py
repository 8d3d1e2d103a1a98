"""
What a connection's messages are for: one that handles them as they come, mostly without waiting.

Nearly every message can be dealt with on the spot, by whoever read it: then its connection's task is not woken, which
costs as much as all the rest. What has to wait returns something to be awaited, and the task does that.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from rtcore.protocol.protocol_events import MessageReceived

__all__ = ["Conversation"]


class Conversation(Protocol):
    """One connection's side of what is said on it. Only `handle` may lead to waiting."""

    def begin(self) -> None:
        """The connection is there; called once, before anything else."""
        ...

    def handle(self, message: MessageReceived) -> Awaitable[None] | None:
        """
        Deal with a message; what this raises closes the connection with 1011.

        Returns:
            None if that is done; otherwise what the connection's task awaits before the next message is handled.
        """
        ...

    def pinged(self) -> None:
        """A ping came, and was answered."""
        ...

    def end(self) -> None:
        """The connection is over; called once if it has begun."""
        ...
