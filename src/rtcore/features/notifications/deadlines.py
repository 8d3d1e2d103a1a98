"""
What is due: the end of notifications, the next step for one that nobody reads, the end of what requests were answered.

One timer, for the earliest time that the store holds. When it is there, what is due is done one by one, and each is
written together with the removal of its deadline: so it is done once, whenever the process ends. What was due while no
process ran is due at the start.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio
from attrs import evolve

from rtcore.errors import RequestError
from rtcore.features.notifications.desk import Desk
from rtcore.features.notifications.escalation import Escalation, holders, next_step, raised
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.notification import Notification, Origin, Place
from rtcore.features.notifications.notification_json import to_wire
from rtcore.features.notifications.notification_store import (
    REQUESTS,
    Deadline,
    deadline_change,
    deadlines_of,
    forgetting,
    keeping,
    size_of,
    visit_change,
)
from rtcore.hub.timeouts import Timer
from rtcore.store.store import Delete
from rtcore.values.events import Json, Lane

__all__ = ["Deadlines"]

_logger = logging.getLogger("rtcore.notifications")

_RETRY_SECONDS: Final = 1.0
"""How long what could not be written waits: a disk that is full stays so for a while."""
_VISITS: Final = 1000
"""Ends of visits in one write: with names as long as a channel's may be, far fewer bytes than the store takes."""


class Deadlines:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._earliest = math.inf
        self._timer: Timer | None = None
        self._wanted = trio.Event()
        self._visits: dict[Place, float] = {}
        self._kinds: dict[str, Callable[[Deadline], Awaitable[None]]] = {
            "end": self._end,
            "escalate": self._escalate,
            "forget": self._forget,
        }

    def settle_at(self, at: float) -> None:
        """Something has to be done at a time, in Unix seconds; never blocks."""
        if at < self._earliest and self._desk.running:
            self._earliest = at
            if self._timer is not None:
                self._timer.cancel()
            due = trio.current_time() + max(0.0, at - self._desk.now)
            self._timer = self._desk.hub.timeouts.call_at(due, self._on_time)

    def _on_time(self) -> float | None:
        left = self._earliest - self._desk.now
        if left > 0:  # somebody set the wall clock back
            return trio.current_time() + left
        self._timer = None
        self._wanted.set()
        return None

    def note_visit(self, reader: Place, at: float) -> None:
        """Have it written when a user was here last; never blocks."""
        self._visits[reader] = at
        self._wanted.set()

    def visited_at(self, inbox: Inbox) -> float | None:
        """When a user was here last, be it written yet or not."""
        return self._visits.get(inbox.place, inbox.visited_at)

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        try:
            self._wanted.set()  # what was due before the start
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                # Each whatever becomes of the other: a document that cannot be written must not keep what is due.
                for step in (self._settle, self._write_visits):
                    try:
                        await step()
                    except RequestError:  # the store; the log has it
                        self._retry()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            with trio.move_on_after(self._desk.settings.store_seconds, shield=True):
                await self._write_last_visits()

    def _retry(self) -> None:
        self.settle_at(self._desk.now + _RETRY_SECONDS)

    async def _write_last_visits(self) -> None:
        try:
            await self._write_visits()
        except RequestError as error:
            _logger.warning("when users were here last could not be written: %s", error)

    async def _write_visits(self) -> None:
        visits = list(self._visits.items())
        for start in range(0, len(visits), _VISITS):
            await self._write_some(visits[start : start + _VISITS])

    async def _write_some(self, visits: Sequence[tuple[Place, float]]) -> None:
        await self._desk.store.write([visit_change(reader, at) for reader, at in visits])
        for reader, at in visits:
            inbox = self._desk.inboxes.ready(reader)
            if inbox is not None:
                inbox.visited_at = at
            if self._visits.get(reader) == at:
                del self._visits[reader]

    async def _settle(self) -> None:
        """Everything that is due; then the timer stands at what comes next."""
        self._earliest = math.inf
        while deadlines := await self._desk.store.deadlines():
            for deadline in deadlines:
                if deadline.at > self._desk.now:
                    self.settle_at(deadline.at)
                    return
                await self._kinds[deadline.kind](deadline)

    async def _done(self, deadline: Deadline) -> None:
        """There is nothing left to do."""
        await self._desk.store.write([deadline_change(deadline, done=True)])

    async def _forget(self, deadline: Deadline) -> None:
        await self._desk.store.write([Delete(REQUESTS, deadline.id), deadline_change(deadline, done=True)])

    async def _end(self, deadline: Deadline) -> None:
        desk = self._desk
        place = await desk.store.find_place(deadline.id)
        if place is None:
            await self._done(deadline)
            return
        async with desk.inboxes.hold(place) as (inbox,):
            notification = inbox.find(deadline.id)
            if notification is None:
                await self._done(deadline)
                return
            await desk.store.write(forgetting(notification))
            inbox.remove(notification.id)
            desk.progressing.pop(notification.id, None)
            desk.counters.ended += 1
            desk.settle(notification.id, None)
            desk.tell_gone(place, [notification.id], "expired" if notification.expires else "forgotten")

    # Escalation

    async def _escalate(self, deadline: Deadline) -> None:
        place = await self._desk.store.find_place(deadline.id)
        notification = None if place is None else await self._look(place, deadline.id)
        step = None if notification is None else next_step(notification)
        if notification is None or step is None or step.due_at > self._desk.now:
            await self._done(deadline)
            return
        held = dict(holders(notification))
        target = Place(notification.place.workspace, step.step.user)
        # All of them are held: nobody reads it between the look and the step.
        async with self._desk.inboxes.hold(target, *held) as (inbox, *inboxes):
            root = inboxes[0].find(notification.id)
            if root is None or _is_seen(held, inboxes):
                await self._done(deadline)
                return
            await self._step(root, step, inbox, inboxes, deadline)

    async def _look(self, place: Place, id: str) -> Notification | None:
        async with self._desk.inboxes.use(place) as (inbox,):
            return inbox.find(id)

    async def _step(
        self, root: Notification, escalation: Escalation, inbox: Inbox, before: list[Inbox], deadline: Deadline
    ) -> None:
        desk = self._desk
        old = inbox.too_many(desk.settings.kept_notifications, coming=1)
        id, reserving = desk.identifiers.take()
        copy = evolve(
            root,
            id=id,
            place=inbox.place,
            level=raised(_latest(root, before).level),
            key=None,
            steps=(),
            copies=(),
            updated_at=None,
            created_at=desk.now,
            origin=Origin(id=root.id, user=root.place.user or "", step=escalation.number),
        )
        changed = evolve(root, copies=(*root.copies, id))
        following = [each for each in deadlines_of(changed) if each.kind == "escalate"]
        await desk.store.write(
            [
                *reserving,
                *keeping(copy, new=True),
                *keeping(changed),
                *(deadline_change(each) for each in following),
                *(change for gone in old for change in forgetting(gone)),
                deadline_change(deadline, done=True),
            ]
        )
        desk.identifiers.written(reserving)
        before[0].put(changed, size_of(changed))
        inbox.put(copy, size_of(copy))
        for gone in old:
            inbox.remove(gone.id)
            desk.settle(gone.id, None)
        desk.counters.escalated += 1
        for each in [*following, *deadlines_of(copy)]:
            desk.settle_at(each.at)
        self._tell(changed, copy, escalation, before, [each.id for each in old])

    def _tell(
        self, root: Notification, copy: Notification, escalation: Escalation, before: list[Inbox], old: list[str]
    ) -> None:
        desk = self._desk
        desk.tell_gone(copy.place, old, "forgotten")
        # In the high lane, whatever its kind: it has waited already.
        desk.tell(copy.place, "notification", to_wire(copy), lane=Lane.HIGH)
        data: dict[str, Json] = {
            "id": root.id,
            "escalated_id": copy.id,
            "to": escalation.step.user,
            "step": escalation.number,
            "level": copy.level.value,
        }
        places = {inbox.place: None for inbox in before} | ({root.sender: None} if root.sender is not None else {})
        for place in places:
            desk.tell(place, "notification.escalated", data, lane=Lane.HIGH)


def _is_seen(held: dict[Place, str], inboxes: list[Inbox]) -> bool:
    """Whether one of those who have it has read it, or wanted to see it no more."""
    return any(inbox.marks.is_read(id) or id not in inbox for (_, id), inbox in zip(held.items(), inboxes, strict=True))


def _latest(root: Notification, before: list[Inbox]) -> Notification:
    """The one that was sent last."""
    latest = before[-1].find(root.copies[-1]) if root.copies else root
    return root if latest is None else latest
