"""
When the oldest of the jobs that are ready was put.

Their order does not tell: a dead letter that is tried again has its place behind all others, and was put before them.
So there is a heap by age, from which nothing is taken out but at its top, or when it has grown by what is ready no
more. A job is in it once at most.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

from rtcore.features.delivery_queue.job import Job

__all__ = ["Ages"]

_LEAST_TO_CLEAN: Final = 128
"""Entries; below, those that are over cost less than looking for them."""


class Ages:
    """Of the jobs that are ready."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []  # no two have the same order: equal times never compare jobs
        self._ready = 0

    def __len__(self) -> int:
        """How many jobs are ready."""
        return self._ready

    def add(self, job: Job) -> None:
        """A job is ready."""
        job.ready = True
        self._ready += 1
        if job.aged:  # it was ready before
            return
        if len(self._heap) > 2 * self._ready + _LEAST_TO_CLEAN:
            self._clean()
        job.aged = True
        heappush(self._heap, (job.put_at, job.order, job))

    def remove(self, job: Job) -> None:
        """A job is ready no more."""
        job.ready = False
        self._ready -= 1

    def oldest(self) -> float | None:
        """When the oldest was put, in Unix seconds; None: no job is ready."""
        while self._heap and not self._heap[0][2].ready:
            heappop(self._heap)[2].aged = False
        return self._heap[0][0] if self._heap else None

    def _clean(self) -> None:
        """Take out what is ready no more."""
        for _, _, job in self._heap:
            job.aged = job.ready
        self._heap = [entry for entry in self._heap if entry[2].ready]
        heapify(self._heap)
