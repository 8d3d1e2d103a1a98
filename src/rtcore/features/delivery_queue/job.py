"""What a job is: put once, tried until it is done or dead."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen

__all__ = ["JOB_BYTES", "DoneKey", "Job", "JobStatus", "Lease", "NewJob", "Priority", "Receipt"]

JOB_BYTES: Final = 600
"""An estimate of what a job takes in memory beside its data and its key."""


class Priority(StrEnum):
    """Which jobs go first: a lower one is handed out only while no higher one is ready."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class JobStatus(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    LEASED = "leased"
    DEAD = "dead"
    DONE = "done"


@frozen(kw_only=True)
class NewJob:
    """A job that is to be put: what it is made of has been checked."""

    data: bytes
    """JSON."""
    priority: Priority
    key: str | None
    delay: float
    """Seconds before it may be handed out."""
    max_attempts: int


@frozen(kw_only=True)
class Receipt:
    """What became of a put: the job is kept, whatever happens."""

    job_id: str
    duplicate: bool
    """Whether a job with this key was there already: then nothing was added."""
    status: JobStatus
    """How that job stands."""


@define(eq=False, kw_only=True)
class Job:
    """A job that is not done. `due` is on the steady clock of its queue's state, in seconds."""

    job_id: str
    order: int
    """Among those of one priority, the smaller goes first."""
    priority: Priority
    data: bytes
    """JSON."""
    put_at: float
    """Unix seconds."""
    max_attempts: int
    key: str | None = None
    attempts: int = 0
    """How often it was handed out, the present time included."""
    due: float = 0.0
    """Not to be handed out before."""
    reason: str | None = None
    """Why the newest attempt failed, in words for people."""
    lease: Lease | None = None
    """Who has it now."""
    dead_at: float | None = None
    """Unix seconds; None: it is no dead letter."""
    ready: bool = False
    """Whether it waits and is due."""
    aged: bool = False
    """Whether it is in the heap of `Ages`."""

    @property
    def size(self) -> int:
        """Bytes that it counts."""
        return len(self.data) + JOB_BYTES + (0 if self.key is None else len(self.key))

    @property
    def status(self) -> JobStatus:
        """How it stands; a job that is done is kept no more."""
        if self.dead_at is not None:
            return JobStatus.DEAD
        return JobStatus.WAITING if self.lease is None else JobStatus.LEASED

    @property
    def exhausted(self) -> bool:
        """Whether it was tried as often as it may."""
        return self.attempts >= self.max_attempts


@define(eq=False)
class Lease:
    """Somebody's hold on a job, for one attempt."""

    job: Job = field(repr=False)
    until: float
    """When it runs out."""
    looked_at: float = math.inf
    """When the state looks whether it has run out."""
    settling: bool = False
    """Its end is being written: until that is over, nothing else may end it."""

    @property
    def held(self) -> bool:
        """Whether it holds yet."""
        return self.job.lease is self


@frozen
class DoneKey:
    """What is remembered of a job that was done."""

    job_id: str
    done_at: float
    """Unix seconds."""
