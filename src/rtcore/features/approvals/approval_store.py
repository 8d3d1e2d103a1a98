"""
Approvals in the store: one document each, by workspace and in the order of their asking.

In keys a workspace is written as in its channel, without a slash: the approval `b/c` of a workspace `a` is not the `c`
of `a/b`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from typing import Final

from rtcore.errors import ErrorCode, RequestError, StoreError
from rtcore.features.approvals.approval import Approval
from rtcore.features.approvals.approval_json import document_of, read_document
from rtcore.store.portions import portions
from rtcore.store.store import Change, Delete, Put, Store
from rtcore.values.channels import channel_part

__all__ = ["ApprovalStore"]

_logger = logging.getLogger("rtcore.approvals")

_COLLECTION: Final = "approvals"
_PAGE: Final = 100
"""Documents read at once at a start: 2 MiB or so with the default limits, and 400 MiB with the highest."""


class ApprovalStore:
    """Where approvals outlive the process, as far as the hub's store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, approvals: Iterable[Approval], *, workspace: str = "", forget: Iterable[str] = ()) -> None:
        """
        Keep approvals as they are now and forget others, all or none; a checkpoint, and durable when it returns.

        Args:
            approvals: What is kept.
            workspace: Of those that are forgotten.
            forget: Their names.

        Raises:
            RequestError: `server.unavailable`; then nothing has changed. The log has the cause.
        """
        await self._write([*map(_put, approvals), *_deletes(workspace, forget)])

    async def write_page(self, approvals: Iterable[Approval]) -> None:
        """
        Keep approvals as they are now, one after the other: together they may be too much for one write.

        A checkpoint; errors as of `write`, but then the first of them may be kept.
        """
        for portion in portions(map(_put, approvals)):
            await self._write(portion)

    async def forget(self, workspace: str, names: Iterable[str]) -> None:
        """Forget approvals of a workspace; otherwise as `write_page`."""
        for portion in portions(_deletes(workspace, names)):
            await self._write(portion)

    async def _write(self, changes: Iterable[Change]) -> None:
        try:
            await self._store.write(changes)
        except StoreError as error:
            raise _unavailable(error, "written") from error

    async def get(self, workspace: str, approval_id: str) -> Approval | None:
        """An approval as it was written last; a checkpoint. RequestError `server.unavailable` if it cannot be read."""
        key = _key(workspace, approval_id)
        try:
            document = await self._store.get(_COLLECTION, key)
            return None if document is None else read_document(key, document)
        except StoreError as error:
            raise _unavailable(error, "read") from error

    async def pages(self) -> AsyncGenerator[list[Approval]]:
        """
        Everything, page by page.

        Raises:
            StoreError: It cannot be read, or something is damaged: a server must not begin without its approvals.
        """
        after: str | None = None
        while page := await self._store.read(_COLLECTION, after=after, limit=_PAGE):
            yield [read_document(key, document) for key, document in page]
            after = page[-1][0]


def _put(approval: Approval) -> Put:
    return Put(_COLLECTION, _key(approval.question.workspace, approval.approval_id), document_of(approval))


def _deletes(workspace: str, names: Iterable[str]) -> list[Delete]:
    return [Delete(_COLLECTION, _key(workspace, name)) for name in names]


def _key(workspace: str, approval_id: str) -> str:
    return f"{channel_part(workspace)}/{approval_id}"


def _unavailable(error: StoreError, action: str) -> RequestError:
    _logger.error("an approval could not be %s: %s", action, error)
    return RequestError(ErrorCode.UNAVAILABLE, f"the approval could not be {action}", retry_after=1.0)
