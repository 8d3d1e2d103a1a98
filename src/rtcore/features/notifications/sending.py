"""
What senders do: send, change, take back; and what they are told.

Every step is written first, then it is so in memory, and then it is told. When a write has returned, no cancellation
comes before the rest is done (see `Store.write`): what is kept is told, and what is told is kept. Progress alone is
told without being written, but for its end: after a restart nobody goes on with it anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

from attrs import evolve, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.item_locks import ItemLocks
from rtcore.features.notifications.desk import Desk, not_found
from rtcore.features.notifications.draft import Draft, SendFields, UpdateFields, check_size, check_texts
from rtcore.features.notifications.family import Member, hold_family
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.notification import Level, Notification, Progress, ProgressStatus
from rtcore.features.notifications.notification_json import document_of, of_document
from rtcore.features.notifications.notification_store import (
    REQUESTS,
    Deadline,
    deadline_change,
    deadlines_of,
    forgetting,
    keeping,
    size_of,
)
from rtcore.store.store import Change, Put
from rtcore.values.events import Json

__all__ = ["Receipt", "Request", "Revision", "Sending", "is_over"]

_OVER: Final = (ProgressStatus.COMPLETED, ProgressStatus.FAILED, ProgressStatus.CANCELLED)


@frozen
class Request:
    """A request that may come twice and is carried out once, also across restarts."""

    owner: str
    """Whose key it is."""
    key: str
    content: bytes
    """What must be the same where the key is."""

    @classmethod
    def of(cls, owner: str, fields: SendFields) -> Request | None:
        """What a client, or the server, asks to be sent; None where it gives no key."""
        if fields.idempotency_key is None:
            return None
        return cls(owner, fields.idempotency_key, repr(fields).encode())

    @property
    def name(self) -> str:
        """Where its answer is kept."""
        return sha256(f"{self.owner}\0{self.key}".encode()).hexdigest()

    @property
    def digest(self) -> str:
        """Of its content."""
        return sha256(self.content).hexdigest()


@frozen
class Receipt:
    """Who has read something, and when."""

    user: str
    at: float
    """Unix seconds."""


@frozen(kw_only=True)
class Revision:
    """What is to be changed of a notification; None stays."""

    title: str | None = None
    body: str | None = None
    level: Level | None = None
    progress: float | None = None
    status: ProgressStatus | None = None

    @classmethod
    def of_fields(cls, fields: UpdateFields) -> Revision:
        """What a client, or code in the server, asks to be changed."""
        return cls(
            title=fields.title,
            body=fields.body,
            level=None if fields.level is None else Level(fields.level),
            progress=fields.progress,
            status=None if fields.status is None else ProgressStatus(fields.status),
        )

    def of(self, notification: Notification, now: float) -> Notification:
        """The notification, changed."""
        progress = notification.progress
        if self.progress is not None or self.status is not None:
            progress = progress or Progress(value=0.0)
            value = progress.value if self.progress is None else self.progress
            # Whoever goes on with what a process has left is not that process, whose end was its end.
            attached = progress.attached and progress.status is not ProgressStatus.INTERRUPTED
            progress = evolve(progress, value=value, status=self.status or progress.status, attached=attached)
        return evolve(
            notification,
            title=notification.title if self.title is None else self.title,
            body=notification.body if self.body is None else self.body,
            level=notification.level if self.level is None else self.level,
            progress=progress,
            updated_at=now,
        )


def is_over(notification: Notification) -> bool:
    """Whether its sender has told the end of its progress. What was interrupted may go on."""
    return notification.progress is not None and notification.progress.status in _OVER


def _check_end(current: Notification, changed: Notification) -> None:
    """An end stands: who has seen it may have acted on it. Told once more, as a sender does who lost the reply, it is
    the same end."""
    before, after = current.progress, changed.progress
    if before is None or after is None or before == after or not is_over(current):
        return
    field = "progress" if before.status is after.status else "status"
    told = f"{before.status.value} at {before.value:g}"
    problem = f"{field}: the progress has ended as {told}, and cannot become {after.status.value} at {after.value:g}"
    raise RequestError(ErrorCode.CONFLICT, problem, field=field)


def _all_revised(family: Sequence[Member], revision: Revision, now: float) -> list[Notification]:
    """What was escalated says what the first says, but for the level, which has risen meanwhile."""
    first, *copies = [member.current for member in family]
    changed = revision.of(first, now)
    return [
        changed,
        *(
            evolve(revision.of(copy, now), title=changed.title, body=changed.body, progress=changed.progress)
            for copy in copies
        ),
    ]


class Sending:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._requests = ItemLocks()
        self._ending: set[str] = set()
        """Those whose end is being written."""

    @property
    def busy(self) -> int:
        """Keys of requests that are being carried out."""
        return len(self._requests)

    async def send(self, draft: Draft, request: Request | None = None) -> tuple[Notification, bool]:
        """
        Send a notification; returns it, and whether it was sent by an earlier request.

        A checkpoint. Cancelled, nothing was sent.

        Raises:
            RequestError: `server.unavailable` where it cannot be written; `request.conflict` where the key of the
                request came with another content.
            HubClosed: If the hub does not run.
        """
        self._desk.check_running()
        if request is None:
            return await self._send(draft, None), False
        async with self._requests.hold(request.name):
            known = await self._desk.store.get(REQUESTS, request.name)
            if known is None:
                return await self._send(draft, request), False
            if known["digest"] != request.digest:
                message = "idempotency_key: it came with another notification before"
                raise RequestError(ErrorCode.CONFLICT, message, field="idempotency_key")
            return of_document(known["notification"]), True

    async def _send(self, draft: Draft, request: Request | None) -> Notification:
        desk = self._desk
        async with desk.inboxes.hold(draft.place) as (inbox,):
            same = None if draft.fields.key is None else inbox.with_key(draft.fields.key)
            coming = 1 if same is None else 0
            old = [each for each in inbox.too_many(desk.settings.kept_notifications, coming=coming) if each is not same]
            id, reserving = desk.identifiers.take()
            notification = draft.notification(id, desk.now)
            changes = [*reserving, *keeping(notification, new=True), *self._answering(request, notification)]
            for gone in [*old, *([] if same is None else [same])]:
                changes += forgetting(gone)
            await desk.store.write(changes)
            desk.identifiers.written(reserving)
            self._forget(inbox, [each.id for each in old], "forgotten")
            self._forget(inbox, [] if same is None else [same.id], "replaced")
            inbox.put(notification, size_of(notification))
            desk.counters.sent += 1
            desk.tell_new(notification, [] if same is None else [same.id])
            for deadline in deadlines_of(notification):
                desk.settle_at(deadline.at)
        return notification

    def _answering(self, request: Request | None, notification: Notification) -> list[Change]:
        """What keeps the answer to a request, for so long."""
        if request is None:
            return []
        document: dict[str, Json] = {"digest": request.digest, "notification": document_of(notification)}
        forget_at = self._desk.now + self._desk.hub.limits.idempotency_seconds
        self._desk.settle_at(forget_at)
        forget = Deadline(at=forget_at, kind="forget", id=request.name)
        return [Put(REQUESTS, request.name, document), deadline_change(forget)]

    def _forget(self, inbox: Inbox, ids: list[str], reason: str) -> None:
        for id in ids:
            inbox.remove(id)
            self._desk.progressing.pop(id, None)
            self._desk.settle(id, None)
        self._desk.tell_gone(inbox.place, ids, reason)

    async def find(self, id: str) -> Notification:
        """
        A notification as it is now; a checkpoint.

        Raises:
            RequestError: `request.not_found`.
        """
        place = await self._desk.place_of(id)
        async with self._desk.inboxes.use(place) as (inbox,):
            return self._in(inbox, id)

    def _in(self, inbox: Inbox, id: str) -> Notification:
        notification = inbox.find(id)
        if notification is None:
            raise not_found()
        return notification

    async def update(self, id: str, revision: Revision) -> Notification:
        """
        Change a notification, for everybody who has it; a checkpoint, and written when it returns.

        Raises:
            RequestError: As of `find` and `send`; `limit.too_large` where new text makes it larger than it may be;
                `request.conflict` where its progress is over, and this is not the same end.
        """
        self._desk.check_running()
        async with hold_family(self._desk, await self._desk.place_of(id), id) as family:
            now = self._desk.now
            first = self._revised(family[0].current, revision)
            with self._ending_of(family[0].id if is_over(first) else None):
                revised = _all_revised(family, revision, now)
                await self._desk.store.write([change for each in revised for change in keeping(each)])
            # Once more, and without asking whether it may be: progress may have been told while it was written.
            for member, changed in zip(family, _all_revised(family, revision, now), strict=True):
                self._desk.show_changed(member.inbox, changed)
            return next(member.current for member in family if member.id == id)

    @contextmanager
    def _ending_of(self, id: str | None) -> Iterator[None]:
        """While the end of progress is written, nothing that comes before it is told any more."""
        if id is not None:
            self._ending.add(id)
        try:
            yield
        finally:
            self._ending.discard(id or "")

    def _revised(self, current: Notification, revision: Revision) -> Notification:
        changed = revision.of(current, self._desk.now)
        _check_end(current, changed)
        if revision.title is not None or revision.body is not None:
            check_texts(revision.title, revision.body, self._desk.settings)
            # Only text makes it much larger; an end is told also of one that is as large as it may be.
            check_size(evolve(changed, level=current.level, progress=current.progress), self._desk.hub.limits)
        return changed

    def show_progress(self, current: Notification, revision: Revision) -> Notification:
        """Change a notification of a block in this process, without writing it; never blocks. Errors as of `update`."""
        desk = self._desk
        if current.id not in desk.progressing:  # withdrawn, replaced or expired meanwhile
            return current
        current = desk.progressing[current.id]
        # Somebody else tells its end, or has told it: that stands, and is no fault of the block.
        if is_over(current) or current.id in self._ending:
            return current
        changed = self._revised(current, revision)
        desk.progressing[current.id] = changed
        inbox = desk.inboxes.ready(current.place)
        if inbox is not None and current.id in inbox:
            inbox.put(changed, size_of(changed))
        desk.tell_updated(changed)
        return changed

    async def withdraw(self, id: str) -> None:
        """
        Take a notification back: nobody sees it any more, those included whom it was escalated to.

        A checkpoint; errors as of `find` and `send`.
        """
        self._desk.check_running()
        async with hold_family(self._desk, await self._desk.place_of(id), id) as family:
            await self._desk.store.write([change for member in family for change in forgetting(member.current)])
            for member in family:
                self._forget(member.inbox, [member.id], "withdrawn")

    async def receipts(self, id: str) -> list[Receipt]:
        """Who has read a notification, in the order of reading; a checkpoint. Errors as of `find`."""
        place = await self._desk.place_of(id)
        if place.user is not None:
            async with self._desk.inboxes.use(place) as (inbox,):
                self._in(inbox, id)
                found = [(place.user, inbox.marks.read_at(id))]
        else:
            found = [(user, marks.read_at(id)) async for user, marks in self._desk.store.marks_of(place.workspace)]
        receipts = [Receipt(user, at) for user, at in found if at is not None]
        return sorted(receipts, key=lambda receipt: (receipt.at, receipt.user))
