"""What can be set of delivery queues."""

from __future__ import annotations

from attrs import field, frozen

from rtcore.values.rules import each, name_set, number, text, whole

__all__ = ["QueueSettings"]


@frozen(kw_only=True)
class QueueSettings:
    """Settings of delivery queues."""

    leases: int = field(default=5, validator=whole(1))
    """Most jobs that one connection, or one consumer in this process, has at once."""
    processing_seconds: float = field(default=300.0, validator=number(over=True))
    """How long a job may be processed, unless it is extended: then it goes to somebody else, or has failed."""
    wait_seconds: float = field(default=60.0, validator=number(over=True))
    """Longest that `queue.lease` may wait for a job."""
    max_attempts: int = field(default=5, validator=whole(1))
    """How often a job is tried, where it does not say so itself, before it is a dead letter."""
    job_attempts: int = field(default=1000, validator=whole(1))
    """Most `max_attempts` that a job may say."""
    delay_seconds: float = field(default=31_622_400.0, validator=number(over=True))
    """Longest `delay` of a job, and longest `retry_after`: 366 days."""
    retry_seconds: float = field(default=1.0, validator=number())
    """Longest wait before the second attempt; it doubles with each, and the true wait is random below it."""
    retry_maximum_seconds: float = field(default=300.0, validator=number())
    """Longest wait before any attempt."""
    key_seconds: float = field(default=86_400.0, validator=number())
    """How long the key of a job that was done is remembered, so that putting it again does nothing."""
    keys: int = field(default=10_000, validator=whole(0))
    """Most such keys of one queue, a few hundred bytes each: the oldest are forgotten first."""
    key_characters: int = field(default=128, validator=whole(1, 175))
    """Longest key. With workspace and queue it is a key of the store, of at most 1,024 bytes: four for a character."""
    done_jobs: int = field(default=10_000, validator=whole(0))
    """Most jobs of one queue that are remembered as done, some 250 bytes each: for who acknowledges twice."""
    data_bytes: int = field(default=262_144, validator=whole(1, 3_145_728))
    """Largest data of one job, as JSON."""
    jobs: int = field(default=10_000, validator=whole(1))
    """Most jobs of one queue that are not done, dead letters among them: the next is refused."""
    batch_jobs: int = field(default=1000, validator=whole(1))
    """Most jobs that are put with one command, and most job ids that one names: they are one write."""
    page_jobs: int = field(default=100, validator=whole(1))
    """Most dead letters of one reply."""
    workspace_bytes: int = field(default=67_108_864, validator=whole(1))
    """Bytes of such jobs of one workspace: the next is refused."""
    total_bytes: int = field(default=268_435_456, validator=whole(1))
    """Bytes of such jobs of all workspaces, all of which are in memory: the next is refused."""
    queues: int = field(default=100, validator=whole(1))
    """Most queues of one workspace; one that holds no job and no key makes room for another."""
    event_seconds: float = field(default=1.0, validator=number())
    """Least time between two events of one kind of one queue: what happens meanwhile is told together."""
    producer_roles: frozenset[str] = field(
        default=frozenset({"admin", "publisher"}), converter=name_set, validator=each(text())
    )
    """Roles of which a client must have one to put jobs."""
    consumer_roles: frozenset[str] = field(
        default=frozenset({"admin", "worker"}), converter=name_set, validator=each(text())
    )
    """Roles of which a client must have one to take jobs."""
    manager_roles: frozenset[str] = field(default=frozenset({"admin"}), converter=name_set, validator=each(text()))
    """Roles of which a client must have one to pause a queue, and to see, retry or drop its dead letters."""

    def __attrs_post_init__(self) -> None:
        """Refuse a default that no job may say itself."""
        if self.max_attempts > self.job_attempts:
            raise ValueError(f"max_attempts: {self.max_attempts} exceeds job_attempts={self.job_attempts}")
