"""
Cancelled at any await, asking, deciding and withdrawing leave nothing behind: no lock, no timer, no place taken, no
approval that is told and not kept, or kept and not told.

Each life is run again and again, cancelled one await later each time, until it comes to its own end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.features.approvals.conftest import Desk
from tests.promises.test_cancellation import run_and_cancel

Life = Callable[[Desk, Any], Awaitable[object]]


async def ask_and_wait(desk: Desk, person: Any) -> None:
    await desk.hub.approvals.request("new", expires_after=5)


async def ask_with_key(desk: Desk, person: Any) -> None:
    await desk.hub.approvals.request("new", key="new", expires_after=5)


async def ask_durably(desk: Desk, person: Any) -> None:
    await desk.hub.approvals.request("new", key="new", durable=True, expires_after=5)


async def decide(desk: Desk, person: Any) -> None:
    (approval,) = await desk.open()
    await desk.hub.approvals.decide(approval.approval_id, identity=person(), decision="approve")


async def withdraw(desk: Desk, person: Any) -> None:
    await desk.hub.approvals.withdraw(key="old")


async def read(desk: Desk, person: Any) -> None:
    await desk.hub.approvals.page(status="ended")
    await desk.hub.approvals.audit()


@pytest.mark.parametrize("life", [ask_and_wait, ask_with_key, ask_durably, decide, withdraw, read])
async def test_cancelled_anywhere_it_leaves_nothing_behind(
    autojump_clock: Any, open_desk: Any, person: Any, life: Life
) -> None:
    awaits = 0
    struck = True
    while struck:
        async with open_desk() as desk:
            await desk.ask("old", key="old", durable=True)
            struck = await run_and_cancel(partial(life, desk, person), awaits)
            await trio.testing.wait_all_tasks_blocked()
            await check(desk)
        awaits += 1
        assert awaits < 200
    assert awaits > 1, "cancelled once at least"


async def check(desk: Desk) -> None:
    """What is held in memory, what is kept in the store and what was told are the same."""
    register = desk.hub.approvals._register
    assert len(register.locks) == 0
    open = {each.approval_id for each in await desk.open()}
    assert len(desk.hub.timeouts) == len(open), "one timer for each that is open"
    documents = dict(await desk.hub.store.read("approvals"))
    kept = {key.partition("/")[2]: document["ending"] for key, document in documents.items()}  # type: ignore[index,call-overload]
    assert {name for name, ending in kept.items() if ending is None} == open
    told = [(event.type, event.data["approval_id"]) for event in desk.told()]  # type: ignore[index,call-overload]
    assert {name for type, name in told if type == "approval.requested"} == kept.keys()
    ended = {name for type, name in told if type in ("approval.decided", "approval.expired", "approval.withdrawn")}
    assert ended == kept.keys() - open
    assert len(told) == len(set(told))
    assert register.book._workspaces["default"].reserved == 0
    old = [approval for approval in await desk.open() if approval.question.title == "old"]
    assert desk.hub.approvals.statistics().waiting == len(old), "whose life is over waits no more"
