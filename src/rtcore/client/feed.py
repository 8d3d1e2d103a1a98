"""
One subscription as the connection sees it: what it asked for, how far it is, and what waits for its consumer.

Two positions are kept per channel. `held` is that of the last arrival put into the mailbox: a new connection goes on
from there, because what is in the mailbox will be delivered. That of the last arrival taken is the consumer's own, and
it may keep that over a restart of the program.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field, frozen

from rtcore.client.events import DroppedNotice, ReceivedEvent, dropped_notice, epoch_of, recovery_notice
from rtcore.client.mailbox import Arrival, Mailbox
from rtcore.client.messages import Message, field_of
from rtcore.client.outbox import Request
from rtcore.client.repair import Repairs
from rtcore.errors import RemoteProtocolError
from rtcore.values.events import Json

__all__ = ["ChannelStart", "Feed"]


@frozen(kw_only=True)
class ChannelStart:
    """How a subscription to one channel began."""

    channel: str
    position: str
    """Everything up to here is settled; replayed and live events follow."""
    recovered: bool | None
    """Whether everything that was asked for is still held; None where nothing was asked for."""
    replayed: int
    """Events of the past that follow before the first live one."""
    snapshot: Json = None
    """The state behind the channel, of a feature that keeps one; None also where none was told."""
    snapshot_offset: int | None = None
    """The last event that is in `snapshot`: those above it are the changes to it. None: no state was told."""


@define(eq=False)
class Feed:
    """The state of one subscription, over all its connections."""

    channels: tuple[str, ...]
    where: dict[str, Json] | None
    since: Json
    """Where the first connection begins; None: with what comes next."""
    batch: Json
    mailbox: Mailbox
    repairs: Repairs | None
    """None: losses are told, not repaired."""
    wall_clock: Callable[[], float]
    begun: trio.Event = field(factory=trio.Event, init=False)
    """Set at the first `subscribed`, or when none can come any more."""
    starts: dict[str, ChannelStart] = field(factory=dict, init=False)
    """How each channel began on the present connection."""
    held: dict[str, str] = field(factory=dict, init=False)
    active: bool = field(default=False, init=False)
    """Whether the present connection has confirmed it; events before that belong to an earlier subscription."""
    error: Exception | None = field(default=None, init=False)
    request: Request | None = field(default=None, init=False)
    """The unanswered `subscribe`."""
    scope: trio.CancelScope | None = field(default=None, init=False)
    """Of the task that looks after it on the present connection."""

    def wire(self) -> dict[str, Json]:
        """The `data` of its `subscribe`: from the last position on, once there is one."""
        data: dict[str, Json] = {"channels": list(self.channels)}
        since: Json = {"positions": dict(self.held)} if self.held else self.since
        for name, value in (("where", self.where), ("since", since), ("batch", self.batch)):
            if value is not None and value is not False:
                data[name] = value
        return data

    def begin(self, reply: Message) -> None:
        """Take note of `subscribed`; the events that follow are this subscription's."""
        channels = field_of(reply, "channels", dict)
        starts = {channel: _start(channel, channels.get(channel)) for channel in self.channels}
        again = bool(self.held)
        for start in starts.values():
            self._begin_channel(start, again)
        self.starts = starts
        self.active = True
        self.begun.set()

    def _begin_channel(self, start: ChannelStart, again: bool) -> None:
        before = self.held.get(start.channel, "")
        self.held[start.channel] = start.position
        if self.repairs is not None and before and epoch_of(before) != epoch_of(start.position):
            for lost in self.repairs.give_up(start.channel):
                self.tell(lost)
        if not again and start.recovered is not False:
            self.mailbox.put(Arrival(start.channel, None, start.position))
            return
        notice = recovery_notice(
            start.channel,
            recovered=start.recovered is True,
            replayed=start.replayed,
            before=before,
            position=start.position,
            now=self.wall_clock(),
            snapshot=start.snapshot,
            snapshot_offset=start.snapshot_offset,
        )
        self.mailbox.put(Arrival(start.channel, notice, start.position))

    def suspend(self) -> None:
        """The connection is gone."""
        self.active = False
        self.request = None
        self.scope = None

    def fail(self, error: Exception) -> None:
        """Nothing more will come; the consumer gets what waits, then the error."""
        if self.repairs is not None:
            for notice in self.repairs.give_up():
                self.tell(notice)
        self.error = self.error or error
        self.active = False
        self.mailbox.end(error)
        self.begun.set()

    def accept(self, event: ReceivedEvent) -> None:
        """An event of one of its channels."""
        if self.active:
            self.held[event.channel] = event.position
            self.mailbox.put(Arrival(event.channel, event, event.position))

    def accept_dropped(self, notice: DroppedNotice) -> None:
        """A loss: repaired where that is wished and there is room to remember it, told otherwise."""
        if not self.active:
            return
        self.held[notice.channel] = notice.position
        if self.repairs is not None and self.repairs.add(notice):
            self.mailbox.put(Arrival(notice.channel, None, notice.position))
        else:
            self.mailbox.put(Arrival(notice.channel, notice, notice.position))

    def accept_position(self, channel: str, position: str) -> None:
        """A newer position of a channel, from a heartbeat: its filter let nothing pass meanwhile."""
        if self.active and self.held.get(channel) != position:
            self.held[channel] = position
            self.mailbox.put(Arrival(channel, None, position))

    def deliver_repaired(self, event: ReceivedEvent) -> None:
        """An event that was dropped and asked for again: the position stays, it is ahead of it."""
        self.mailbox.put(Arrival(event.channel, event, ""))

    def tell(self, notice: DroppedNotice) -> None:
        """A loss that could not be repaired; its position was settled long ago."""
        held = self.held.get(notice.channel, "")
        late = dropped_notice(notice.channel, notice.types, notice.ranges, notice.count, self.wall_clock(), held)
        self.mailbox.put(Arrival(notice.channel, late, ""))


def _start(channel: str, entry: object) -> ChannelStart:
    if not isinstance(entry, dict) or entry.get("recovered") not in (None, True, False):
        raise RemoteProtocolError("the server's `subscribed` does not say how each channel begins")
    return ChannelStart(
        channel=channel,
        position=field_of(entry, "position", str),
        recovered=entry.get("recovered"),
        replayed=field_of(entry, "replayed", int),
        snapshot=entry.get("snapshot"),
        snapshot_offset=field_of(entry, "snapshot_offset", int) if "snapshot_offset" in entry else None,
    )
