"""Who wants to know of connections that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:  # it is told of connections, and they tell it
    from rtcore.transports.websocket_connection import WebSocketConnection

__all__ = ["UNOBSERVED", "Lifetime"]


class Lifetime(Protocol):
    """Told of each connection, once each way."""

    def opened(self, connection: WebSocketConnection) -> None:
        """It is there; what this raises closes it with 1011."""
        ...

    def closed(self, connection: WebSocketConnection) -> None:
        """It is over; called once for each that was `opened` without error."""
        ...

    def gone(self, connection: WebSocketConnection) -> None:
        """Its socket is closed; called once for each, whatever happened before."""
        ...


class _Unobserved:
    """Nobody wants to know."""

    def opened(self, connection: WebSocketConnection) -> None:
        return None

    def closed(self, connection: WebSocketConnection) -> None:
        return None

    def gone(self, connection: WebSocketConnection) -> None:
        return None


UNOBSERVED: Final = _Unobserved()
"""Nobody wants to know."""
