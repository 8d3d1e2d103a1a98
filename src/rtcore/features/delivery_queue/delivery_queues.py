"""
Delivery queues: jobs that are put once and done at least once, whatever happens to producers, consumers and the server.

A queue belongs to a workspace. Clients put and take jobs in their own workspace's queues, as far as their roles allow;
no name leads to another's. Statistics, and what happens to jobs, are on channel `queues:WORKSPACE`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.backlog import LateWriter
from rtcore.features.delivery_queue.budget import Budget
from rtcore.features.delivery_queue.commands import queue_commands
from rtcore.features.delivery_queue.delivery_queue import DeliveryQueue
from rtcore.features.delivery_queue.holding import Consumer, HeldJob
from rtcore.features.delivery_queue.intake import Intake
from rtcore.features.delivery_queue.job import Job, NewJob, Receipt
from rtcore.features.delivery_queue.job_fields import CHANNELS, check_queue
from rtcore.features.delivery_queue.put_requests import PutRequest, PutRequests
from rtcore.features.delivery_queue.queue_book import QueueBook
from rtcore.features.delivery_queue.queue_store import QueueName, QueueStore
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.feature import Feature
from rtcore.features.item_locks import ItemLocks
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.hub.subscriber import Subscriber
from rtcore.store.store import Change, Store
from rtcore.values.channels import Namespace, Overflow, Scope, names_of_channel
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity
from rtcore.values.shown import show

__all__ = ["DeliveryQueues"]


class DeliveryQueues(Feature):
    """
    Args:
        hub: Whose clocks and channels are used.
        store: Where jobs outlive the process, as far as it does itself.
        settings: Bounds, times and roles.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {
        CHANNELS: Namespace(
            scope=Scope.WORKSPACE,
            overflow=Overflow.CONFLATE,
            read_roles=frozenset({"admin", "publisher", "worker"}),
            publish_roles=frozenset(),
        )
    }
    REPLIES: ClassVar = frozenset(
        {"queue.accepted", "queue.acked", "queue.dead", "queue.dropped", "queue.extended", "queue.leased"}
        | {"queue.nacked", "queue.requeued", "queue.statistics"}
    )

    def __init__(self, hub: Hub, store: Store, settings: QueueSettings | None = None) -> None:
        self.settings = settings or QueueSettings()
        self._hub = hub
        self._store = QueueStore(store, hub.clock)
        self._budget = Budget(self.settings)
        self._queues: dict[QueueName, DeliveryQueue] = {}
        self._opened: set[QueueName] = set()  # by the program, which may have them for ever
        self._leaving: dict[QueueName, DeliveryQueue] = {}  # forgotten, but for what of them is not written yet
        self._ended = False
        self._consumers: dict[Subscriber, Consumer] = {}
        self._nursery: trio.Nursery | None = None
        self._requests = PutRequests(self._store, hub.limits, hub.clock)
        self._asking = ItemLocks()
        self._writer = LateWriter(self._store, hub.timeouts)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`queue.put` and its like; see `commands`."""
        return queue_commands(self)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The statistics of each queue of a workspace."""
        return {CHANNELS: self._snapshot}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up what the store holds, then wait for jobs in the name of clients, until cancelled."""
        await self._load()
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await self._writer.run()
        finally:
            self._nursery, self._ended = None, True
            for queue in self._queues.values():
                queue.own.close()
            await self._writer.finish()

    # For the program

    def open(self, name: str, *, workspace: str = DEFAULT_WORKSPACE) -> DeliveryQueue:
        """
        The queue of this name, which is made where there is none. To be called while the hub is open.

        Args:
            name: 1 to 64 letters, digits, `_`, `.` or `-`, a letter or digit first.
            workspace: Whose it is.

        Raises:
            RequestError: If a name is not acceptable, or the workspace has too many queues.
        """
        named = check_queue(name, workspace)
        queue = self.find_or_make(named)
        self._opened.add(named)
        return queue

    def all(self, workspace: str = DEFAULT_WORKSPACE) -> list[DeliveryQueue]:
        """The queues of a workspace, by name."""
        return sorted(self._of(workspace), key=lambda queue: queue.name)

    def _of(self, workspace: str) -> list[DeliveryQueue]:
        return [queue for queue in self._queues.values() if queue.workspace == workspace]

    # For clients

    def find(self, workspace: str, name: str) -> DeliveryQueue | None:
        """A queue that is there."""
        return self._queues.get(QueueName(workspace, name))

    def find_or_make(self, named: QueueName) -> DeliveryQueue:
        """A queue; RequestError `limit.busy` if the workspace has too many, and none of them is idle."""
        queue = self._queues.get(named)
        if queue is None:
            self._make_room(named.workspace)
            queue = self._make(named)
        return queue

    def _make_room(self, workspace: str) -> None:
        self._leaving = {named: queue for named, queue in self._leaving.items() if not queue.own.backlog.empty}
        mine = [named for named in self._queues if named.workspace == workspace]
        if len(mine) < self.settings.queues:
            return
        idle = next((each for each in mine if each not in self._opened and self._queues[each].own.look_idle()), None)
        if idle is None:
            problem = f"the workspace has {len(mine)} queues already: queues={self.settings.queues}"
            raise RequestError(ErrorCode.BUSY, problem)
        self._leaving[idle] = self._queues.pop(idle)

    async def put_once(self, named: QueueName, job: NewJob, request: PutRequest) -> tuple[Receipt, bool]:
        """
        Put a job for a request that may come twice; returns its receipt, and whether it was put by an earlier one.

        As `Intake.put`; besides RequestError `request.conflict` if the key came with another request before.
        """
        async with self._asking.hold(request.name):
            known = self._requests.find(request)
            if known is not None:
                return known, True
            intake = self.find_or_make(named).intake
            try:
                (receipt,) = await intake.put([job], lambda receipts: self._requests.begin(request, receipts[0]))
            except BaseException:
                self._requests.undo(request)
                raise
            self._requests.keep(request)
            return receipt, False

    def consumer(self, subscriber: Subscriber) -> Consumer:
        """A connection, as one who takes jobs; when it ends, all that it has is given back."""
        consumer = self._consumers.get(subscriber)
        if consumer is None:
            consumer = self._consumers[subscriber] = Consumer(self.settings.leases)
            self._hub.when_gone(subscriber, lambda: self._left(subscriber))
        return consumer

    def held(self, subscriber: Subscriber, workspace: str, job_id: str, field: str) -> HeldJob:
        """
        A job that a connection has; `field` is where it was named.

        Raises:
            RequestError: `request.conflict` that says what became of it, `request.not_found` if that is not known.
        """
        held = self.consumer(subscriber).find(job_id, field)
        if held is not None:
            return held
        found = (queue.own.became(job_id) for queue in self._of(workspace))
        became = next((words for words in found if words is not None), None)
        if became is not None:
            problem = f"this connection does not have job {job_id}: {became}"
            raise RequestError(ErrorCode.CONFLICT, f"{field}: {problem}", field=field)
        problem = f"no job {show(job_id)} is known here: there was none, or it was dropped, or done too long ago"
        raise RequestError(ErrorCode.NOT_FOUND, f"{field}: {problem}", field=field)

    def done_at(self, workspace: str, job_id: str) -> float | None:
        """When a job of a workspace was done, in Unix seconds; None where that is not known."""
        found = (queue.own.state.done_at(job_id) for queue in self._of(workspace))
        return next((at for at in found if at is not None), None)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something in the name of a client that is not to hold up its next commands."""
        if self._nursery is None:
            raise RequestError(ErrorCode.UNAVAILABLE, "the server is shutting down")
        self._nursery.start_soon(work)

    def _left(self, subscriber: Subscriber) -> None:
        consumer = self._consumers.pop(subscriber, None)
        if consumer is not None:
            consumer.close("its consumer went away")

    def _snapshot(self, identity: Identity, channel: str) -> Json:
        names = names_of_channel(channel)
        return [queue.statistics().document() for queue in self.all(names[0])] if names else []

    def _make(self, named: QueueName) -> DeliveryQueue:
        queue = self._leaving.pop(named, None)  # two at a time would write past each other
        if queue is None:
            book = QueueBook(self._hub, named, self.settings, self._store, self._budget, self._writer)
            queue = DeliveryQueue(book, Intake(book, self._hub.clock), partial(self.find_or_make, named))
        if self._ended:
            queue.own.close()
        self._queues[named] = queue
        return queue

    # A start

    async def _load(self) -> None:
        jobs: dict[QueueName, list[Job]] = {}
        async for named, job in self._store.jobs():
            jobs.setdefault(named, []).append(job)
        changes: list[Change] = []
        for named, found in jobs.items():
            book = self._load_queue(named)
            for job in found:
                if job.exhausted and job.dead_at is None:
                    job.dead_at, job.reason = self._hub.clock(), "the server ended during its last attempt"
                    changes.append(self._store.progress(named, job, dead_at=job.dead_at, reason=job.reason))
                self._budget.add(named.workspace, job.size)
            book.load(sorted(found, key=lambda job: job.dead_at or 0.0))
        for named, key, done in await self._store.keys():
            self._load_queue(named).state.remember(key, done)
        for named in await self._store.paused_queues():
            self._load_queue(named).state.paused = True
        for named, queue in self._queues.items():
            forgotten = queue.own.state.forget_keys(self._hub.clock())
            changes += self._store.forgotten(named, forgotten)
        changes += self._requests.load(await self._store.answers())
        await self._store.write_in_portions(changes)

    def _load_queue(self, named: QueueName) -> QueueBook:
        return (self._queues.get(named) or self._make(named)).own
