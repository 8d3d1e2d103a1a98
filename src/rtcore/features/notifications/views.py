"""
What readers are shown: the state behind the two channels, and pages of both kinds together.

The state holds what was read as a position and what was read beyond it, so that a client can tell for every
notification that it ever gets, in whatever order, whether it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.desk import Desk
from rtcore.features.notifications.draft import has_channel
from rtcore.features.notifications.inbox import Inbox, unread_in
from rtcore.features.notifications.notification import Notification, Place
from rtcore.features.notifications.notification_json import to_wire
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.protocol.json_codec import json_dumps, json_fragment
from rtcore.values.events import Json, format_timestamp, parse_timestamp
from rtcore.values.shown import show

__all__ = ["LAST_VISIT", "PageQuery", "page", "read_since", "reader_of", "state"]

LAST_VISIT = "last_visit"
"""What `since` may say instead of a time."""


@frozen(kw_only=True)
class PageQuery:
    """Which notifications."""

    limit: int
    after: str | None = None
    """Only those that were sent before this one: the last of the page before."""
    unread_only: bool = False
    since: float | None = None
    """Only those that were sent since, in Unix seconds."""


def state(desk: Desk, inbox: Inbox, marks: ReadMarks, last_visit: float | None) -> bytes:
    """The state behind a channel, for one reader, as JSON text; notifications are at most half of `replay_bytes`."""
    unread = unread_in(inbox, marks, desk.now)
    # A reader has two channels and subscribes to both at once: both states are one reply.
    room = desk.hub.limits.replay_bytes // 2
    shown, more = _fitting(map(to_wire, unread), desk.settings.page_notifications, room)
    read: dict[str, Json] = {"up_to": marks.position or None, "ids": list(marks.out_of_turn())}
    return json_dumps(
        {
            "unread": len(unread),
            "notifications": shown,
            "more": more,
            "read": read,
            "last_visit": None if last_visit is None else format_timestamp(last_visit),
            "since_last_visit": sum(
                last_visit is None or each.created_at > last_visit for each in _visible(inbox, marks, desk.now)
            ),
        }
    )


def page(desk: Desk, inboxes: tuple[Inbox, ...], marks: ReadMarks, query: PageQuery) -> dict[str, object]:
    """
    A page of notifications of several inboxes, the newest first, each with whether it was read; `json_dumps` takes it.

    It is shorter than asked for where `replay_bytes` are full.
    """
    found = (
        each
        for each in merge(*(_visible(inbox, marks, desk.now, query.after) for inbox in inboxes), key=_age)
        if (query.since is None or each.created_at > query.since) and not (query.unread_only and marks.is_read(each.id))
    )
    told = (_with_reading(each, marks) for each in found)
    shown, more = _fitting(told, query.limit, desk.hub.limits.replay_bytes)
    return {
        "notifications": shown,
        "more": more,
        "unread": sum(len(unread_in(inbox, marks, desk.now)) for inbox in inboxes),
    }


def _fitting(told: Iterable[dict[str, Json]], most: int, room: int) -> tuple[list[object], bool]:
    """As many as may be shown, as JSON, and whether there are others; one at least, so that pages get on."""
    shown: list[object] = []
    for each in told:
        text = json_dumps(each)
        room -= len(text)
        if len(shown) >= most or (room < 0 and shown):
            return shown, True
        shown.append(json_fragment(text))
    return shown, False


def _visible(inbox: Inbox, marks: ReadMarks, now: float, before: str | None = None) -> Iterator[Notification]:
    return (each for each in inbox.newest_first(before) if each.ends_at > now and each.id not in marks.dismissed)


def _age(notification: Notification) -> int:
    """Less, the newer: identifiers begin with a number that grows."""
    return -int(notification.id.partition("-")[0], 16)


def _with_reading(notification: Notification, marks: ReadMarks) -> dict[str, Json]:
    at = marks.read_at(notification.id)
    return to_wire(notification, {"read": at is not None, "read_at": None if at is None else format_timestamp(at)})


def read_since(text: str | None, last_visit: float | None) -> float | None:
    """
    The time that `since` says.

    Raises:
        RequestError: If it says none.
    """
    if text is None or text == LAST_VISIT:
        return None if text is None else last_visit
    try:
        return parse_timestamp(text)
    except (ValueError, OverflowError) as error:
        message = f'since: expected "{LAST_VISIT}" or a time such as 2025-01-15T12:00:00Z, got {show(text)}'
        raise RequestError(ErrorCode.MALFORMED, message, field="since") from error


def reader_of(user: str, workspace: str | None) -> Place | None:
    """Where a client's own notifications are; None where it has none, as with a name that can have no channel."""
    if not (user and workspace):
        return None
    place = Place(workspace, user)
    return place if has_channel(place) else None
