"""
The hub as an application sees it: with every feature and transport joined to it, and open only while a block lasts.

It stands above features and transports, which know nothing of each other; the hub itself knows neither.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
import trio_websocket

from rtcore.features.activity.activities import Activities
from rtcore.features.alerts.alerts import Alerts
from rtcore.features.alerts.announcements import CHANNEL as ALERTS
from rtcore.features.approvals.approvals import Approvals
from rtcore.features.delivery_queue.delivery_queues import DeliveryQueues
from rtcore.features.feature import Feature
from rtcore.features.metric_streams.metric_streams import MetricStreams
from rtcore.features.notifications.notifications import Notifications
from rtcore.features.outputs.outputs import Outputs
from rtcore.features.presence.presence import Presence
from rtcore.features.processes import ProcessResult
from rtcore.features.settings import FeatureSettings
from rtcore.features.support_chat.support_chat import SupportChat
from rtcore.features.tasks import Task, Tasks
from rtcore.features.tools import Tool, Tools
from rtcore.features.typing.typing import Typing
from rtcore.features.workflows import Workflow, Workflows
from rtcore.hub.hub import Hub
from rtcore.hub.session import Authenticator
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Store
from rtcore.transports.trio_websocket_adapter import attach
from rtcore.values.channels import Namespace
from rtcore.values.commands import COMMANDS
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["ApplicationHub", "open_hub"]

_Joined = TypeVar("_Joined", bound=Feature)


class ApplicationHub(Hub):
    """A hub with the features at hand; `open_hub` makes and runs it."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        namespaces: Mapping[str, Namespace] | None = None,
        features: FeatureSettings | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(limits=limits, namespaces=namespaces, clock=clock)
        self.settings = features or FeatureSettings()
        """What was set of the features."""
        self.store = store or MemoryStore()
        """Where features keep what must survive a restart."""
        self._joined: list[Feature] = []
        self.presence = self._own(Presence(self, self.settings.presence))
        self.typing = self._own(Typing(self, self.presence, self.settings.typing))
        self.tools = Tools(self, limits=self.limits)
        self.tasks = Tasks(self, limits=self.limits, tools=self.tools)
        self.workflows = Workflows(self, limits=self.limits, tasks=self.tasks)
        self.activity = self._own(Activities(self, self.settings.activity))
        self.approvals = self._own(Approvals(self, self.store, self.settings.approvals))
        self.alerts = self._own(Alerts(self, self.store, self.settings.alerts))
        self.notifications = self._own(Notifications(self, self.store, self.settings.notifications))
        self.metrics = self._own(MetricStreams(self, self.settings.metrics))
        """Metric streams: those that every hub has, and your own."""
        self.metrics.observers.append(self.alerts)
        self.alerts.withhold(lambda stream: not self.metrics.readable_by_readers_of(ALERTS, stream))
        self.alerts.on_rules_changed(lambda: self.metrics.need(self.alerts, self.alerts.streams))
        self.outputs = self._own(Outputs(self, self.settings.outputs))
        self.support_chat = self._own(SupportChat(self, self.settings.support_chat))
        self.queues = self._own(DeliveryQueues(self, self.store, self.settings.queues))

    def join(self, feature: Feature) -> None:
        """
        Take in a feature: its commands, its namespaces, the state behind its channels, its dialects.

        `open_hub` runs those that are part of rtcore; the `run` of one that an application joins is the application's
        to start.

        Raises:
            ValueError: If one of its class is here already, or a name of its is taken.
        """
        self.registry.join(
            feature,
            commands=feature.commands,
            snapshots=feature.snapshots,
            preparations=feature.preparations,
            dialects=feature.dialects,
            attendance=feature.attendance,
            replies=feature.REPLIES,
            reserved=COMMANDS,
        )
        self.add_namespaces(feature.NAMESPACES)

    def _own(self, feature: _Joined) -> _Joined:
        """Join a feature that is run with the hub."""
        self.join(feature)
        self._joined.append(feature)
        return feature

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the hub and its features until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(super().run)
            for feature in self._joined:
                await nursery.start(feature.run)
            task_status.started()

    def workflow(
        self, name: str, *, workflow_id: str | None = None, plan: int | Mapping[str, float] | None = None
    ) -> Workflow:
        """A block whose run is shown on channel `workflows`; see `Workflows.workflow`."""
        return self.workflows.workflow(name, workflow_id=workflow_id, plan=plan)

    def task(self, name: str, *, task_id: str | None = None, plan: int | Mapping[str, float] | None = None) -> Task:
        """A block whose progress is shown on channel `tasks`; see `Tasks.task`."""
        return self.tasks.task(name, task_id=task_id, plan=plan)

    def tool(self, name: str, *, execution_id: str | None = None) -> Tool:
        """A block whose output is shown on channel `tools`; see `Tools.tool`."""
        return self.tools.tool(name, execution_id=execution_id)

    async def run_process(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        name: str | None = None,
        show_command: bool = False,
        check: bool = True,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> ProcessResult:
        """Run a command and show its output live on channel `tools`; see `Tools.run_process`."""
        return await self.tools.run_process(
            command, name=name, show_command=show_command, check=check, cwd=cwd, env=env, stdin=stdin
        )

    async def attach(
        self,
        connection: trio_websocket.WebSocketConnection,
        *,
        identity: Identity | None = None,
        authenticator: Authenticator | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Serve `rtcore.v1` on a connection of a trio-websocket server until it ends; see `attach`."""
        await attach(self, connection, identity=identity, authenticator=authenticator, limits=limits)


@asynccontextmanager
async def open_hub(
    *,
    limits: Limits | None = None,
    namespaces: Mapping[str, Namespace] | None = None,
    features: FeatureSettings | None = None,
    store: Store | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[ApplicationHub]:
    """
    A running hub.

    Leaving the block ends its tasks and every subscription in this process; servers and connections over it must have
    ended before, so open their nursery inside the block.

    Args:
        limits: Bounds on everything; by default those of `Limits`.
        namespaces: Options by the first part of a channel's name.
        features: What is set of the features; by default the numbers of their systems.
        store: What must survive a restart, open for as long as the hub; by default it is kept in memory.
        clock: Unix seconds.
    """
    hub = ApplicationHub(limits=limits, namespaces=namespaces, features=features, store=store, clock=clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        try:
            yield hub
        finally:
            nursery.cancel_scope.cancel()
