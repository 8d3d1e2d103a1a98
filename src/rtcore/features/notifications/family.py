"""
A notification and what it was escalated to: one for each who has it.

To whoever sent it they are one, whichever of their ids he has: what he changes or takes back, and what somebody
chooses, is so in all of these inboxes, with one write.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import frozen

from rtcore.features.notifications.desk import Desk, not_found
from rtcore.features.notifications.escalation import holders
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.notification import Notification, Place

__all__ = ["Member", "hold_family"]


@frozen
class Member:
    """One of them, held where it is."""

    inbox: Inbox
    id: str

    @property
    def current(self) -> Notification:
        """As it is now: progress goes on without a write, so also while something is written."""
        notification = self.inbox.find(self.id)
        assert notification is not None, "it is held"
        return notification


@asynccontextmanager
async def hold_family(desk: Desk, place: Place, id: str, *others: Place) -> AsyncGenerator[tuple[Member, ...]]:
    """
    All who have a notification, to change them: nobody else does while the block lasts. A checkpoint.

    The first is the one that was sent, where it is still there. What somebody has dismissed is not among them.

    Args:
        desk: Where they are.
        place: Where the one of the id is.
        id: Of any of them.
        others: Inboxes that are to be held too.

    Raises:
        RequestError: `request.not_found`; `server.unavailable` if an inbox cannot be read.
    """
    while True:
        expected = await _holders(desk, place, id)
        async with desk.inboxes.hold(*(place for place, _ in expected), *others) as inboxes:
            first = inboxes[0].find(expected[0][1])
            if first is None or list(holders(first)) != expected:
                continue  # before all were held, it went on to the next in line, or away
            found = [Member(inbox, each) for (_, each), inbox in zip(expected, inboxes, strict=False) if each in inbox]
            if not any(member.id == id for member in found):
                raise not_found()
            yield tuple(found)
            return


async def _holders(desk: Desk, place: Place, id: str) -> list[tuple[Place, str]]:
    notification = await _find(desk, place, id)
    if notification is None:
        raise not_found()
    if notification.origin is None:
        return list(holders(notification))
    root = await _find(desk, Place(place.workspace, notification.origin.user), notification.origin.id)
    return list(holders(notification if root is None else root))


async def _find(desk: Desk, place: Place, id: str) -> Notification | None:
    async with desk.inboxes.use(place) as (inbox,):
        return inbox.find(id)
