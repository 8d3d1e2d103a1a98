"""What the program gives that can be no argument."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.testing import open_test_hub

WHOLE = "expected a whole number of at least 1"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda queue, jobs: jobs.take(0), f"count: {WHOLE}, got 0"),
        (lambda queue, jobs: jobs.take(-1), f"count: {WHOLE}, got -1"),
        (lambda queue, jobs: jobs.take("1"), f'count: {WHOLE}, got "1"'),
        (lambda queue, jobs: jobs.take(1, wait=-1), "wait: expected a number of at least 0, got -1"),
        (lambda queue, jobs: queue.consume(leases=0).__aenter__(), f"leases: {WHOLE}, got 0"),
        (lambda queue, jobs: queue.consume(seconds=0).__aenter__(), "seconds: expected a number over 0, got 0"),
        (lambda queue, jobs: queue.work(print, concurrency=0), f"concurrency: {WHOLE}, got 0"),
        (lambda queue, jobs: queue.work(print, seconds=0), "seconds: expected a number over 0, got 0"),
    ],
)
async def test_arguments_that_can_be_none_are_refused_in_words(use: Any, message: str, autojump_clock: Any) -> None:
    """Rather than waiting for ever for no job."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with queue.consume() as jobs:
            with pytest.raises(ValueError, match=f"^{message}$"):
                await use(queue, jobs)
        with pytest.raises(ValueError, match="limit: expected a whole number of at least 1, got 0"):
            queue.dead(limit=0)
