"""Approvals as they are read: in pages, and as the audit trail."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.values.limits import Limits


async def test_pages_follow_each_other(autojump_clock: Any, open_desk: Any) -> None:
    """What waits longest comes first; of what is over, the newest."""
    async with open_desk() as desk:
        for number in range(5):
            await desk.ask(str(number), expires_after=10 if number < 3 else 100)
            await trio.sleep(1)
        page = desk.hub.approvals.page
        first = await page(limit=2)
        assert ([each.question.title for each in first.approvals], first.more) == (["0", "1"], True)
        second = await page(limit=3, after=first.approvals[-1].approval_id)
        assert ([each.question.title for each in second.approvals], second.more) == (["2", "3", "4"], False)
        await trio.sleep(20)
        ended = await page(status="ended", limit=2)
        assert ([each.question.title for each in ended.approvals], ended.more) == (["2", "1"], True)
        rest = await page(status="expired", after=ended.approvals[-1].approval_id)
        assert ([each.question.title for each in rest.approvals], rest.more) == (["0"], False)
        assert (await page(status="approved")).approvals == ()


async def test_page_of_what_is_open_holds_nothing_that_was_decided_just_then(
    autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Asked for at every moment around the decision, it has the approval open, or not at all."""
    seen: list[list[str]] = []

    async def look(desk: Any) -> None:
        seen.append([each.status for each in await desk.open()])

    async with open_desk() as desk:
        name = await desk.ask()
        decide = partial(desk.hub.approvals.decide, name, identity=person(), decision="approve")
        desk.nursery.start_soon(decide)
        for _ in range(20):
            for _ in range(10):
                desk.nursery.start_soon(look, desk)
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert [statuses for statuses in seen if statuses not in (["open"], [])] == []
        assert [] in seen
        assert ["open"] in seen


async def test_page_goes_on_where_the_next_were_forgotten(
    autojump_clock: Any, open_desk: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is empty, and says that there are others, would leave no place to go on from."""
    async with open_desk() as desk:
        names = []
        for number in range(4):
            names.append(await desk.ask(str(number)))
            await desk.hub.approvals.withdraw(names[-1])
            await trio.sleep(1)
        find = desk.hub.approvals._register.find

        async def forgetful(workspace: str, name: str) -> Any:
            return None if name in names[2:] else await find(workspace, name)

        monkeypatch.setattr(desk.hub.approvals._register, "find", forgetful)
        page = await desk.hub.approvals.page(status="ended", limit=2)
        assert ([each.approval_id for each in page.approvals], page.more) == ([names[1], names[0]], False)


async def test_page_ends_where_a_reply_is_full(autojump_clock: Any, open_desk: Any) -> None:
    async with open_desk(limits=Limits(replay_bytes=2048)) as desk:
        for number in range(4):
            desk.nursery.start_soon(partial(desk.hub.approvals.request, str(number), details="x" * 900))
        await trio.testing.wait_all_tasks_blocked()
        page = await desk.hub.approvals.page()
        assert (len(page.approvals), page.more) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"status": "shut"},
            'status: expected one of open, ended, approved, rejected, expired, withdrawn, got "shut"',
        ),
        ({"limit": 0}, "limit: expected a whole number from 1 to page_approvals=100, got 0"),
        ({"limit": 101}, "limit: expected a whole number from 1 to page_approvals=100, got 101"),
        (
            {"status": ["open"]},
            "status: expected one of open, ended, approved, rejected, expired, withdrawn, got an array",
        ),
        ({"after": 5}, "after: expected the id of an approval, got 5"),
        ({"after": ""}, 'after: expected the id of an approval, got ""'),
    ],
)
async def test_page_that_cannot_be_is_refused(
    autojump_clock: Any, open_desk: Any, arguments: Any, message: str
) -> None:
    async with open_desk() as desk:
        with pytest.raises(RequestError) as refused:
            await desk.hub.approvals.page(**arguments)
        assert refused.value.message == message


async def test_audit_trail_is_kept_within_bounds(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """Who decided what and why stays to be read, for so many approvals and so long."""
    settings = ApprovalSettings(kept_approvals=3, kept_seconds=100.0)
    async with open_desk(settings) as desk:
        for number in range(5):
            name = await desk.ask(str(number), key=str(number))
            await desk.hub.approvals.decide(name, identity=person(), decision="approve", reason=f"because {number}")
            await trio.sleep(1)
        steps = await desk.hub.approvals.audit()
        assert [(s.step, s.who, s.why) for s in steps if s.step == "decided"] == [
            ("decided", "ann", f"because {number}") for number in (2, 3, 4)
        ]
        assert len(await desk.hub.store.read("approvals")) == desk.hub.approvals.statistics().kept == 3
        assert [s.step for s in await desk.hub.approvals.audit(approval_id=name)] == ["asked", "voted", "decided"]
        anew = await desk.ask("0", key="0")
        assert anew > name, "a key goes with its approval"
        assert len(desk.hub.approvals._register.book._names) == 4
        await desk.hub.approvals.withdraw(anew)
        await trio.sleep(200)
        last = await desk.ask("last")
        await desk.hub.approvals.decide(last, identity=person(), decision="reject")
        assert {s.approval_id for s in await desk.hub.approvals.audit()} == {last}
        assert len(await desk.hub.store.read("approvals")) == 1
        assert len(await desk.hub.approvals.audit(after=last)) == 0


async def test_approval_that_was_forgotten_is_a_place_yet_and_the_last_one_ends_the_list(
    autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Who pages must come to an end, and not begin again, whatever goes meanwhile."""
    async with open_desk(ApprovalSettings(kept_approvals=1)) as desk:
        names = []
        for number in range(3):
            names.append(await desk.ask(str(number)))
            await trio.sleep(1)
        for name in names[:2]:
            await desk.hub.approvals.withdraw(name)
        page, audit = desk.hub.approvals.page, desk.hub.approvals.audit
        assert [each.approval_id for each in (await page(after=names[0])).approvals] == [names[2]]
        assert (await page(after=names[2])).approvals == ()
        assert [each.approval_id for each in (await page(status="ended", after=names[2])).approvals] == [names[1]]
        assert {step.approval_id for step in await audit(after=names[0])} == set(names[1:])
        for call in (page, audit):
            with pytest.raises(RequestError) as refused:
                await call(after=f"{int(names[2][:11], 16) + 60_000:011x}-0123456789abcdef")
            assert refused.value.code is ErrorCode.NOT_FOUND
            with pytest.raises(RequestError):
                await call(after="zzz")


async def test_page_is_as_long_as_the_settings_say(autojump_clock: Any, open_desk: Any) -> None:
    async with open_desk(ApprovalSettings(page_approvals=2)) as desk:
        for number in range(2):
            await desk.ask(str(number))
        desk.nursery.start_soon(desk.wait, "2", {})
        await trio.testing.wait_all_tasks_blocked()
        page = await desk.hub.approvals.page()
        assert (len(page.approvals), page.more) == (2, True)
        with pytest.raises(RequestError, match="from 1 to page_approvals=2, got 3"):
            await desk.hub.approvals.page(limit=3)
