"""
What readers do: read, dismiss, choose; each written before it is told, as with senders.

A reader is a user of a workspace. Of notifications to the whole workspace only his own marks change, never they
themselves, so ten thousand readers do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.desk import Desk, not_found
from rtcore.features.notifications.family import Member, hold_family
from rtcore.features.notifications.identifiers import check_identifier
from rtcore.features.notifications.inbox import Inbox, unread_in
from rtcore.features.notifications.notification import Notification, Place, Taken
from rtcore.features.notifications.notification_json import taken_to_wire
from rtcore.features.notifications.notification_store import forgetting, keeping, mark_change
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.store.store import Change
from rtcore.values.events import Json, format_timestamp

__all__ = ["Outcome", "Reading", "board_of"]


@frozen(kw_only=True)
class Outcome:
    """What became of reading or dismissing."""

    ids: tuple[str, ...]
    """Those that it changed something for; what is gone, or was never theirs, is not among them."""
    unread: int
    """How many are left, of both kinds."""


def _seen(board: Inbox, sees_board: bool) -> Inbox:
    """A board as its reader sees it."""
    return board if sees_board else Inbox(board.place)


def board_of(reader: Place) -> Place:
    """Where the notifications to a reader's whole workspace are."""
    return Place(reader.workspace)


class Reading:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def read(
        self, reader: Place, ids: Iterable[str] = (), up_to: str | None = None, *, sees_board: bool = True
    ) -> Outcome:
        """
        Note that a user has read notifications: these, or all up to one.

        A checkpoint. Cancelled, nothing was noted. What is noted when it returns survives a restart.

        Args:
            reader: Who.
            ids: Which.
            up_to: Or up to which.
            sees_board: Whether he may read those to his workspace; otherwise it is as if there were none.

        Raises:
            RequestError: Where something is no id, or both were given; `request.not_found` where `up_to` is none so
                far; `server.unavailable` where it cannot be written.
            HubClosed: If the hub does not run.
        """
        self._desk.check_running()
        ids = _checked(ids)
        if up_to is not None:
            if ids:
                raise RequestError(ErrorCode.MALFORMED, "ids: expected either ids or up_to", field="ids")
            self._desk.identifiers.check_place(up_to, "up_to")
        async with self._desk.inboxes.use(board_of(reader)) as (board,), self._desk.inboxes.hold(reader) as (own,):
            now, seen = self._desk.now, _seen(board, sees_board)
            new = self._unread_of(own, seen, ids, up_to)
            marks = own.marks.reading([each.id for each in new] if up_to is None else [], now)
            if up_to is not None:
                # Up to what is there: ids that nobody ever had (their ends are chance) are no positions, or a client
                # could have as many of them kept as it can think of.
                marks = marks.reading_up_to(max(own.newest_up_to(up_to), seen.newest_up_to(up_to)), now)
            if marks is not own.marks:
                await self._write(own, board, marks)
                self._tell_read(own, seen, new, up_to=up_to is not None)
            return Outcome(ids=tuple(each.id for each in new), unread=self._desk.unread(own, seen))

    async def dismiss(self, reader: Place, ids: Iterable[str], *, sees_board: bool = True) -> Outcome:
        """Take notifications out of a user's sight; they count as read. Otherwise as `read`."""
        self._desk.check_running()
        ids = _checked(ids)
        async with self._desk.inboxes.use(board_of(reader)) as (board,), self._desk.inboxes.hold(reader) as (own,):
            mine = [each for id in ids if (each := own.find(id)) is not None]
            seen = _seen(board, sees_board)
            theirs = [id for id in ids if id in seen and id not in own.marks.dismissed]
            if not mine and not theirs:
                return Outcome(ids=(), unread=self._desk.unread(own, seen))
            new = self._unread_of(own, seen, ids, None)
            marks = own.marks.dismissing(theirs, self._desk.now)
            await self._write(own, board, marks, [change for each in mine for change in forgetting(each)])
            for each in mine:
                own.remove(each.id)
                self._desk.progressing.pop(each.id, None)
                self._desk.settle(each.id, None)
            gone = [each.id for each in mine] + theirs
            unread = self._desk.unread(own, seen)
            self._desk.counters.read += len(new)
            self._desk.tell_gone(reader, gone, "dismissed", unread=unread)
            self._tell_receipts(reader, new)
            return Outcome(ids=tuple(gone), unread=unread)

    async def act(self, reader: Place, id: str, action: str, *, sees_board: bool = True) -> Notification:
        """
        Choose an action of a notification, which is thereby read. The first choice counts, also of one to a workspace.

        A checkpoint; cancelled, nothing was chosen.

        Raises:
            RequestError: `request.not_found`; `request.conflict` where somebody has chosen otherwise;
                `server.unavailable` where it cannot be written.
            HubClosed: If the hub does not run.
        """
        self._desk.check_running()
        board_place = board_of(reader)
        async with self._desk.inboxes.use(reader, board_place) as (own, board):
            notification = own.find(id) or _seen(board, sees_board).find(id)
            if notification is None or id in own.marks.dismissed:
                raise not_found()
            # A choice about an escalated one is a choice about that which it comes from: whoever waits, waits for that.
            async with hold_family(self._desk, notification.place, id, reader) as family:
                return await self._act(own, board, family, id, action)

    async def _act(self, own: Inbox, board: Inbox, family: Sequence[Member], id: str, action: str) -> Notification:
        if id in own.marks.dismissed:
            raise not_found()
        chosen = next(member for member in family if member.id == id)
        now = self._desk.now
        taken = Taken(action=action, by=own.place.user or "", at=now)
        if not _may_take(chosen.current, family, taken):
            return chosen.current
        new = self._unread_of(own, board, [id], None)
        kept = [change for member in family for change in keeping(_with_choice(member, taken))]
        await self._write(own, board, own.marks.reading([id], now), kept)
        self._tell_read(own, board, new)
        for member in family:
            self._take(member, taken)
        return chosen.current

    def _take(self, member: Member, taken: Taken) -> None:
        changed = _with_choice(member, taken)
        self._desk.show_changed(member.inbox, changed)
        self._desk.settle(changed.id, taken)
        if changed.sender is not None and changed.origin is None:
            self._desk.tell(changed.sender, "notification.acted", {"id": changed.id, **taken_to_wire(taken)})

    def _unread_of(self, own: Inbox, board: Inbox, ids: Iterable[str], up_to: str | None) -> list[Notification]:
        """Those of the asked that were not read yet, in order."""
        marks, now = own.marks, self._desk.now
        unread = {each.id: each for inbox in (own, board) for each in unread_in(inbox, marks, now)}
        asked = unread if up_to is None else [id for id in unread if id <= up_to]
        chosen = set(ids) if up_to is None else set(asked)
        return [unread[id] for id in sorted(unread) if id in chosen]

    async def _write(self, own: Inbox, board: Inbox, marks: ReadMarks, more: list[Change] | None = None) -> None:
        marks = marks.keeping([*(each.id for each in own), *(each.id for each in board)])
        await self._desk.store.write([mark_change(own.place, marks), *(more or [])])
        own.marks = marks

    def _tell_read(self, own: Inbox, board: Inbox, new: list[Notification], *, up_to: bool = False) -> None:
        self._desk.counters.read += len(new)
        data: dict[str, Json] = {"unread": self._desk.unread(own, board), "at": format_timestamp(self._desk.now)}
        if up_to:
            data["up_to"] = own.marks.position
        else:
            data["ids"] = [each.id for each in new]
        if up_to or new:
            self._desk.tell(own.place, "notification.read", data)
        self._tell_receipts(own.place, new)

    def _tell_receipts(self, reader: Place, new: list[Notification]) -> None:
        for each in new:
            if each.receipts and each.sender is not None:
                data: dict[str, Json] = {"id": each.id, "user": reader.user, "at": format_timestamp(self._desk.now)}
                self._desk.tell(each.sender, "notification.receipt", data)


def _checked(ids: Iterable[str]) -> tuple[str, ...]:
    """Each once; RequestError where one is none. One that was forgotten, or is another's, changes nothing."""
    ids = tuple(ids)
    for index, id in enumerate(ids):
        check_identifier(id, f"ids[{index}]")
    return tuple(dict.fromkeys(ids))


def _with_choice(member: Member, taken: Taken) -> Notification:
    return evolve(member.current, taken=taken, updated_at=taken.at)


def _may_take(notification: Notification, family: Iterable[Member], taken: Taken) -> bool:
    """Whether a choice is new; RequestError where it cannot be made."""
    if notification.action(taken.action) is None:
        raise RequestError(ErrorCode.NOT_FOUND, "action: the notification has no such action", field="action")
    before = next((each for member in family if (each := member.current.taken) is not None), None)
    if before is None:
        return True
    if (before.action, before.by) != (taken.action, taken.by):
        raise RequestError(ErrorCode.CONFLICT, f"action: {before.by} has chosen {before.action}", field="action")
    return False
