"""
The interface to what must survive a restart: named collections of JSON documents, each in the order of its keys.

It is as small as it can be, so that another database is easily put behind it: three methods, no query language, no
transaction that stays open while somebody thinks. What has to change together is one `write`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

from rtcore.store.statistics import StoreStatistics
from rtcore.values.events import Json

__all__ = ["Change", "Delete", "Put", "Store"]


@frozen
class Put:
    """Keep a document under a key, in the place of the one that may be there."""

    collection: str
    """1 to 64 characters of `a-z`, `0-9` and `_`, a letter first."""
    key: str
    """Any text of 1 to 1,024 bytes in UTF-8."""
    document: Json
    """At most 4 MiB of JSON text. Encoded when `write` is called: changing it later changes nothing in the store."""


@frozen
class Delete:
    """Forget a key; nothing happens where it is not there."""

    collection: str
    """As in `Put`."""
    key: str
    """As in `Put`."""


Change = Put | Delete


class Store(Protocol):
    """
    Documents by collection and key. Any number of tasks may call it at once.

    A write that has returned is seen by every later read, in this process and in the next. Reads never see a part of a
    write.
    """

    async def read(
        self, collection: str, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Json]]:
        """
        Keys and documents of a collection in the order of the keys' UTF-8 bytes; those of a new collection: none.

        Args:
            collection: Its name.
            prefix: Only keys that begin so.
            after: Only keys behind this one, be it there or not; the last key of a page gives the next page.
            limit: Most documents, at least 1; None: all of them, which must then have room in memory.

        A checkpoint. Cancelling it leaves nothing behind.

        Raises:
            StoreError: The store is closed, or reading failed.
            ValueError: An argument is not as described.
        """

    async def get(self, collection: str, key: str) -> Json | None:
        """
        The document under a key; None where there is none (or where `null` is what was put there).

        A checkpoint. Cancelling it leaves nothing behind.

        Raises:
            StoreError: The store is closed, or reading failed.
            ValueError: The name or the key cannot be one.
        """

    async def write(self, changes: Iterable[Change]) -> None:
        """
        Make changes, all or none, in their order; of two writes, the one that was called first comes first.

        When it returns, the changes are durable. A checkpoint, also without changes. If it raises, `trio.Cancelled`
        included, nothing was written: once writing has begun it cannot be cancelled any more, and a cancellation that
        comes meanwhile is delivered at the caller's next checkpoint. So what the caller does behind it, up to that
        checkpoint, is done if and only if the changes are kept: no cancellation comes between.

        Raises:
            StoreError: The store is closed, or writing failed. Others whose changes were to share the commit have the
                same failure; the store goes on.
            RequestError: `limit.too_large`, or `request.malformed` if a document is not JSON: nothing else is harmed.
            ValueError: A name or a key cannot be one.
        """

    def statistics(self) -> StoreStatistics:
        """What was done since the store was opened."""
