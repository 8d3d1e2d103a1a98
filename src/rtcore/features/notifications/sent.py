"""A notification, as whoever sent it has it."""

from __future__ import annotations

import logging
import math
from types import TracebackType
from typing import Self

import trio

from rtcore.errors import HubClosed, RequestError
from rtcore.features.notifications.desk import Desk
from rtcore.features.notifications.draft import Draft
from rtcore.features.notifications.notification import Level, Notification, ProgressStatus, Taken
from rtcore.features.notifications.sending import Receipt, Revision, Sending

__all__ = ["ProgressNotification", "SentNotification"]

_logger = logging.getLogger("rtcore.notifications")

_WHOLE = 100.0


class SentNotification:
    """What can be done with a notification that was sent; `Notifications.send` makes one."""

    def __init__(self, desk: Desk, sending: Sending, notification: Notification) -> None:
        self.notification = notification
        """As it was when it was sent."""
        self._desk = desk
        self._sending = sending

    @property
    def id(self) -> str:
        """Its identifier."""
        return self.notification.id

    async def action(self) -> Taken | None:
        """
        Wait until somebody chooses one of its actions.

        A checkpoint. Cancelling it changes nothing; any number of tasks may wait.

        Returns:
            The choice; None where there will be none: it was withdrawn, replaced or dismissed, or its time is over.

        Raises:
            HubClosed: If the hub ends before.
            RequestError: `server.unavailable` if the store cannot be read.
        """
        self._desk.check_running()
        waiter = self._desk.wait_for(self.id)
        try:
            try:
                current = await self._sending.find(self.id)
            except RequestError as error:
                if error.transient:
                    raise
                return None
            if current.taken is not None:
                return current.taken
            await waiter.over.wait()
        finally:
            self._desk.forget_waiter(self.id, waiter)
        self._desk.check_running()
        return waiter.taken

    async def receipts(self) -> list[Receipt]:
        """Who has read it, and when; see `Notifications.receipts`."""
        return await self._sending.receipts(self.id)

    async def withdraw(self) -> None:
        """Take it back; see `Notifications.withdraw`."""
        await self._sending.withdraw(self.id)


class ProgressNotification:
    """
    A block whose progress a notification tells; `Notifications.progress` makes one.

    Entering sends it. Leaving writes the end: completed, or failed with the exception that goes on, or cancelled. What
    `update` tells in between is told at once and not written: after a restart it is `interrupted`.
    """

    def __init__(self, desk: Desk, sending: Sending, draft: Draft) -> None:
        self._desk = desk
        self._sending = sending
        self._draft = draft
        self._notification: Notification | None = None

    @property
    def id(self) -> str:
        """Its identifier, within the block."""
        return self._current.id

    @property
    def _current(self) -> Notification:
        if self._notification is None:
            raise RuntimeError("a progress notification is sent when its block begins")
        return self._notification

    async def __aenter__(self) -> Self:
        if self._notification is not None:
            raise RuntimeError("a progress notification has one block")
        self._notification, _ = await self._sending.send(self._draft)
        self._desk.progressing[self.id] = self._notification
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._complete()
            else:
                cancelled = isinstance(error, trio.Cancelled)
                await self._break_off(ProgressStatus.CANCELLED if cancelled else ProgressStatus.FAILED)
        finally:
            self._desk.progressing.pop(self.id, None)

    async def _complete(self) -> None:
        try:
            await self._sending.update(
                self.id, Revision(progress=_WHOLE, status=ProgressStatus.COMPLETED, level=Level.SUCCESS)
            )
        except trio.Cancelled:
            await self._break_off(ProgressStatus.CANCELLED)
            raise
        except RequestError as error:
            if error.transient:
                raise
            # It was withdrawn, its time is over or its end was told: there is nothing to tell the end of.

    async def _break_off(self, status: ProgressStatus) -> None:
        """An exception is on its way out: it is held up for the write, but not for ever, and never replaced."""
        level = Level.WARNING if status is ProgressStatus.CANCELLED else Level.ERROR
        with trio.move_on_after(self._desk.settings.store_seconds, shield=True):
            try:
                await self._sending.update(self.id, Revision(status=status, level=level))
            except (RequestError, HubClosed) as error:
                _logger.info("the end of notification %s was not told: %s", self.id, error)

    def update(self, value: float, body: str | None = None) -> None:
        """
        Tell how far it is; never blocks.

        Args:
            value: From 0 to 100.
            body: New text, for people.

        Raises:
            ValueError: If it is no such number.
            RequestError: `limit.too_large` where the text makes it larger than it may be.
        """
        if not (math.isfinite(value) and 0 <= value <= _WHOLE):
            raise ValueError(f"value: expected a number from 0 to 100, got {value}")
        self._notification = self._sending.show_progress(self._current, Revision(progress=value, body=body))
