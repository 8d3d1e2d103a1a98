"""
What a restart leaves: durable approvals with their votes, and of the others the record of what became of them.

A restart is a second hub on the store of the first. A store that refuses or hangs shows what is told when nothing is
written: nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.application import open_hub
from rtcore.errors import ErrorCode, HubClosed, RequestError, StoreError
from rtcore.features.approvals.approval import Outcome
from rtcore.features.approvals.approval_json import document_of
from rtcore.features.approvals.approval_store import ApprovalStore
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.store.memory_store import MemoryStore
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Put
from rtcore.testing import open_test_hub
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from tests.features.approvals.conftest import MoodyStore

DURABLE: dict[str, Any] = {"key": "k", "durable": True}


async def test_durable_approval_goes_on_with_its_votes(open_desk: Any, person: Any, tmp_path: Path) -> None:
    """
    Asked again with the same key, it is the same approval: one vote came before the restart, one after.

    In a file, and so on the true clock: a virtual one would not wait for the thread that writes.
    """
    async with open_sqlite_store(tmp_path / "rtcore.db") as store, open_desk(store=store) as desk:
        name = await desk.ask_aloud(quorum=2, **DURABLE)
        await desk.hub.approvals.decide(name, identity=person("ann"), decision="approve", reason="one")
    async with open_sqlite_store(tmp_path / "rtcore.db") as store, open_desk(store=store) as desk:
        (approval,) = await desk.open()
        assert (approval.approval_id, len(approval.votes)) == (name, 1)
        with pytest.raises(RequestError, match="you have voted already"):
            await desk.hub.approvals.decide(name, identity=person("ann"), decision="reject")
        desk.nursery.start_soon(partial(desk.hub.approvals.decide, name, identity=person("bob"), decision="approve"))
        decision = await desk.hub.approvals.request("Deploy?", quorum=2, **DURABLE)
        assert [(vote.user, vote.reason) for vote in decision.votes] == [("ann", "one"), ("bob", None)]


async def test_decision_that_fell_while_the_asker_was_away_is_found(
    autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        await desk.ask(**DURABLE)
    async with open_desk(store=store) as desk:
        (approval,) = await desk.open()
        await desk.hub.approvals.decide(approval.approval_id, identity=person(), decision="reject", reason="no")
    async with open_desk(store=store) as desk:
        decision = await desk.hub.approvals.request("Deploy?", **DURABLE)
        assert (decision.rejected, decision.reason) == (True, "no")
        assert desk.steps() == [], "nothing is asked twice"


async def test_time_that_ran_out_meanwhile_is_told_at_the_start(autojump_clock: Any, open_desk: Any) -> None:
    store = MemoryStore()
    async with open_test_hub() as clockwork:  # one clock over both lives
        async with open_desk(store=store) as desk:
            desk.hub.clock = clockwork.clock
            await desk.ask(expires_after=60, **DURABLE)
        await trio.sleep(3600)
        async with open_hub(store=store, clock=clockwork.clock) as hub:
            assert [e.type for e in hub.history("approvals:default").events] == ["approval.expired"]
            (approval,) = (await hub.approvals.page(status="expired")).approvals
            assert approval.ending.at == approval.expires_at
            assert (await hub.approvals.request("Deploy?", **DURABLE)).expired


async def test_time_goes_on_after_a_restart(autojump_clock: Any, open_desk: Any) -> None:
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        await desk.ask(expires_after=60, **DURABLE)
    async with open_desk(store=store) as desk:
        await trio.sleep(61)
        assert desk.steps() == ["expired"]


async def test_durable_approval_stays_durable_after_a_restart(autojump_clock: Any, open_desk: Any) -> None:
    """Whoever asks again may be cancelled again."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        await desk.ask(**DURABLE)
    async with open_desk(store=store) as desk:
        with trio.move_on_after(1):
            await desk.hub.approvals.request("Deploy?", **DURABLE)
        assert (len(await desk.open()), desk.steps()) == (1, [])


async def test_document_of_a_newer_server_is_not_guessed_at(autojump_clock: Any, open_desk: Any, approval: Any) -> None:
    store = MemoryStore()
    document: Any = document_of(approval())
    await store.write([Put("approvals", "default/a1", document | {"version": 2})])
    expected = "approvals/default/a1: expected version 1 of a document, got 2"
    with pytest.RaisesGroup(pytest.RaisesExc(StoreError, match=expected), flatten_subgroups=True):
        async with open_desk(store=store):
            raise AssertionError("it must not begin")


async def test_hub_that_ends_while_a_question_is_written_keeps_nobody_waiting(autojump_clock: Any) -> None:
    """The question is kept, so the next start has it; but there will be no answer from this hub."""
    store = MoodyStore()
    caught: list[Exception] = []

    async def ask(hub: Any) -> None:
        try:
            await hub.approvals.request("Deploy?", **DURABLE)
        except HubClosed as error:
            caught.append(error)

    async with trio.open_nursery() as nursery:
        async with open_test_hub(store=store) as hub:
            store.open = trio.Event()
            nursery.start_soon(ask, hub)
            await trio.testing.wait_all_tasks_blocked()
        store.open.set()
    assert len(caught) == 1
    async with open_test_hub(store=store) as hub:
        assert hub.approvals.statistics().open == 1


async def test_what_was_not_durable_is_withdrawn_at_a_restart(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """A killed process could not withdraw it; the audit trail must not end in the air."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        name = await desk.ask(key="k")
        killed = MemoryStore()
        await killed.write([Put("approvals", key, document) for key, document in await store.read("approvals")])
    async with open_desk(store=killed) as desk:
        assert desk.steps() == ["withdrawn"]
        steps = await desk.hub.approvals.audit(approval_id=name)
        assert [(s.step, s.why) for s in steps] == [("asked", None), ("withdrawn", "the server was restarted")]
        document: Any = await killed.get("approvals", f"default/{name}")
        assert document["ending"]["outcome"] == "withdrawn", "the next start comes to the same, and at the same time"
        again = await desk.ask(key="k")
        assert again != name


async def test_start_forgets_what_is_too_old(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        for number in range(5):
            name = await desk.ask(str(number))
            await desk.hub.approvals.decide(name, identity=person(), decision="approve")
            await trio.sleep(1)
    async with open_desk(ApprovalSettings(kept_approvals=2), store=store) as desk:
        assert [a.question.title for a in (await desk.hub.approvals.page(status="ended")).approvals] == ["4", "3"]
        assert len(await store.read("approvals")) == 2


async def test_start_ends_more_than_the_store_takes_in_one_write(autojump_clock: Any) -> None:
    """Details may be as large as the settings say, and a hub that cannot write their end would never start again."""
    store = MemoryStore()
    limits = Limits(approval_bytes=400_000)
    async with open_test_hub(store=store, limits=limits) as hub:
        for number in range(50):
            await hub.approvals.open(str(number), identity=Identity(user="u", workspace="w"), details="x" * 390_000)
    async with open_test_hub(store=store, limits=limits) as hub:
        assert hub.approvals.statistics().ended["withdrawn"] == 50
        assert len(hub.history("approvals:w").events) == 50
    async with open_test_hub(store=store, limits=limits) as hub:
        assert hub.approvals.statistics().ended["withdrawn"] == 0, "their ends are kept"


async def test_step_forgets_no_more_than_one_write_bears(autojump_clock: Any, open_desk: Any) -> None:
    """What has become too old all at once goes with the next ones that end."""
    async with open_desk(ApprovalSettings(kept_approvals=5000, kept_seconds=10)) as desk:
        for number in range(1200):
            opened = await desk.hub.approvals.open(str(number), identity=Identity(user="u", workspace="default"))
            await desk.hub.approvals.withdraw(opened.approval_id)
        await trio.sleep(11)
        kept = []
        for number in range(2):
            opened = await desk.hub.approvals.open(str(number), identity=Identity(user="u", workspace="default"))
            await desk.hub.approvals.withdraw(opened.approval_id)
            kept.append(desk.hub.approvals.statistics().kept)
        assert kept == [201, 2]
        assert len(await desk.hub.store.read("approvals")) == 2


async def test_start_reads_everything_page_by_page(autojump_clock: Any, open_desk: Any) -> None:
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        for number in range(250):
            ask = partial(desk.hub.approvals.request, "q", key=str(number), durable=True)
            desk.nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    async with open_desk(store=store) as desk:
        assert desk.hub.approvals.statistics().open == 250


@pytest.mark.parametrize("document", [None, [], {"version": 2}, {"version": 1, "approval_id": "a"}, {"version": True}])
async def test_server_does_not_begin_without_its_approvals(autojump_clock: Any, open_desk: Any, document: Any) -> None:
    """To go on as if they had never been asked would lose decisions in silence."""
    store = MemoryStore()
    await store.write([Put("approvals", "default/a", document)])
    with pytest.RaisesGroup(pytest.RaisesExc(StoreError, match="approvals/default/a"), flatten_subgroups=True):
        async with open_desk(store=store):
            raise AssertionError("it must not begin")


# A store that fails


async def test_nothing_is_told_that_is_not_written(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    store = MoodyStore()
    async with open_desk(store=store) as desk:
        name = await desk.ask(**DURABLE)
        store.broken = True
        for attempt in (
            partial(desk.hub.approvals.decide, name, identity=person(), decision="approve"),
            partial(desk.hub.approvals.request, "Another?"),
            partial(desk.hub.approvals.withdraw, name),
        ):
            with pytest.raises(RequestError) as refused:
                await attempt()
            assert refused.value.code is ErrorCode.UNAVAILABLE
            assert (refused.value.transient, refused.value.retry_after) == (True, 1.0)
        assert desk.steps() == ["requested"]
        assert [approval.votes for approval in await desk.open()] == [()]
        store.broken = False
        await desk.hub.approvals.decide(name, identity=person(), decision="approve")
        assert desk.steps() == ["requested", "voted", "decided"]


async def test_request_whose_write_failed_can_be_asked_again(autojump_clock: Any, open_desk: Any) -> None:
    store = MoodyStore()
    async with open_desk(store=store) as desk:
        store.broken = True
        with pytest.raises(RequestError):
            await desk.hub.approvals.request("Deploy?", **DURABLE)
        store.broken = False
        await desk.ask(**DURABLE)


async def test_time_runs_out_although_the_store_is_broken(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """The end stands in the document, so the next start comes to the same; who waits must not wait for a disk."""
    store = MoodyStore()
    async with open_desk(store=store) as desk:
        name = await desk.ask(expires_after=60, **DURABLE)
        store.broken = True
        await trio.sleep(61)
        assert desk.answers["Deploy?"].expired
        store.broken = False
        (approval,) = (await desk.hub.approvals.page(status="expired")).approvals
        assert (approval.approval_id, approval.status) == (name, "expired")
    async with open_desk(store=store) as desk:
        await trio.sleep(61)
        assert (await desk.hub.approvals.request("Deploy?", **DURABLE)).expired


async def test_cancelled_code_is_held_up_by_a_hanging_disk_no_longer_than_it_may_be(
    autojump_clock: Any, open_desk: Any
) -> None:
    """Afterwards the hub's own task goes on, and the withdrawal is told when it is written."""
    store = MoodyStore()
    async with open_desk(ApprovalSettings(store_seconds=3.0), store=store) as desk:
        began = trio.current_time()
        with trio.move_on_after(10):
            desk.nursery.start_soon(_hang_after, store, 5)
            await desk.hub.approvals.request("Deploy?")
        assert trio.current_time() == began + 13
        assert desk.steps() == ["requested"]
        store.open.set()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.steps() == ["requested", "withdrawn"]


async def _hang_after(store: MoodyStore, seconds: float) -> None:
    await trio.sleep(seconds)
    store.open = trio.Event()


async def test_vote_that_is_being_written_comes_before_what_follows(
    autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Time runs out and the asker goes while a vote is on its way to the disk: it came first, and it decides."""
    store = MoodyStore()
    async with open_desk(store=store) as desk:
        with trio.move_on_after(30):
            desk.nursery.start_soon(desk.wait, "Deploy?", {"expires_after": 20})
            await trio.testing.wait_all_tasks_blocked()
            (approval,) = await desk.open()
            store.open = trio.Event()
            decide = partial(desk.hub.approvals.decide, identity=person(), decision="approve")
            desk.nursery.start_soon(decide, approval.approval_id)
            await trio.sleep_forever()
        assert desk.steps() == ["requested"]
        store.open.set()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.steps() == ["requested", "voted", "decided"]
        assert desk.answers["Deploy?"].outcome is Outcome.APPROVED


async def test_approvals_of_a_workspace_of_any_name_outlive_the_process(autojump_clock: Any) -> None:
    """And a workspace whose name with an identifier looks like another's key reads nothing of it."""
    store = MemoryStore()
    async with open_test_hub(store=store) as hub:
        asker = Identity(user="ada@example.com", workspace="a/b")
        asked = await hub.approvals.open("Deploy?", identity=asker, **DURABLE)
    async with open_test_hub(store=store) as hub:
        (found,) = (await hub.approvals.page("a/b")).approvals
        assert (found.approval_id, found.question.asked_by) == (asked.approval_id, "ada@example.com")
        assert len(await hub.approvals.audit("a/b", approval_id=asked.approval_id)) == 1
        for workspace, name in (("a", f"b/{asked.approval_id}"), ("a~2Fb", asked.approval_id)):
            with pytest.raises(RequestError, match="no such approval"):
                await hub.approvals.audit(workspace, approval_id=name)
            assert await ApprovalStore(store).get(workspace, name) is None
        assert await ApprovalStore(store).get("a/b", asked.approval_id) == found
