"""What waits between the socket and the consumer of one subscription: bounded, and never a cause of standstill."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio
from attrs import define, field, frozen

from rtcore.client.events import ReceivedEvent

__all__ = ["Arrival", "Mailbox"]


@frozen
class Arrival:
    """Something for the consumer: an event, or only a newer position of a channel whose filter let nothing pass."""

    channel: str
    event: ReceivedEvent | None
    position: str
    """Where to go on from once the consumer has had this; empty: as before."""


@define(eq=False)
class Mailbox:
    """
    A queue whose producer may wait for room and whose consumer waits for something to come.

    Putting never blocks: the producer puts what it has read, then waits for room before it reads on.
    """

    limit: int
    """Arrivals above which the producer waits."""
    maximum: int
    """The same while `pressed()` is true."""
    pressed: Callable[[], bool]
    """Whether something else needs what the producer will read next, such as a reply."""
    _arrivals: deque[Arrival] = field(factory=deque, init=False)
    _room: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    _something: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    _end: Exception | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._arrivals)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be put."""
        return self._end is not None

    def put(self, arrival: Arrival) -> None:
        """Add one; it is left out once the mailbox has ended."""
        if self._end is not None:
            return
        last = self._arrivals[-1] if self._arrivals else None
        if arrival.event is None and last is not None and last.event is None and last.channel == arrival.channel:
            self._arrivals[-1] = arrival
        else:
            self._arrivals.append(arrival)
        self._something.unpark(count=1)

    async def wait_room(self) -> None:
        """Wait until there is room. A checkpoint only when it must wait: it is called after every message."""
        while self._full():
            await self._room.park()

    def look_again(self) -> None:
        """Let the producer see whether there is room by now: `pressed` may have changed."""
        self._room.unpark_all()

    async def take(self) -> Arrival:
        """
        Remove and return the oldest; a checkpoint. Cancelling takes nothing.

        Raises:
            Exception: What `end` was called with, once everything before it was taken.
        """
        await trio.lowlevel.checkpoint()
        while not self._arrivals:
            if self._end is not None:
                raise self._end.with_traceback(None)  # one object for all callers: it must not gather their frames
            await self._something.park()
        arrival = self._arrivals.popleft()
        if not self._full():
            self._room.unpark_all()
        return arrival

    def end(self, error: Exception) -> None:
        """Nothing more will come; the first call decides."""
        if self._end is None:
            self._end = error
        self._something.unpark_all()
        self._room.unpark_all()

    def _full(self) -> bool:
        waiting = len(self._arrivals)
        return self._end is None and waiting >= self.limit and (waiting >= self.maximum or not self.pressed())
