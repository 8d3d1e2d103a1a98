"""What the parts of the feature share: where notifications are, who waits for what, and how it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import trio
from attrs import define, evolve, field, frozen

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.notifications.identifiers import Identifiers
from rtcore.features.notifications.inbox import Inbox, unread_in
from rtcore.features.notifications.inboxes import Inboxes
from rtcore.features.notifications.notification import Notification, Place, ProgressStatus, Taken
from rtcore.features.notifications.notification_json import to_wire
from rtcore.features.notifications.notification_store import NotificationStore, size_of
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.hub.hub import Hub
from rtcore.store.store import Store
from rtcore.values.events import Json, Lane

__all__ = ["Counters", "Desk", "NotificationStatistics", "Waiter", "not_found"]

_logger = logging.getLogger("rtcore.notifications")

_URGENT: Final = "crisis"


@define(eq=False)
class Waiter:
    """A task that waits for what somebody chooses."""

    over: trio.Event = field(factory=trio.Event)
    taken: Taken | None = None


@frozen(kw_only=True)
class NotificationStatistics:
    """A snapshot."""

    inboxes: int
    """Inboxes in memory."""
    bytes: int
    """What they count, in bytes."""
    sent: int
    """Notifications sent so far."""
    read: int
    """Notifications read so far, by each reader."""
    escalated: int
    """Steps taken so far."""
    ended: int
    """Notifications that went by themselves: expired, or no longer kept."""
    untold: int
    """Events that the hub had no channel for: the notification is in its inbox all the same."""
    visitors: int
    """Users who are subscribed to their inbox, or their workspace's."""
    waiting: int
    """Tasks that wait for what somebody chooses."""


@define(eq=False)
class Counters:
    """What the statistics count."""

    sent: int = 0
    read: int = 0
    escalated: int = 0
    ended: int = 0
    untold: int = 0


class Desk:
    """See the module."""

    def __init__(self, hub: Hub, store: Store, settings: NotificationSettings) -> None:
        self.hub = hub
        self.settings = settings
        self.store = NotificationStore(store)
        self.inboxes = Inboxes(self.store, settings.cache_bytes, self._on_loaded)
        self.identifiers = Identifiers()
        self.counters = Counters()
        self.progressing: dict[str, Notification] = {}
        """Those whose progress a block of this process tells: as they are now, not as they were written last."""
        self.settle_at: Callable[[float], None] = lambda _: None
        """Called with each time at which something has to be done."""
        self.running = False
        self._waiters: dict[str, set[Waiter]] = {}

    def check_running(self) -> None:
        """Raises HubClosed unless the hub runs."""
        if not self.running:
            raise HubClosed("the hub does not run: open_hub runs it")

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.hub.clock()

    async def place_of(self, id: str) -> Place:
        """
        Whose a notification is; a checkpoint.

        Raises:
            RequestError: `request.not_found`: there is none.
        """
        place = await self.store.find_place(id) if id else None
        if place is None:
            raise not_found()
        return place

    def _on_loaded(self, inbox: Inbox) -> None:
        for notification in list(inbox):
            progress, current = notification.progress, self.progressing.get(notification.id)
            if current is not None:
                inbox.put(current, size_of(current))
            elif progress is not None and progress.attached and progress.status is ProgressStatus.RUNNING:
                ended = evolve(notification, progress=evolve(progress, status=ProgressStatus.INTERRUPTED))
                inbox.put(ended, size_of(ended))

    # Telling

    def tell(self, place: Place, type: str, data: Json, *, lane: Lane = Lane.NORMAL, key: str | None = None) -> None:
        """
        Publish an event, if there may be somebody to read it; otherwise it is mentioned, for the activity timeline.

        A channel that is not there has no subscriber and no history, and whoever subscribes later is told the state. So
        a notification to somebody who is away costs no channel.
        """
        try:
            channel = place.channel
        except ValueError:  # it can have none, and so no subscriber
            return
        if self.hub.position(channel) is None:
            self.hub.registry.mention(channel, type, data, self.now)
            return
        try:
            self.hub.publish(channel, type, data, lane=lane, key=key)
        except RequestError as error:
            self.counters.untold += 1
            _logger.warning("%s on %s could not be told: %s", type, channel, error)
            self.hub.registry.mention(channel, type, data, self.now)
        except HubClosed:
            _logger.info("%s on %s: nobody is left to be told", type, channel)

    def tell_new(self, notification: Notification, replaced: Iterable[str]) -> None:
        """A notification that was sent."""
        replaces: list[Json] = list(replaced)
        lane = Lane.HIGH if notification.kind == _URGENT else Lane.NORMAL
        self.tell(notification.place, "notification", to_wire(notification, {"replaces": replaces or None}), lane=lane)

    def tell_updated(self, notification: Notification) -> None:
        """A notification that was changed: told as a whole, so that the last one alone will do."""
        self.tell(notification.place, "notification.updated", to_wire(notification), key=notification.id)

    def show_changed(self, inbox: Inbox, changed: Notification) -> None:
        """A notification is so from now on, and is told."""
        inbox.put(changed, size_of(changed))
        if changed.id in self.progressing:
            self.progressing[changed.id] = changed
        self.tell_updated(changed)

    def tell_gone(self, place: Place, ids: Iterable[str], reason: str, **more: Json) -> None:
        """Notifications that are there no more."""
        gone: list[Json] = list(ids)
        if gone:
            self.tell(place, "notification.withdrawn", {"ids": gone, "reason": reason, **more})

    # Reading

    def unread(self, reader: Inbox, board: Inbox, marks: ReadMarks | None = None) -> int:
        """How many a user has not read, of both kinds."""
        marks, now = reader.marks if marks is None else marks, self.now
        return len(unread_in(reader, marks, now)) + len(unread_in(board, marks, now))

    # Waiting

    def wait_for(self, id: str) -> Waiter:
        """Begin to wait for what somebody chooses; to be given back to `forget_waiter`."""
        waiter = Waiter()
        self._waiters.setdefault(id, set()).add(waiter)
        return waiter

    def forget_waiter(self, id: str, waiter: Waiter) -> None:
        """It waits no longer."""
        waiters = self._waiters.get(id, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiters.pop(id, None)

    def settle(self, id: str, taken: Taken | None) -> None:
        """Somebody has chosen; or, with None, nobody will."""
        for waiter in self._waiters.pop(id, set()):
            waiter.taken = taken
            waiter.over.set()

    def close(self) -> None:
        """Let everybody who waits look again."""
        self.running = False
        for id in list(self._waiters):
            self.settle(id, None)

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return sum(map(len, self._waiters.values()))


def not_found() -> RequestError:
    """The words are the same for one that is not there and one that is another's."""
    return RequestError(ErrorCode.NOT_FOUND, "id: there is no such notification", field="id")
