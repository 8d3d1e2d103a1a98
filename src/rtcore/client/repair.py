"""In-band repair: what the server dropped is asked for again, while its history still holds it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable

import trio
from attrs import define, evolve, field

from rtcore.client.events import DroppedNotice, DroppedRange, ReceivedEvent
from rtcore.client.messages import Message, decode_event, field_of
from rtcore.errors import RequestError
from rtcore.values.events import Json

__all__ = ["Repairs"]

Replay = Callable[[dict[str, Json]], Awaitable[Message]]
"""Sends a `replay` and returns the `data` of its reply."""


@define(eq=False)
class Repairs:
    """
    Losses that wait to be repaired, oldest first.

    A loss leaves the list only when all of it was delivered or told, so a connection that ends meanwhile costs nothing:
    the next one goes on behind the last event that arrived.
    """

    limit: int
    """Losses that may wait."""
    _waiting: deque[DroppedNotice] = field(factory=deque, init=False)
    _added: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    def add(self, notice: DroppedNotice) -> bool:
        """Remember a loss; False when there is no room and it must be told instead."""
        if len(self._waiting) >= self.limit:
            return False
        self._waiting.append(notice)
        self._added.unpark_all()
        return True

    def give_up(self, channel: str | None = None) -> list[DroppedNotice]:
        """Forget what cannot be repaired any more, of one channel or of all, and return it."""
        lost = [notice for notice in self._waiting if channel in (None, notice.channel)]
        self._waiting = deque(notice for notice in self._waiting if notice not in lost)
        return lost

    async def run(
        self,
        replay: Replay,
        deliver: Callable[[ReceivedEvent], None],
        tell: Callable[[DroppedNotice], None],
        wait_room: Callable[[], Awaitable[None]],
    ) -> None:
        """
        Repair until cancelled; one task at a time.

        Args:
            replay: Raises `RequestError` when the server refuses for good.
            deliver: Hands an event over.
            tell: Says what could not be repaired.
            wait_room: Waits until the consumer has room for more.
        """
        while True:
            while not self._waiting:
                await self._added.park()
            notice = self._waiting[0]
            try:
                reply = await replay({"channel": notice.channel, "ranges": _wire(notice.ranges)})
            except RequestError:
                self._settle(notice, notice, False, tell)
                continue
            events = [decode_event(message, repaired=True) for message in field_of(reply, "events", list)]
            rest = _without(notice, events)
            # No checkpoint until the list says the same as the mailbox, or a lost connection would repeat events.
            for event in events:
                deliver(event)
            self._settle(notice, rest, reply.get("more") is True and bool(events) and bool(rest.ranges), tell)
            await wait_room()

    def _settle(
        self, notice: DroppedNotice, rest: DroppedNotice, more: bool, tell: Callable[[DroppedNotice], None]
    ) -> None:
        if not self._waiting or self._waiting[0] is not notice:
            return  # given up meanwhile, and told then
        self._waiting.popleft()
        if more:
            self._waiting.appendleft(rest)
        elif rest.count > 0:
            tell(rest)


def _wire(ranges: tuple[DroppedRange, ...]) -> Json:
    return [{"lane": entry.lane.name.lower(), "from": entry.first, "to": entry.last} for entry in ranges]


def _without(notice: DroppedNotice, events: list[ReceivedEvent]) -> DroppedNotice:
    """What is left of a loss after these events of it, the oldest, have come."""
    if not events:
        return notice
    settled = max(event.offset for event in events)
    types = Counter(notice.types) - Counter(event.type for event in events)
    ranges = tuple(
        evolve(entry, first=max(entry.first, settled + 1)) for entry in notice.ranges if entry.last > settled
    )
    return evolve(notice, count=max(notice.count - len(events), 0), types=dict(types), ranges=ranges)
