"""
How a lease is ended by whoever holds it: checked, written, and only then so.

While it is written, the lease can neither run out nor be given back. If writing fails, what should have happened
meanwhile happens then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtcore.features.delivery_queue.job import JobStatus

if TYPE_CHECKING:  # only named here; held jobs are settled by these
    from rtcore.features.delivery_queue.holding import HeldJob

__all__ = ["acknowledge", "give_up"]


async def acknowledge(jobs: Sequence[HeldJob], fields: Sequence[str] = ()) -> None:
    """
    All these jobs are done: all or none, from however many queues of one hub.

    Args:
        jobs: Each once, one at least.
        fields: Where each was named, for the error.

    Raises:
        RequestError: `request.conflict` if a lease has ended; `server.unavailable` if it cannot be written.
    """
    for index, held in enumerate(jobs):
        held.check(fields[index] if fields else "job_id")
    first = jobs[0].book
    with _settling(jobs), first.backlog.writing() as others:
        await first.store.write([*others, *(change for held in jobs for change in held.book.done_changes(held))])
    counts: dict[object, int] = {}
    for held in jobs:
        held.book.finish(held)
        counts[held.book] = counts.get(held.book, 0) + 1
    for held in jobs:
        count = counts.pop(held.book, 0)
        if count:
            held.book.tell_done(held, count)


async def give_up(
    held: HeldJob, *, after: float | None = None, reason: str | None = None, final: bool = False, field: str = "job_id"
) -> JobStatus:
    """
    The attempt failed; see `HeldJob.retry` and `HeldJob.fail`.

    Raises:
        RequestError: As `acknowledge`.
    """
    held.check(field)
    book = held.book
    failure = book.judge(held, after=after, reason=reason, final=final)
    with _settling([held]), book.backlog.writing() as changes:
        await book.store.write([*changes, failure.change])
    book.fail(held, failure)
    return JobStatus.WAITING if failure.due is not None else JobStatus.DEAD


@contextmanager
def _settling(jobs: Sequence[HeldJob]) -> Iterator[None]:
    for held in jobs:
        held.lease.settling = True
    try:
        yield
    except BaseException:
        for held in jobs:
            held.stop_settling()
            held.book.unsettled(held)
        raise
    for held in jobs:
        held.stop_settling()
