"""What a feature is, and the little of the hub that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import trio

from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.registry import Attendance, Preparation, Snapshot
from rtcore.values.channels import Namespace
from rtcore.values.events import Json, Lane

__all__ = ["Feature", "PatientPublisher", "Publisher"]

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


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


class Feature:
    """
    A family of events and commands with a meaning, joined to a hub; what it adds is named here.

    Its methods are called from the thread of the hub's Trio run.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = _NONE
    """Options of its channels; what an application sets for them by hand wins, field by field."""
    REPLIES: ClassVar[frozenset[str] | None] = None
    """Types of the replies to its commands, those of its dialects too; None: not told, and then no profile of a server
    can be told that it names a reply that there is not."""

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """What it adds to the protocol, by message type; asked once."""
        return _NONE

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The state behind its channels, by namespace: told to each subscriber with its first position; asked once."""
        return _NONE

    @property
    def preparations(self) -> Mapping[str, Preparation]:
        """What has to be awaited before such a state can be told, by namespace: where it is read first. Asked once."""
        return _NONE

    @property
    def dialects(self) -> Mapping[str, Dialect]:
        """What clients of its own kind speak, by the name that profiles call it; asked once."""
        return _NONE

    @property
    def attendance(self) -> Mapping[str, Attendance]:
        """What is to be told who listens to its channels, by namespace; asked once."""
        return _NONE

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """
        Serve until cancelled; calls `task_status.started()` when ready.

        For what has to be awaited again and again; a time-out is a timer of the hub's instead. By default there is
        nothing to do, and no task.
        """
        task_status.started()
