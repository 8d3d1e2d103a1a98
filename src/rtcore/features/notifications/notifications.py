"""
Notifications: to a user, or to a whole workspace; kept until they were read, and longer.

A user's are on `notifications:WORKSPACE:USER`, which is his alone: two workspaces may have a user of the same name. One
to a workspace is published once, on `workspace_notifications:WORKSPACE`, and kept once; what each reader has read of it
is a line in his own marks.

Rejected: a copy of it for each member. Ten thousand writes for one notification, and nobody knows who the members are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.feature import Feature
from rtcore.features.notifications.commands import Commands
from rtcore.features.notifications.deadlines import Deadlines
from rtcore.features.notifications.desk import Desk, NotificationStatistics
from rtcore.features.notifications.draft import Draft, SendFields, UpdateFields, check_place, fields_of
from rtcore.features.notifications.identifiers import KEY
from rtcore.features.notifications.kept_notifications import sequence_of
from rtcore.features.notifications.notification import Action, Level, Notification, Place
from rtcore.features.notifications.notification_store import SEQUENCE
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.features.notifications.reading import Outcome, Reading, board_of
from rtcore.features.notifications.sending import Receipt, Request, Revision, Sending
from rtcore.features.notifications.sent import ProgressNotification, SentNotification
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.features.notifications.views import reader_of, state
from rtcore.features.notifications.visits import Visits
from rtcore.hub.command_context import CommandContext
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Preparation, Snapshot
from rtcore.protocol.wire_fields import read_object
from rtcore.store.store import Store
from rtcore.values.channels import Namespace, Scope, names_of_channel, namespace_of
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity
from rtcore.values.shown import show

__all__ = ["Notifications"]

_OF_USER: Final = "notifications"
_OF_WORKSPACE: Final = "workspace_notifications"


class Notifications(Feature):
    """
    Args:
        hub: Where they are published.
        store: Where they are kept.
        settings: Bounds and roles.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {
        _OF_USER: Namespace(scope=Scope.MEMBER, publish_roles=frozenset()),
        _OF_WORKSPACE: Namespace(scope=Scope.WORKSPACE, publish_roles=frozenset()),
    }
    REPLIES: ClassVar = frozenset(
        {"notification.changed", "notification.chosen", "notification.gone", "notification.marked"}
        | {"notification.page", "notification.receipts", "notification.sent", "notification.unread"}
    )

    def __init__(self, hub: Hub, store: Store, settings: NotificationSettings | None = None) -> None:
        self.desk = Desk(hub, store, settings or NotificationSettings())
        """What its parts share; for its HTTP side."""
        self.sending = Sending(self.desk)
        """What senders do; for its HTTP side."""
        self._reading = Reading(self.desk)
        self._deadlines = Deadlines(self.desk)
        self.desk.settle_at = self._deadlines.settle_at
        self._visits = Visits(hub, self._deadlines.note_visit)
        self._commands = Commands(self.desk, self.sending, self._reading, self._visits)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`notification.*`."""
        return self._commands.rules()

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """What a reader has not read, and what he has."""
        return {_OF_USER: self._snapshot, _OF_WORKSPACE: self._snapshot}

    @property
    def preparations(self) -> Mapping[str, Preparation]:
        """An inbox that is not in memory is read before its reader is subscribed."""
        return {_OF_USER: self._prepare, _OF_WORKSPACE: self._prepare}

    # For senders

    async def send(
        self,
        *,
        title: str,
        user: str | None = None,
        workspace: str | None = None,
        kind: str = "message",
        level: str = Level.INFO,
        body: str | None = None,
        actions: Iterable[Action | Mapping[str, Json]] = (),
        data: Json = None,
        key: str | None = None,
        persistent: bool = False,
        progress: float | None = None,
        expires_after: float | None = None,
        escalate: Iterable[tuple[str, float]] = (),
        receipts: bool = False,
        sender: str | None = None,
        idempotency_key: str | None = None,
    ) -> SentNotification:
        """
        Send a notification; it is kept when this returns.

        A checkpoint. Cancelled, nothing was sent.

        Args:
            title: A line for people.
            user: To whom; None: to everybody in `workspace`.
            workspace: Whose user, or all of whose; by default that of who needs no token.
            kind: What it is about: one of the settings' kinds.
            level: `info`, `success`, `warning` or `error`.
            body: More text.
            actions: Buttons, each with `id`, `label` and perhaps a `url`.
            data: Whatever the page needs.
            key: Takes the place of the one of this key, which goes.
            persistent: Whether a page shows it until it is dismissed.
            progress: From 0 to 100, where it tells how far something is; changed with `update`.
            expires_after: Seconds until it goes by itself.
            escalate: Users it goes to while nobody reads it, each with the seconds since it was sent; with `user` only.
            receipts: Whether its sender's channel tells who reads it; `Notifications.receipts` always does.
            sender: The user of the workspace who sends it; None: the server.
            idempotency_key: What is sent twice with one key is sent once, also over restarts.

        Raises:
            RequestError: If something is not acceptable, with its name; `server.unavailable` where it cannot be
                written.
            HubClosed: If the hub does not run.
        """
        arguments = {name: value for name, value in locals().items() if name not in ("self", "sender")}
        draft = self._draft(arguments, sender)
        request = Request.of("server", draft.fields)
        notification, _ = await self.sending.send(draft, request)
        return SentNotification(self.desk, self.sending, notification)

    def progress(
        self,
        *,
        title: str,
        user: str | None = None,
        workspace: str | None = None,
        kind: str = "message",
        body: str | None = None,
        data: Json = None,
        key: str | None = None,
        persistent: bool = True,
        sender: str | None = None,
    ) -> ProgressNotification:
        """
        A block whose progress a notification tells; see `ProgressNotification`. Arguments and errors as of `send`.
        """
        arguments = {name: value for name, value in locals().items() if name not in ("self", "sender")}
        draft = self._draft({**arguments, "progress": 0}, sender, attached=True)
        return ProgressNotification(self.desk, self.sending, draft)

    def _draft(self, arguments: dict[str, Any], sender: str | None, *, attached: bool = False) -> Draft:
        fields = read_object(fields_of(arguments), SendFields)
        of = None if sender is None else Place(fields.workspace or DEFAULT_WORKSPACE, sender)
        if of is not None:
            _check_sender(of)
        return Draft.of(fields, self.desk.settings, self.desk.hub.limits, sender=of, attached=attached)

    async def get(self, id: str) -> SentNotification:
        """A notification as it is now, such as one that was sent before a restart; errors as of `receipts`."""
        return SentNotification(self.desk, self.sending, await self.sending.find(id))

    async def update(
        self,
        id: str,
        *,
        title: str | None = None,
        body: str | None = None,
        level: str | None = None,
        progress: float | None = None,
        status: str | None = None,
    ) -> Notification:
        """
        Change a notification, for everybody who has it; what is None stays. It is kept when this returns.

        A checkpoint. Cancelled, nothing was changed.

        Raises:
            RequestError: `request.not_found`, or as of `send`; `request.conflict` where its progress was completed,
                failed or cancelled, and this is not the same end.
            HubClosed: If the hub does not run.
        """
        given = {"title": title, "body": body, "level": level, "progress": progress, "status": status}
        return await self.sending.update(id, Revision.of_fields(read_object(given, UpdateFields)))

    async def withdraw(self, id: str) -> None:
        """Take a notification back: nobody sees it any more. Errors as of `update`."""
        await self.sending.withdraw(id)

    async def receipts(self, id: str) -> list[Receipt]:
        """
        Who has read a notification, and when, in the order of reading; a checkpoint.

        Raises:
            RequestError: `request.not_found`; `server.unavailable` if the store cannot be read.
        """
        return await self.sending.receipts(id)

    # For readers

    async def read(self, user: str, *ids: str, up_to: str | None = None, workspace: str = DEFAULT_WORKSPACE) -> Outcome:
        """Note that a user has read notifications: these, or all up to one; see `Reading.read`."""
        return await self._reading.read(_reader(user, workspace), ids, up_to)

    async def unread(self, user: str, *, workspace: str = DEFAULT_WORKSPACE) -> int:
        """How many notifications a user has not read, of both kinds; a checkpoint where they are not in memory."""
        reader = _reader(user, workspace)
        async with self.desk.inboxes.use(reader, board_of(reader)) as (own, board):
            return self.desk.unread(own, board)

    def statistics(self) -> NotificationStatistics:
        """A snapshot."""
        counters, inboxes = self.desk.counters, self.desk.inboxes
        return NotificationStatistics(
            inboxes=len(inboxes),
            bytes=inboxes.bytes,
            sent=counters.sent,
            read=counters.read,
            escalated=counters.escalated,
            ended=counters.ended,
            untold=counters.untold,
            visitors=len(self._visits),
            waiting=self.desk.waiting,
        )

    # For clients that subscribe

    def _prepare(self, context: CommandContext, channel: str) -> Callable[[], Awaitable[None]] | None:
        reader = reader_of(context.identity.user, context.identity.workspace)
        places = [place for place in (_place_of(channel), reader) if place is not None]
        if any(self.desk.inboxes.ready(place) is None for place in places):
            return partial(self._load, places)
        own = None if reader is None else self.desk.inboxes.ready(reader)
        if own is not None:
            self._visits.begin(own.place, context.subscriber, self._deadlines.visited_at(own))
        return None

    async def _load(self, places: Iterable[Place]) -> None:
        async with self.desk.inboxes.use(*places):
            pass

    def _snapshot(self, identity: Identity, channel: str) -> Json | bytes:
        place = _place_of(channel)
        if place is None:
            return None
        reader = reader_of(identity.user, identity.workspace)
        inbox = self.desk.inboxes.ready(place)
        own = None if reader is None else self.desk.inboxes.ready(reader)
        assert inbox is not None, "it was prepared"
        marks = ReadMarks() if own is None else own.marks
        return state(self.desk, inbox, marks, None if reader is None else self._visits.last(reader))

    # Running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do what is due, until cancelled; what was due before the start comes first."""
        self.desk.identifiers.begin(sequence_of(SEQUENCE, KEY, await self.desk.store.get(SEQUENCE, KEY)))
        self.desk.running = True
        try:
            task_status.started()
            await self._deadlines.run()
        finally:
            self.desk.close()


def _reader(user: str, workspace: str) -> Place:
    for name, value in (("user", user), ("workspace", workspace)):
        if not isinstance(value, str):  # code that is not type-checked; nobody's inbox would be the whole workspace's
            raise RequestError(ErrorCode.MALFORMED, f"{name}: expected text, got {show(value)}", field=name)
    return Place(workspace, user)


def _check_sender(sender: Place) -> None:
    """RequestError where it is none: of the workspace, or else by the name of its argument."""
    try:
        check_place(sender)
    except RequestError as error:
        if error.field != "user":
            raise
        problem = f"sender{error.message.removeprefix('user')}"
        raise RequestError(error.code, problem, field="sender") from error


def _place_of(channel: str) -> Place | None:
    """Whose a channel is; None for one below it, which is nobody's."""
    names = names_of_channel(channel)
    if names is None or len(names) != (1 if namespace_of(channel) == _OF_WORKSPACE else 2):
        return None
    return Place(*names)
