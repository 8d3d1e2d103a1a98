"""What a store counts of itself."""

from __future__ import annotations

from attrs import define, frozen

__all__ = ["StoreCounters", "StoreStatistics"]


@frozen(kw_only=True)
class StoreStatistics:
    """One store, since it was opened."""

    writes: int
    """Calls of `write` that were carried out."""
    commits: int
    """Transactions that they took: fewer, where writes came together."""
    changes: int
    """Documents put and keys deleted by them."""
    bytes: int
    """Bytes of keys and JSON text in these changes."""
    reads: int
    """Calls of `read` and `get` that were answered."""
    failures: int
    """Calls of any kind that ended with a `StoreError`."""
    latest_failure: str | None
    """Text of the newest of these errors; None while there was none."""


@define(eq=False)
class StoreCounters:
    """The running numbers behind a snapshot."""

    writes: int = 0
    commits: int = 0
    changes: int = 0
    bytes: int = 0
    reads: int = 0
    failures: int = 0
    latest_failure: str | None = None

    def count_commit(self, *, writes: int, changes: int, size: int) -> None:
        """Count a transaction that was carried out, and what was in it."""
        self.commits += 1
        self.writes += writes
        self.changes += changes
        self.bytes += size

    def count_failure(self, error: Exception) -> None:
        """Count a call that ends with this error."""
        self.failures += 1
        self.latest_failure = str(error)

    def snapshot(self) -> StoreStatistics:
        """The numbers of this moment."""
        return StoreStatistics(
            writes=self.writes,
            commits=self.commits,
            changes=self.changes,
            bytes=self.bytes,
            reads=self.reads,
            failures=self.failures,
            latest_failure=self.latest_failure,
        )
