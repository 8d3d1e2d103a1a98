"""What a feature is, and the little of the hub that it needs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import trio

from rtcore.values.events import Json, Lane

__all__ = ["Feature", "PatientPublisher", "Publisher"]


class Publisher(Protocol):
    """Where events go: the hub, the Python client in another process, or a list in a test."""

    def publish(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> object:
        """
        Publish one event; never blocks. What it returns is the publisher's affair.

        Args:
            channel: Name of the channel.
            type: Type of the event, such as `task.progress`.
            data: What happened; must be JSON.
            lane: Priority class; None: by the type.
            key: Conflation key: a newer event with the same key may stand for an older one that is still waiting.

        Raises:
            RequestError: The event cannot be published as it is.
            HubClosed: The publisher has ended.
        """


@runtime_checkable
class PatientPublisher(Protocol):
    """A publisher that can also wait until its subscribers have room, where the channel's rule is to wait."""

    async def publish_wait(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> object:
        """As `Publisher.publish`, but a checkpoint. Cancelled while it waits, it has published nothing."""


class Feature(Protocol):
    """A family of events and commands that needs a task of its own, for schedules or time-outs."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; calls `task_status.started()` when ready."""
