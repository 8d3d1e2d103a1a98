"""
A handler that does jobs: what it returns acknowledges, what it raises is tried again.

A worker holds its job for as long as the handler runs, so its lease cannot run out; the handler itself is given
`processing_seconds`. Cancelling a worker gives its job back at once, and the attempt does not count.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.holding import Consumer, HeldJob
from rtcore.features.delivery_queue.job_fields import REASON_LENGTH
from rtcore.features.delivery_queue.queue_book import QueueBook
from rtcore.features.failure import describe_failure

__all__ = ["Handler", "run_worker"]

_logger = logging.getLogger("rtcore.queues")

Handler = Callable[[HeldJob], Awaitable[object]]


async def run_worker(book: QueueBook, consumer: Consumer, handler: Handler, seconds: float) -> None:
    """Do one job after the other until cancelled; HubClosed when the hub has ended."""
    while True:
        for held in await _lease(book, consumer):
            await _settle(held, await _do(handler, held, seconds))


async def _lease(book: QueueBook, consumer: Consumer) -> list[HeldJob]:
    """The next job, also where the store fails for a while."""
    while True:
        try:
            return await book.lease(consumer, 1, seconds=math.inf)
        except RequestError as error:
            await _wait_for_store(book, error)


async def _do(handler: Handler, held: HeldJob, seconds: float) -> str | None:
    """Why the handler failed; None: it did not."""
    try:  # around the scope: what is raised while it is cancelled comes in a group, from which it takes what is its own
        with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
            held.scope = scope
            await handler(held)
    except Exception as error:  # whatever it is, the job is tried again and the worker goes on
        failure = describe_failure(error, REASON_LENGTH)
        last = held.attempt >= held.max_attempts  # only then is it somebody's business
        _logger.log(
            logging.ERROR if last else logging.INFO,
            "job %s of queue %s failed, attempt %d of %d",
            held.job_id,
            held.book.queue.name,
            held.attempt,
            held.max_attempts,
            exc_info=error,
        )
        return f"{failure.error_type}: {failure.error}"
    return "it took too long" if scope.cancelled_caught else None


async def _settle(held: HeldJob, failure: str | None) -> None:
    """Write how it ended, and try again while the store fails: a job that was done must not be done again."""
    while held.held:  # otherwise the handler has settled it itself
        try:
            if held.lease.settling:  # by a task that the handler started; it may fail yet
                await held.wait_settled()
            else:
                await (held.ack() if failure is None else held.retry(reason=failure))
        except RequestError as error:
            await _wait_for_store(held.book, error)


async def _wait_for_store(book: QueueBook, error: RequestError) -> None:
    """Wait until it may work again; raises the error if it is another, HubClosed if the store ended with the hub."""
    if error.code is not ErrorCode.UNAVAILABLE:
        raise error
    book.check_open()
    await trio.sleep(error.retry_after or 0.0)
