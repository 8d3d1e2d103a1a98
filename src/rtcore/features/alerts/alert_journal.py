"""
Written first, told then: the order between the store and the world.

`record` takes what came about and returns at once; the journal's task writes all that has gathered in one go, and
tells it then, in order. A command takes `settled`: it holds the lock, and what came before it has been told. What waits
is bounded: when the store does not answer for long, the oldest is told without being written, as it is when writing
fails. Where its rule stands is written then as soon as the store takes it: until then it is tried again, with a pause
that doubles.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from rtcore.errors import ErrorCode, RequestError, StoreError
from rtcore.features.alerts.alert_store import AlertStore
from rtcore.features.alerts.announcements import AlertEvent, Announcement, Announcer
from rtcore.features.alerts.delivery import Delivery
from rtcore.features.alerts.rule_book import RuleBook, WatchedRule
from rtcore.store.portions import portions
from rtcore.store.store import Change
from rtcore.values.limits import Limits

__all__ = ["AlertJournal"]

_logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
"""How long what could not be written waits at first: a disk that is full stays so for a while."""
_LONGEST_RETRY_SECONDS: Final = 60.0
"""And at last: each try is a line in the log."""


@define(eq=False)
class AlertJournal:
    """Writes what became of alerts, and tells it."""

    records: AlertStore
    book: RuleBook = field(repr=False)
    announcer: Announcer = field(repr=False)
    most: int
    """Most announcements that wait for the store."""
    lock: trio.Lock = field(init=False, factory=trio.Lock)
    """Held by whoever writes."""
    _pending: deque[Announcement] = field(init=False, factory=deque)
    _ended: list[str] = field(init=False, factory=list)
    """Keys of deliveries that need not be kept any more."""
    _unsaved: set[str] = field(init=False, factory=set)
    """Rules whose state could not be written."""
    _pause: float = field(init=False, default=math.inf)
    """Seconds until what could not be written is tried again."""
    _something: trio.Event = field(init=False, factory=trio.Event)
    _nursery: trio.Nursery | None = field(init=False, default=None)

    async def load(self, limits: Limits) -> None:
        """Take up what was kept."""
        await self.records.load(self.book, limits)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write and tell until cancelled; begins with the notifications that were not out yet."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for delivery in await self.records.load_deliveries():
                    self.announcer.resume(delivery, nursery)
                task_status.started()
                while True:
                    with trio.move_on_after(self._pause):
                        await self._something.wait()
                    self._something = trio.Event()
                    async with self.lock:
                        await self._flush()
            finally:
                self._nursery = None

    def record(self, announcement: Announcement) -> None:
        """Write this and tell it; never blocks."""
        if len(self._pending) >= self.most:
            oldest = self._pending.popleft()
            _logger.error("the store does not answer: alert %s is told without being kept", oldest.alert.id)
            self._unsaved.add(oldest.rule.id)
            self.tell(oldest)
        self._pending.append(announcement)
        self._something.set()

    def settle(self, delivery: Delivery) -> None:
        """A delivery need not be kept any more."""
        self._ended.append(delivery.key)
        self._something.set()

    def tell(self, announcement: Announcement, deliveries: list[Delivery] | None = None) -> None:
        """Tell what has been written, or is told all the same."""
        if self._nursery is None:  # the hub has ended meanwhile: what was written is taken up by the next
            return
        if deliveries is None:
            deliveries = self.announcer.deliveries_for(announcement)
        self.announcer.announce(announcement, deliveries, self._nursery)

    @asynccontextmanager
    async def settled(self) -> AsyncGenerator[None]:
        """Hold the lock, with everything told that was recorded before."""
        async with self.lock:
            await self._flush()
            yield

    async def keep(self, changes: Iterable[Change]) -> None:
        """
        Write the changes of a command; the lock is held.

        Raises:
            RequestError: `server.unavailable`: they are not kept, and must not take effect.
        """
        try:
            await self.records.write(changes)
        except StoreError as error:
            _logger.error("a change of alerts could not be kept: %s", error)
            raise RequestError(ErrorCode.UNAVAILABLE, "the change could not be kept; nothing has changed") from error

    async def forget(self, watched: WatchedRule, last: Announcement | None) -> None:
        """Write that a rule is gone, and tell the last word on its alert; the lock is held."""
        rule_id = watched.rule.id
        deliveries = [] if last is None else self.announcer.deliveries_for(last)
        await self.keep([*self.records.delete_rule(rule_id), *map(self.records.put_delivery, deliveries)])
        ended = [each for each in self._pending if each.rule.id == rule_id and each.event is AlertEvent.RESOLVED]
        self._pending = deque(each for each in self._pending if each.rule.id != rule_id)
        if last is not None and not any(each.alert.id == last.alert.id for each in ended):
            self.tell(last, deliveries)
        # It resolved by itself while this was being written: then that is the last word.
        self._pending.extend(each for each in ended if last is not None and each.alert.id == last.alert.id)
        self._something.set()

    async def _flush(self) -> None:
        """Write and tell what has gathered; the lock is held. Cancelled, it is as if this had not begun."""
        if not self._pending and not self._ended and not self._unsaved:
            return
        pending, self._pending = self._pending, deque()
        ended, self._ended = self._ended, []
        told = [(each, self.announcer.deliveries_for(each)) for each in pending]
        try:
            await self._write(told, ended)
        except BaseException:
            self._pending.extendleft(reversed(pending))
            self._ended[:0] = ended
            raise
        for announcement, deliveries in told:
            self.tell(announcement, deliveries)

    async def _write(self, told: list[tuple[Announcement, list[Delivery]]], ended: list[str]) -> None:
        rule_ids = dict.fromkeys([*self._unsaved, *(each.rule.id for each, _ in told)])
        watched = [self.book.find(rule_id) for rule_id in rule_ids]
        # Notifications first: after a crash between two portions an alert is told once more, rather than never.
        changes = [self.records.put_delivery(delivery) for _, deliveries in told for delivery in deliveries]
        changes += [self.records.put_watched(each) for each in watched if each is not None]
        changes += [self.records.delete_delivery(key) for key in ended]
        self._unsaved = set()  # what comes meanwhile is not in this write
        try:
            for portion in portions(changes):
                await self.records.write(portion)
        except (StoreError, RequestError) as error:  # the store refuses what is too large with a RequestError
            _logger.error("%d changes of alerts could not be kept: %s", len(changes), error)
            self._unsaved.update(rule_ids)
            self._ended[:0] = ended
            self._pause = _RETRY_SECONDS if self._pause == math.inf else min(2 * self._pause, _LONGEST_RETRY_SECONDS)
        except BaseException:
            self._unsaved.update(rule_ids)
            raise
        else:
            self._pause = math.inf
