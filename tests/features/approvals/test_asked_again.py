"""Asked again under its key, while the first asker goes, and after a restart; and the end of the hub."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import HubClosed, RequestError
from rtcore.features.approvals.approval import Approvers
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub
from rtcore.values.identity import Identity
from tests.features.approvals.conftest import Desk, MoodyStore


async def ask_until_cancelled(desk: Desk, scope: trio.CancelScope, **options: Any) -> None:
    with scope:
        await desk.hub.approvals.request("Deploy?", key="k", **options)


async def test_key_asked_again_while_its_withdrawal_is_written_asks_anew(
    autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Whoever asks was not cancelled, and must not be told that he was."""
    store = MoodyStore()
    async with open_desk(store=store) as desk:
        scope = trio.CancelScope()
        desk.nursery.start_soon(ask_until_cancelled, desk, scope)
        await trio.testing.wait_all_tasks_blocked()
        store.open = trio.Event()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        desk.nursery.start_soon(desk.wait, "Deploy?", {"key": "k"})
        await trio.testing.wait_all_tasks_blocked()
        store.open.set()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.steps() == ["requested", "withdrawn", "requested"]
        (approval,) = await desk.open()
        await desk.hub.approvals.decide(approval.approval_id, identity=person(), decision="approve")
        await trio.testing.wait_all_tasks_blocked()
        assert desk.answers["Deploy?"].approved


@pytest.mark.parametrize("by_a_client", [False, True])
async def test_key_asked_again_before_its_withdrawal_begins_is_not_withdrawn(
    by_a_client: bool, autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """The withdrawal waits for a vote that is being written; meanwhile somebody else waits for the approval."""
    store = MoodyStore()
    asker = Identity(user="bot", workspace="default")
    async with open_desk(ApprovalSettings(store_seconds=1.0), store=store) as desk:
        scope = trio.CancelScope()
        desk.nursery.start_soon(partial(ask_until_cancelled, desk, scope, quorum=2, asked_by="bot"))
        await trio.testing.wait_all_tasks_blocked()
        (approval,) = await desk.open()
        store.open = trio.Event()
        decide = partial(desk.hub.approvals.decide, approval.approval_id, decision="approve")
        desk.nursery.start_soon(partial(decide, identity=person("ann")))
        await trio.testing.wait_all_tasks_blocked()
        options: dict[str, Any] = {"key": "k", "quorum": 2}
        if by_a_client:
            desk.nursery.start_soon(partial(desk.hub.approvals.open, "Deploy?", identity=asker, **options))
        else:
            desk.nursery.start_soon(desk.wait, "Deploy?", options | {"asked_by": "bot"})
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.sleep(2)  # longer than whoever is cancelled is held up
        store.open.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [(each.approval_id, len(each.votes)) for each in await desk.open()] == [(approval.approval_id, 1)]
        await decide(identity=person("zoe"))
        assert desk.steps() == ["requested", "voted", "voted", "decided"]


ANN = Approvers(users={"ann"})
SETTINGS = [{"approver_roles": {"boss"}}, {"decide_own": True}]


@pytest.mark.parametrize("other", SETTINGS)
@pytest.mark.parametrize("by_a_client", [False, True])
async def test_durable_approval_is_found_again_after_the_settings_have_changed(
    other: dict[str, Any], by_a_client: bool, autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Its code asks what it asked before; who may decide stays as people were told."""

    async def ask(desk: Desk) -> None:
        if by_a_client:
            await desk.hub.approvals.open("Release?", identity=person("bot"), key="k", durable=True)
        else:
            desk.nursery.start_soon(desk.wait, "Release?", {"key": "k", "durable": True})
            await trio.testing.wait_all_tasks_blocked()
            assert desk.answers == {}

    store = MemoryStore()
    for settings in (ApprovalSettings(), ApprovalSettings(**other), ApprovalSettings()):
        async with open_desk(settings, store=store) as desk:
            await ask(desk)
            (approval,) = await desk.open()
            assert (approval.question.approvers.roles, approval.question.own_decision) == ({"admin", "approver"}, False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"details": 1}),
        ({}, {"quorum": 2}),
        ({}, {"rejections": 2}),
        ({}, {"approvers": ANN}),
        ({"approvers": ANN}, {"approvers": Approvers(users={"zoe"})}),
        ({}, {"own_decision": True}),
    ],
)
async def test_what_is_asked_otherwise_under_a_key_is_another_question(
    before: dict[str, Any], after: dict[str, Any], autojump_clock: Any, open_desk: Any
) -> None:
    async with open_desk() as desk:
        await desk.ask("Release?", key="k", **before)
        with pytest.raises(RequestError, match="key: another question was asked under this key"):
            await desk.hub.approvals.request("Release?", key="k", **before | after)


async def test_end_of_the_hub_withdraws_nothing_that_was_not_cancelled(autojump_clock: Any) -> None:
    """Whoever waits elsewhere is told the truth; what is open is withdrawn at the next start."""
    store = MemoryStore()
    told: list[str] = []

    async def ask(hub: Any) -> None:
        with pytest.raises(HubClosed) as closed:
            await hub.approvals.request("Deploy?")
        told.append(str(closed.value))

    async with trio.open_nursery() as nursery, open_test_hub(store=store) as hub:
        nursery.start_soon(ask, hub)
        await trio.testing.wait_all_tasks_blocked()
    assert told == ["the hub has ended"]
    async with open_test_hub(store=store) as hub:
        (step,) = [step for step in await hub.approvals.audit() if step.step != "asked"]
        assert (step.step, step.why) == ("withdrawn", "the server was restarted")
