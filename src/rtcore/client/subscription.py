"""What `client.subscribe` gives: events in their order, and notices where some are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from rtcore.client.events import ReceivedEvent
from rtcore.client.feed import ChannelStart, Feed
from rtcore.client.messages import Message
from rtcore.errors import ConnectionClosed
from rtcore.values.events import Json

__all__ = ["Subscription"]


class Subscription:
    """
    Events of one or more channels, over as many connections as it takes.

    Iterate to get `ReceivedEvent`s. Where events are missing, a `DroppedNotice` says which; after each lost connection
    a `RecoveryNotice` per channel says whether anything was. Both are `ReceivedEvent`s whose `notice` is true.
    """

    __slots__ = ("_feed", "_positions", "_request")

    def __init__(self, feed: Feed, request: Callable[[str, dict[str, Json]], Awaitable[Message]]) -> None:
        self._feed = feed
        self._request = request
        self._positions: dict[str, str] = {}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._feed.channels

    @property
    def started(self) -> Mapping[str, ChannelStart]:
        """How each channel began on the present connection."""
        return dict(self._feed.starts)

    @property
    def positions(self) -> Mapping[str, str]:
        """
        Position of the last event that was received from here, per channel.

        What a program keeps to go on after its own restart, as `since={"positions": ...}`.
        """
        return dict(self._positions)

    @property
    def waiting(self) -> int:
        """Events that have arrived and were not received yet."""
        return len(self._feed.mailbox)

    async def receive(self) -> ReceivedEvent:
        """
        The next event or notice; a checkpoint.

        Cancelling it takes nothing. Several tasks may receive; each event goes to one of them.

        Raises:
            RequestError: If the server refused to go on with the subscription after a reconnect.
            AuthenticationError: If it refused the token.
            HandshakeRefused: If it refused the connection for good.
            ConnectionClosed: If it closed the connection for good, or the client's block was left.
        """
        while True:
            arrival = await self._feed.mailbox.take()
            if arrival.position:
                self._positions[arrival.channel] = arrival.position
            if arrival.event is not None:
                return arrival.event

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> ReceivedEvent:
        return await self.receive()

    async def set_filters(self, where: Mapping[str, Json] | None) -> None:
        """
        Let other events pass from now on; while away, from the next connection on.

        A checkpoint. Cancelled, either filter may be the one that holds.

        Raises:
            RequestError: If the filter is not valid; the former one stays.
        """
        former, self._feed.where = self._feed.where, dict(where or {})
        if not self._feed.active:
            return
        try:
            await self._request("set_filters", {"channels": list(self.channels), "where": dict(where or {})})
        except ConnectionClosed:
            if self._feed.mailbox.ended:
                raise
        except Exception:
            self._feed.where = former
            raise
