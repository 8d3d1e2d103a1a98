"""Queues for clients: who may, what is read, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue import settlement
from rtcore.features.delivery_queue.delivery_queue import DeliveryQueue
from rtcore.features.delivery_queue.holding import Consumer, HeldJob
from rtcore.features.delivery_queue.job import Receipt
from rtcore.features.delivery_queue.job_fields import (
    REASON_LENGTH,
    JobFields,
    check_bound,
    check_count,
    check_queue,
    job_id,
    over_zero,
    positive,
    queue_name,
    several,
    wait_seconds,
)
from rtcore.features.delivery_queue.queue_book import QueueBook
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.json_codec import json_fragment
from rtcore.protocol.wire_fields import flag, nested, text, wire
from rtcore.values.events import format_timestamp
from rtcore.values.identity import Identity

if TYPE_CHECKING:  # only named here; the feature has these commands
    from rtcore.features.delivery_queue.delivery_queues import DeliveryQueues

__all__ = ["DeadPage", "Put", "queue_commands", "receipt_document", "workspace_of"]

_JOB_IDS: Final = several(job_id)


@frozen(kw_only=True)
class Put(JobFields):
    """`queue.put`."""

    queue: str = wire(queue_name)


@frozen(kw_only=True)
class PutMany:
    """`queue.put_many`."""

    queue: str = wire(queue_name)
    jobs: tuple[JobFields, ...] = wire(several(nested(JobFields)))


@frozen(kw_only=True)
class Lease:
    """`queue.lease`."""

    queue: str = wire(queue_name)
    count: int = wire(positive, default=1)
    wait: float = wire(wait_seconds, default=0.0)
    seconds: float | None = wire(over_zero, default=None)


@frozen(kw_only=True)
class Ack:
    """`queue.ack`."""

    job_ids: tuple[str, ...] = wire(_JOB_IDS)


@frozen(kw_only=True)
class Nack:
    """`queue.nack`."""

    job_id: str = wire(job_id)
    reason: str | None = wire(text(REASON_LENGTH), default=None)
    retry_after: float | None = wire(wait_seconds, default=None)
    final: bool = wire(flag, default=False)


@frozen(kw_only=True)
class Extend:
    """`queue.extend`."""

    job_ids: tuple[str, ...] = wire(_JOB_IDS)
    seconds: float | None = wire(over_zero, default=None)


@frozen(kw_only=True)
class OfQueue:
    """`queue.pause` and `queue.resume`."""

    queue: str = wire(queue_name)


@frozen(kw_only=True)
class Look:
    """`queue.statistics`."""

    queue: str | None = wire(queue_name, default=None)


@frozen(kw_only=True)
class DeadPage:
    """`queue.dead`."""

    queue: str = wire(queue_name)
    after: str | None = wire(job_id, default=None)
    limit: int | None = wire(positive, default=None)


@frozen(kw_only=True)
class OfDead:
    """`queue.requeue` and `queue.drop`."""

    queue: str = wire(queue_name)
    job_ids: tuple[str, ...] | None = wire(_JOB_IDS, default=None)


def queue_commands(queues: DeliveryQueues) -> Mapping[str, CommandRule[Any]]:
    """The commands of delivery queues, by message type."""
    settings, handlers = queues.settings, _Handlers(queues)
    producers, consumers, managers = settings.producer_roles, settings.consumer_roles, settings.manager_roles
    anybody = producers | consumers | managers
    return {
        "queue.put": CommandRule(value=Put, handler=handlers.put, roles=producers),
        "queue.put_many": CommandRule(value=PutMany, handler=handlers.put_many, roles=producers),
        "queue.lease": CommandRule(value=Lease, handler=handlers.lease, roles=consumers),
        "queue.ack": CommandRule(value=Ack, handler=handlers.ack, roles=consumers),
        "queue.nack": CommandRule(value=Nack, handler=handlers.nack, roles=consumers),
        "queue.extend": CommandRule(value=Extend, handler=handlers.extend, roles=consumers),
        "queue.statistics": CommandRule(value=Look, handler=handlers.statistics, roles=anybody),
        "queue.pause": CommandRule(value=OfQueue, handler=partial(handlers.set_paused, True), roles=managers),
        "queue.resume": CommandRule(value=OfQueue, handler=partial(handlers.set_paused, False), roles=managers),
        "queue.dead": CommandRule(value=DeadPage, handler=handlers.dead, roles=managers),
        "queue.requeue": CommandRule(value=OfDead, handler=handlers.requeue, roles=managers),
        "queue.drop": CommandRule(value=OfDead, handler=handlers.drop, roles=managers),
    }


def workspace_of(identity: Identity) -> str:
    """The workspace whose queues a client may use; RequestError where its token names none."""
    if not identity.workspace:
        raise RequestError(ErrorCode.DENIED, "queues belong to a workspace, and the token names none")
    return identity.workspace


def receipt_document(receipt: Receipt) -> dict[str, object]:
    """A receipt as clients are told."""
    return {"job_id": receipt.job_id, "duplicate": receipt.duplicate, "status": receipt.status}


class _Handlers:
    def __init__(self, queues: DeliveryQueues) -> None:
        self._queues = queues
        self._settings = queues.settings

    def _there(self, context: CommandContext, name: str) -> DeliveryQueue:
        queue = self._queues.find(workspace_of(context.identity), name)
        if queue is None:
            raise RequestError(ErrorCode.NOT_FOUND, "data.queue: no such queue", field="data.queue")
        return queue

    def _made(self, context: CommandContext, name: str) -> DeliveryQueue:
        return self._queues.find_or_make(check_queue(name, workspace_of(context.identity)))

    async def put(self, context: CommandContext, command: Put) -> Reply:
        job = command.new_job(self._settings, "data")
        (receipt,) = await self._made(context, command.queue).intake.put([job])
        return Reply("queue.accepted", {"queue": command.queue, **receipt_document(receipt)})

    async def put_many(self, context: CommandContext, command: PutMany) -> Reply:
        self._check_batch("jobs", len(command.jobs))
        jobs = [job.new_job(self._settings, f"data.jobs[{index}]") for index, job in enumerate(command.jobs)]
        receipts = await self._made(context, command.queue).intake.put(jobs)
        return Reply("queue.accepted", {"queue": command.queue, "jobs": [receipt_document(each) for each in receipts]})

    def lease(self, context: CommandContext, command: Lease) -> None:
        """Answered later, so that a client that waits for a job can acknowledge others meanwhile."""
        consumer = self._queues.consumer(context.subscriber)
        check_bound("data.wait", command.wait, self._settings, "wait_seconds")
        check_bound("data.count", command.count, self._settings, "leases")
        seconds = self._seconds(command.seconds)
        if consumer.free - len(consumer.scopes) <= 0:
            problem = f"this connection has {len(consumer.held)} jobs, and waits for {len(consumer.scopes)} more"
            raise RequestError(ErrorCode.BUSY, f"{problem}: leases={consumer.leases}")
        book, scope = self._made(context, command.queue).book, trio.CancelScope()
        self._queues.start(partial(self._lease, context, command, book, consumer, seconds, scope))
        consumer.scopes.add(scope)  # now: the task begins later, and others ask for a lease or a new queue before it
        book.hold()

    async def _lease(
        self,
        context: CommandContext,
        command: Lease,
        book: QueueBook,
        consumer: Consumer,
        seconds: float,
        scope: trio.CancelScope,
    ) -> None:
        with scope:
            try:
                jobs = await book.lease(consumer, command.count, seconds=seconds, wait=command.wait)
            except Exception as error:  # one failing command must not end the feature
                context.answer(error)
            else:
                until = format_timestamp(context.hub.clock() + seconds)
                documents = [_job_document(each) | {"leased_until": until} for each in jobs]
                context.answer(Reply("queue.leased", {"queue": command.queue, "jobs": documents}))
            finally:
                consumer.scopes.discard(scope)
                book.let_go()

    async def ack(self, context: CommandContext, command: Ack) -> Reply:
        self._check_batch("job_ids", len(command.job_ids))
        fields = {name: f"data.job_ids[{index}]" for index, name in enumerate(command.job_ids)}
        done = self._done_before(context, fields)
        jobs = {name: self._held(context, name, field) for name, field in fields.items() if name not in done}
        if jobs:
            await settlement.acknowledge(list(jobs.values()), [fields[name] for name in jobs])
        else:
            await trio.lowlevel.checkpoint()
        before = {"done_before": done} if done else {}
        return Reply("queue.acked", {"job_ids": list(fields), **before}, unasked=False)

    def _done_before(self, context: CommandContext, fields: Mapping[str, str]) -> dict[str, str]:
        """
        Jobs that are done already, and when: who had no reply to an acknowledgement sends it again, through another
        connection if need be. One whose lease this connection has lost is none of these: that is refused.
        """
        workspace, consumer = workspace_of(context.identity), self._queues.consumer(context.subscriber)
        times = {
            name: self._queues.done_at(workspace, name)
            for name, field in fields.items()
            if consumer.find(name, field) is None
        }
        return {name: format_timestamp(time) for name, time in times.items() if time is not None}

    def _held(self, context: CommandContext, job_id: str, field: str) -> HeldJob:
        return self._queues.held(context.subscriber, workspace_of(context.identity), job_id, field)

    async def nack(self, context: CommandContext, command: Nack) -> Reply:
        check_bound("data.retry_after", command.retry_after or 0.0, self._settings, "delay_seconds")
        held = self._held(context, command.job_id, "data.job_id")
        status = await settlement.give_up(
            held, after=command.retry_after, reason=command.reason, final=command.final, field="data.job_id"
        )
        return Reply("queue.nacked", {"job_id": command.job_id, "status": status}, unasked=False)

    def extend(self, context: CommandContext, command: Extend) -> Reply:
        self._check_batch("job_ids", len(command.job_ids))
        seconds = self._seconds(command.seconds)
        jobs = [self._held(context, name, f"data.job_ids[{index}]") for index, name in enumerate(command.job_ids)]
        for held in jobs:
            held.extend(seconds)
        until = format_timestamp(context.hub.clock() + seconds)
        return Reply("queue.extended", {"job_ids": list(command.job_ids), "leased_until": until}, unasked=False)

    def statistics(self, context: CommandContext, command: Look) -> Reply:
        if command.queue is not None:
            queues = [self._there(context, command.queue)]
        else:
            queues = self._queues.all(workspace_of(context.identity))
        return Reply("queue.statistics", {"queues": [queue.statistics().document() for queue in queues]})

    async def set_paused(self, paused: bool, context: CommandContext, command: OfQueue) -> Reply:
        queue = self._there(context, command.queue)
        await (queue.pause() if paused else queue.resume())
        return Reply("queue.statistics", {"queues": [queue.statistics().document()]}, unasked=False)

    def dead(self, context: CommandContext, command: DeadPage) -> Reply:
        queue = self._there(context, command.queue)
        limit = command.limit or self._settings.page_jobs
        check_bound("data.limit", limit, self._settings, "page_jobs")
        found = queue.dead(after=command.after, limit=limit + 1, field="data.after")
        documents = [job.document() for job in found[:limit]]
        return Reply("queue.dead", {"queue": command.queue, "jobs": documents, "more": len(found) > limit})

    async def requeue(self, context: CommandContext, command: OfDead) -> Reply:
        self._check_batch("job_ids", len(command.job_ids or ()))
        count = await self._there(context, command.queue).requeue(command.job_ids, field="data.job_ids")
        return Reply("queue.requeued", {"queue": command.queue, "count": count}, unasked=False)

    async def drop(self, context: CommandContext, command: OfDead) -> Reply:
        self._check_batch("job_ids", len(command.job_ids or ()))
        count = await self._there(context, command.queue).drop(command.job_ids, field="data.job_ids")
        return Reply("queue.dropped", {"queue": command.queue, "count": count}, unasked=False)

    def _seconds(self, given: float | None) -> float:
        check_bound("data.seconds", given or 0.0, self._settings, "processing_seconds")
        return self._settings.processing_seconds if given is None else given

    def _check_batch(self, name: str, count: int) -> None:
        check_count(f"data.{name}", count, "entries", self._settings, "batch_jobs")


def _job_document(held: HeldJob) -> dict[str, object]:
    return {
        "job_id": held.job_id,
        "data": json_fragment(held.encoded),
        "attempt": held.attempt,
        "max_attempts": held.max_attempts,
        "priority": held.priority,
        "key": held.key,
        "put_at": format_timestamp(held.put_at),
    }
