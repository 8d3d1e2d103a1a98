"""Queues over a connection: leases and their end, roles, workspaces, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import rtcore
from rtcore.features.delivery_queue.commands import workspace_of
from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.identity import Identity
from tests.features.delivery_queue.talking import ALL, ask, refusal


async def test_jobs_go_from_a_producer_to_a_consumer(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        producer, consumer = await server.connect(), await server.connect()
        first = await ask(producer, "queue.put", queue="emails", data={"to": "ann"}, key="order-7")
        again = await ask(producer, "queue.put", queue="emails", data={"to": "ann"}, key="order-7")
        assert (first["duplicate"], again["duplicate"], again["job_id"]) == (False, True, first["job_id"])
        jobs = [{"data": 1}, {"data": 2, "priority": "high"}]
        many = await ask(producer, "queue.put_many", queue="emails", jobs=jobs)
        assert [each["status"] for each in many["jobs"]] == ["waiting", "waiting"]
        leased = await ask(consumer, "queue.lease", queue="emails", count=3)
        assert [job["data"] for job in leased["jobs"]] == [2, {"to": "ann"}, 1]
        job = leased["jobs"][1]
        assert {**job, "put_at": None, "leased_until": None} == {
            "job_id": first["job_id"],
            "data": {"to": "ann"},
            "attempt": 1,
            "max_attempts": 5,
            "priority": "normal",
            "key": "order-7",
            "put_at": None,
            "leased_until": None,
        }
        assert (job["put_at"], job["leased_until"]) == ("2025-06-15T15:06:40.000Z", "2025-06-15T15:11:40.000Z")
        names = [job["job_id"] for job in leased["jobs"]]
        assert await ask(consumer, "queue.ack", job_ids=names) == {"job_ids": names}
        (figures,) = (await ask(consumer, "queue.statistics"))["queues"]
        assert (figures["done"], figures["waiting"], figures["leased"]) == (3, 0, 0)


async def test_waiting_lease_holds_up_nothing(autojump_clock: Any) -> None:
    """A consumer acknowledges one job while it waits for the next."""
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        client, queue = await server.connect(), hub.queues.open("emails")
        await queue.put(1)
        (job,) = (await ask(client, "queue.lease", queue="emails"))["jobs"]
        await client.send("queue.lease", {"queue": "emails", "wait": 60}, id="later")
        await ask(client, "queue.ack", job_ids=[job["job_id"]])
        await trio.sleep(30)
        await queue.put(2)
        answer = await client.expect("queue.leased")
        assert (answer["id"], [job["data"] for job in answer["data"]["jobs"]]) == ("later", [2])
        began = trio.current_time()
        assert (await ask(client, "queue.lease", queue="emails", wait=10))["jobs"] == []
        assert trio.current_time() - began == pytest.approx(10)


async def test_connection_that_ends_gives_back_what_it_has_at_once(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue = hub.queues.open("emails")
        await queue.put(1)
        await queue.put(2, max_attempts=1)
        first, second = await server.connect(), await server.connect()
        assert len((await ask(first, "queue.lease", queue="emails", count=2))["jobs"]) == 2
        await second.send("queue.lease", {"queue": "emails", "wait": 60}, id=1)
        began = trio.current_time()
        await first.aclose()
        (job,) = (await second.expect("queue.leased"))["data"]["jobs"]
        assert trio.current_time() - began < 1
        assert (job["data"], job["attempt"]) == (1, 2)
        assert [dead.reason for dead in queue.dead()] == ["its consumer went away"]
        assert len(hub.queues._consumers) == 1


async def test_client_that_goes_while_it_waits_takes_no_job(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue, client = hub.queues.open("emails"), await server.connect()
        await client.send("queue.lease", {"queue": "emails", "wait": 60}, id=1)
        await trio.testing.wait_all_tasks_blocked()
        assert len(hub.queues._nursery.child_tasks) == 1  # type: ignore[union-attr]  # it runs
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert not hub.queues._nursery.child_tasks  # type: ignore[union-attr]  # as above
        await queue.put(1)
        await trio.testing.wait_all_tasks_blocked()
        assert (queue.statistics().waiting, queue.statistics().leased) == (1, 0)


async def test_connection_has_so_many_jobs_at_once_and_no_more(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue, client = hub.queues.open("emails"), await server.connect()
        await queue.put_many([{"data": number} for number in range(9)])
        assert await refusal(client, "queue.lease", {"queue": "emails", "count": 6}) == (
            "request.malformed",
            "data.count: 6 exceeds leases=5",
        )
        assert len((await ask(client, "queue.lease", queue="emails", count=2))["jobs"]) == 2
        assert len((await ask(client, "queue.lease", queue="emails", count=5))["jobs"]) == 3
        assert await refusal(client, "queue.lease", {"queue": "emails"}) == (
            "limit.busy",
            "this connection has 5 jobs, and waits for 0 more: leases=5",
        )


async def test_ack_is_all_or_nothing_and_says_which_was_lost(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue, client, other = hub.queues.open("emails"), await server.connect(), await server.connect()
        await queue.put_many([{"data": number} for number in range(2)])
        short, long = (await ask(client, "queue.lease", queue="emails", count=2, seconds=10))["jobs"]
        extended = await ask(client, "queue.extend", job_ids=[long["job_id"]], seconds=300)
        assert extended["leased_until"] == "2025-06-15T15:11:40.000Z"
        await trio.sleep(10.5)
        await ask(other, "queue.lease", queue="emails")
        names = [long["job_id"], short["job_id"]]
        assert await refusal(client, "queue.ack", {"job_ids": names}) == (
            "request.conflict",
            f"data.job_ids[1]: the lease on job {short['job_id']} has ended: another consumer has it",
        )
        assert queue.statistics().leased == 2
        assert await ask(client, "queue.ack", job_ids=names[:1]) == {"job_ids": names[:1]}


async def test_null_is_a_job_like_another(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        await ask(client, "queue.put", queue="emails", data=None, key=None)
        (job,) = (await ask(client, "queue.lease", queue="emails"))["jobs"]
        assert (job["data"], job["key"]) == (None, None)


async def test_page_past_the_last_dead_letter_is_empty(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue, client = hub.queues.open("emails"), await server.connect()
        await queue.put_many([{"data": 1}, {"data": 2}])
        async with queue.consume() as jobs:
            for job in await jobs.take(2):
                await job.fail("no")
        page = await ask(client, "queue.dead", queue="emails", limit=1)
        assert (len(page["jobs"]), page["more"]) == (1, True)
        page = await ask(client, "queue.dead", queue="emails", after=page["jobs"][0]["job_id"])
        assert (len(page["jobs"]), page["more"]) == (1, False)
        page = await ask(client, "queue.dead", queue="emails", after=page["jobs"][0]["job_id"])
        assert page == {"queue": "emails", "jobs": [], "more": False}


async def test_nack_tries_again_later_or_never(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        client, queue = await server.connect(), hub.queues.open("emails")
        await queue.put_many([{"data": 1}, {"data": 2}])
        first, second = (await ask(client, "queue.lease", queue="emails", count=2))["jobs"]
        reply = await ask(client, "queue.nack", job_id=first["job_id"], reason="busy", retry_after=20)
        assert reply == {"job_id": first["job_id"], "status": "waiting"}
        reply = await ask(client, "queue.nack", job_id=second["job_id"], reason="no such address", final=True)
        assert reply["status"] == "dead"
        began = trio.current_time()
        (job,) = (await ask(client, "queue.lease", queue="emails", wait=30))["jobs"]
        assert (job["attempt"], round(trio.current_time() - began)) == (2, 20)
        page = await ask(client, "queue.dead", queue="emails")
        assert ([(dead["data"], dead["reason"]) for dead in page["jobs"]], page["more"]) == (
            [(2, "no such address")],
            False,
        )
        assert (await ask(client, "queue.requeue", queue="emails"))["count"] == 1
        assert (await ask(client, "queue.drop", queue="emails"))["count"] == 0


async def test_subscriber_is_told_how_each_queue_stands_and_what_happens(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        client, queue = await server.connect(), hub.queues.open("emails")
        await queue.put(1)
        reply = await ask(client, "subscribe", channels=["queues:default"])
        (figures,) = reply["channels"]["queues:default"]["snapshot"]
        assert (figures["queue"], figures["waiting"], figures["oldest_seconds"]) == ("emails", 1, 0)
        await ask(client, "queue.pause", queue="emails")
        assert (await client.expect("queue.paused"))["data"]["paused"] is True
        assert (await ask(client, "queue.lease", queue="emails"))["jobs"] == []
        await ask(client, "queue.resume", queue="emails")
        assert (await client.expect("queue.resumed"))["data"]["paused"] is False


PUT = {"queue": "emails", "data": 1}
ROLES = [
    ("queue.put", PUT, {"publisher"}),
    ("queue.put_many", {"queue": "emails", "jobs": [{"data": None}]}, {"publisher"}),
    ("queue.lease", {"queue": "emails"}, {"worker"}),
    ("queue.ack", {"job_ids": ["x"]}, {"worker"}),
    ("queue.nack", {"job_id": "x"}, {"worker"}),
    ("queue.extend", {"job_ids": ["x"]}, {"worker"}),
    ("queue.statistics", {}, {"publisher", "worker"}),
    ("queue.pause", {"queue": "emails"}, set()),
    ("queue.resume", {"queue": "emails"}, set()),
    ("queue.dead", {"queue": "emails"}, set()),
    ("queue.requeue", {"queue": "emails"}, set()),
    ("queue.drop", {"queue": "emails"}, set()),
]


@pytest.mark.parametrize(("type", "data", "allowed"), ROLES, ids=[type for type, _, _ in ROLES])
async def test_commands_are_for_their_roles(type: str, data: Any, allowed: set[str], autojump_clock: Any) -> None:
    for role in ("publisher", "worker", "admin", "reader"):
        settings = rtcore.Settings(anonymous_roles=frozenset({role}))
        async with open_test_hub() as hub, open_test_server(settings, hub=hub) as server:
            hub.queues.open("emails")
            client = await server.connect()
            reply = await client.request(type, data)
            denied = reply["type"] == "error" and reply["data"]["code"] == "access.denied"
            assert denied is (role not in allowed | {"admin"}), role


def test_every_command_has_its_roles_tested() -> None:
    hub = rtcore.ApplicationHub()
    assert {type for type, _, _ in ROLES} == hub.queues.commands.keys()


async def test_workspaces_do_not_reach_each_others_queues(autojump_clock: Any) -> None:
    """The same name is another queue; statistics and events are for the workspace alone."""
    async with open_test_hub() as hub:
        mine, yours = hub.queues.open("emails", workspace="w1"), hub.queues.open("emails", workspace="w2")
        assert mine is not yours
        await mine.put(1, key="k")
        assert not (await yours.put(2, key="k")).duplicate
        async with yours.consume() as jobs:
            assert [job.data for job in await jobs.take(9)] == [2]
        bob = Identity(user="bob", workspace="w2", roles={"admin"})
        assert hub.access.can_read(bob, "queues:w2")
        assert not hub.access.can_read(bob, "queues:w1")
        assert not hub.access.can_publish(bob, "queues:w2")
        assert not hub.access.can_read(Identity(user="eve", workspace="w2"), "queues:w2")
        assert [queue.workspace for queue in hub.queues.all("w2")] == ["w2"]
        nobody = Identity(user="ann", roles={"admin"})
        with pytest.raises(rtcore.RequestError, match="queues belong to a workspace, and the token names none"):
            workspace_of(nobody)
