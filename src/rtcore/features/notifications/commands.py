"""The commands of notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.desk import Desk, not_found
from rtcore.features.notifications.draft import Draft, SendFields, UpdateFields, has_channel, located
from rtcore.features.notifications.inbox import Inbox, unread_in
from rtcore.features.notifications.notification import NAME_LENGTH, Notification, Place
from rtcore.features.notifications.notification_json import taken_to_wire, to_wire
from rtcore.features.notifications.notification_store import key_of
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.features.notifications.reading import Outcome, Reading
from rtcore.features.notifications.sending import Request, Revision, Sending
from rtcore.features.notifications.views import PageQuery, page, read_since, reader_of
from rtcore.features.notifications.visits import Visits
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.command_fields import read_integer
from rtcore.protocol.wire_fields import flag, items, text, wire
from rtcore.values.events import Json, format_timestamp
from rtcore.values.identity import Identity
from rtcore.values.shown import show

__all__ = ["Commands", "draft_of"]

_IDS = 1000
"""Most ids of one command: more are read with `up_to`."""


@frozen(kw_only=True)
class _Read:
    ids: tuple[str, ...] = wire(items(text(NAME_LENGTH), _IDS), default=())
    up_to: str | None = wire(text(NAME_LENGTH), default=None)


@frozen(kw_only=True)
class _Dismiss:
    ids: tuple[str, ...] = wire(items(text(NAME_LENGTH), _IDS))


@frozen(kw_only=True)
class _Nothing:
    pass


@frozen(kw_only=True)
class _Act:
    id: str = wire(text(NAME_LENGTH))
    action: str = wire(text(NAME_LENGTH))


@frozen(kw_only=True)
class _List:
    after: str | None = wire(text(NAME_LENGTH), default=None)
    limit: int | None = wire(read_integer, default=None)
    unread_only: bool = wire(flag, default=False)
    since: str | None = wire(text(NAME_LENGTH), default=None)


@frozen(kw_only=True)
class _One:
    id: str = wire(text(NAME_LENGTH))


@frozen(kw_only=True)
class _Update(UpdateFields):
    id: str = wire(text(NAME_LENGTH))


def draft_of(fields: SendFields, identity: Identity, desk: Desk) -> Draft:
    """
    What a client asks to be sent.

    Raises:
        RequestError: If it may not, or the fields are not acceptable.
    """
    own = identity.workspace
    roles = desk.settings.send_roles
    if roles.isdisjoint(identity.roles):
        raise RequestError(ErrorCode.DENIED, f"needs one of the roles {', '.join(sorted(roles))}")
    if own is None and fields.workspace is None:
        raise RequestError(ErrorCode.MALFORMED, "workspace: the token names none", field="workspace")
    if fields.workspace is not None and fields.workspace != own:  # no role stands above a scope: see `hub.access`
        raise RequestError(ErrorCode.DENIED, "workspace: not allowed to send to another workspace", field="workspace")
    sender = reader_of(identity.user, own)
    if fields.receipts and sender is None:
        message = "receipts: there is no channel for them without a token that says whose"
        raise RequestError(ErrorCode.MALFORMED, message, field="receipts")
    try:
        return Draft.of(fields, desk.settings, desk.hub.limits, sender=sender, workspace=own)
    except RequestError as error:
        if error.field != "workspace" or fields.workspace is not None:
            raise
        # It is the token's: nothing that a client could send would mend it.
        _, _, cause = error.message.partition(": ")
        problem = f"no channel of notifications can be named after the workspace {show(own)}: {cause}"
        raise RequestError(ErrorCode.DENIED, problem) from error


class Commands:
    """What clients may ask for; each reader's notifications are his alone."""

    def __init__(self, desk: Desk, sending: Sending, reading: Reading, visits: Visits) -> None:
        self._desk = desk
        self._sending = sending
        self._reading = reading
        self._visits = visits

    def rules(self) -> Mapping[str, CommandRule[Any]]:
        """By message type."""
        return {
            "notification.act": CommandRule(value=_Act, handler=self._act),
            "notification.dismiss": CommandRule(value=_Dismiss, handler=self._dismiss),
            "notification.list": CommandRule(value=_List, handler=self._list),
            "notification.read": CommandRule(value=_Read, handler=self._read),
            "notification.receipts": CommandRule(value=_One, handler=self._receipts),
            "notification.send": CommandRule(value=SendFields, handler=self._send),
            "notification.unread": CommandRule(value=_Nothing, handler=self._unread),
            "notification.update": CommandRule(value=_Update, handler=self._update),
            "notification.withdraw": CommandRule(value=_One, handler=self._withdraw),
        }

    # Of readers

    async def _read(self, context: CommandContext, command: _Read) -> Reply:
        if bool(command.ids) == (command.up_to is not None):
            problem = f"data.ids: expected either ids or up_to, got {'both' if command.ids else 'neither'}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.ids")
        reader = _reader(context)
        try:
            sees_board = self._sees(context, _board(context))
            return _marked(await self._reading.read(reader, command.ids, command.up_to, sees_board=sees_board))
        except RequestError as error:
            raise located(error, "data") from error

    async def _dismiss(self, context: CommandContext, command: _Dismiss) -> Reply:
        try:
            sees_board = self._sees(context, _board(context))
            return _marked(await self._reading.dismiss(_reader(context), command.ids, sees_board=sees_board))
        except RequestError as error:
            raise located(error, "data") from error

    async def _act(self, context: CommandContext, command: _Act) -> Reply:
        try:
            reader, sees_board = _reader(context), self._sees(context, _board(context))
            changed = await self._reading.act(reader, command.id, command.action, sees_board=sees_board)
        except RequestError as error:
            raise located(error, "data") from error
        assert changed.taken is not None, "it was chosen just now, or before"
        return Reply("notification.chosen", {"id": changed.id, **taken_to_wire(changed.taken)}, unasked=False)

    async def _unread(self, context: CommandContext, command: _Nothing) -> Reply:
        async with self._desk.inboxes.use(*self._places(context)) as inboxes:
            marks = inboxes[-1].marks
            unread = [self._count(inbox, marks) if self._sees(context, inbox.place) else 0 for inbox in inboxes]
        counts = {"workspace": unread[0], "user": sum(unread[1:])}
        return Reply("notification.unread", {"unread": sum(unread), **counts})

    def _count(self, inbox: Inbox, marks: ReadMarks) -> int:
        return len(unread_in(inbox, marks, self._desk.now))

    async def _list(self, context: CommandContext, command: _List) -> Reply:
        places = self._places(context)
        reader = reader_of(context.identity.user, context.identity.workspace)
        try:
            query = self._query(command, None if reader is None else self._visits.last(reader))
        except RequestError as error:
            raise located(error, "data") from error
        async with self._desk.inboxes.use(*places) as inboxes:
            seen = tuple(inbox for inbox in inboxes if self._sees(context, inbox.place))
            return Reply("notification.page", page(self._desk, seen, inboxes[-1].marks, query))

    def _places(self, context: CommandContext) -> list[Place]:
        """Where a client's notifications are, its own last; RequestError `access.denied` if it may read none."""
        reader = reader_of(context.identity.user, context.identity.workspace)
        places = [_board(context), *([] if reader is None else [reader])]
        if not any(self._sees(context, place) for place in places):
            self._desk.hub.access.check_read(context.identity, places[0].channel)
        return places

    def _sees(self, context: CommandContext, place: Place) -> bool:
        # Where there can be no channel, there is nothing to see.
        return not has_channel(place) or self._desk.hub.access.can_read(context.identity, place.channel)

    def _query(self, command: _List, last_visit: float | None) -> PageQuery:
        most = self._desk.settings.page_notifications
        limit = most if command.limit is None else command.limit
        if not 1 <= limit <= most:
            problem = f"limit: expected a whole number from 1 to page_notifications={most}, got {limit}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="limit")
        if command.after is not None:
            self._desk.identifiers.check_place(command.after, "after")
        since = read_since(command.since, last_visit)
        return PageQuery(limit=limit, after=command.after, unread_only=command.unread_only, since=since)

    # Of senders

    async def _send(self, context: CommandContext, command: SendFields) -> Reply:
        try:
            draft = draft_of(command, context.identity, self._desk)
            owner = f"user:{key_of(context.identity.workspace or '', context.identity.user)}"
            request = Request.of(owner, command)
            notification, before = await self._sending.send(draft, request)
        except RequestError as error:
            raise located(error, "data") from error
        return Reply("notification.sent", {**to_wire(notification), "repeated": before}, unasked=False)

    async def _update(self, context: CommandContext, command: _Update) -> Reply:
        await self._sent(context, command.id)
        try:
            changed = await self._sending.update(command.id, Revision.of_fields(command))
        except RequestError as error:
            raise located(error, "data") from error
        return Reply("notification.changed", to_wire(changed), unasked=False)

    async def _withdraw(self, context: CommandContext, command: _One) -> Reply:
        await self._sent(context, command.id)
        await self._sending.withdraw(command.id)
        return Reply("notification.gone", {"id": command.id}, unasked=False)

    async def _receipts(self, context: CommandContext, command: _One) -> Reply:
        await self._sent(context, command.id)
        receipts: list[Json] = [
            {"user": each.user, "at": format_timestamp(each.at)} for each in await self._sending.receipts(command.id)
        ]
        return Reply("notification.receipts", {"id": command.id, "receipts": receipts})

    async def _sent(self, context: CommandContext, id: str) -> Notification:
        """One that the client has sent, or of its workspace where it is an administrator."""
        identity = context.identity
        try:
            notification = await self._sending.find(id)
            mine = notification.sender is not None and notification.sender == reader_of(
                identity.user, identity.workspace
            )
            if not mine and not ("admin" in identity.roles and notification.place.workspace == identity.workspace):
                raise not_found()
        except RequestError as error:
            raise located(error, "data") from error
        return notification


def _board(context: CommandContext) -> Place:
    return Place(context.identity.workspace or "")


def _reader(context: CommandContext) -> Place:
    reader = reader_of(context.identity.user, context.identity.workspace)
    if reader is None:
        raise RequestError(ErrorCode.DENIED, "there is no inbox without a token that says whose")
    return reader


def _marked(outcome: Outcome) -> Reply:
    return Reply("notification.marked", {"ids": list(outcome.ids), "unread": outcome.unread}, unasked=False)
