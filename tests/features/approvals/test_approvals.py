"""Approvals in one process: code asks, people decide, time runs out, and code is cancelled."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.approvals.approval import Approvers, Choice, Outcome
from rtcore.testing import open_test_hub
from rtcore.testing.virtual_server import START
from rtcore.values.events import Lane
from rtcore.values.limits import Limits


async def test_code_that_asked_goes_on_with_what_was_decided(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    async with open_desk() as desk:
        name = await desk.ask("Deploy 1.4?", details={"commit": "abc"})
        await trio.sleep(5)
        await desk.hub.approvals.decide(name, identity=person("ann"), decision="approve", reason="green")
        await trio.testing.wait_all_tasks_blocked()
        decision = desk.answers["Deploy 1.4?"]
        assert decision.approved
        assert (decision.approval_id, decision.reason, decision.at) == (name, "green", START + 5)
        assert [(v.user, v.choice) for v in decision.votes] == [("ann", Choice.APPROVE)]
        assert desk.steps() == ["requested", "voted", "decided"]
        assert await desk.open() == ()


async def test_events_say_what_happened_in_one_lane(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """Whoever waits for a decision must not get it before the question, nor lose either for other traffic."""
    async with open_desk() as desk:
        name = await desk.ask("Deploy?", details=[1], quorum=2, approvers=Approvers(roles={"approver"}, users={"zoe"}))
        await desk.hub.approvals.decide(name, identity=person("ann"), decision="approve")
        await desk.hub.approvals.decide(name, identity=person("bob"), decision="reject", reason="red")
        requested, voted, again, decided = desk.told()
        assert {event.lane for event in desk.told()} == {Lane.HIGH}
        assert requested.data == {
            "approval_id": name,
            "workspace": "default",
            "title": "Deploy?",
            "details": [1],
            "status": "open",
            "asked_at": "2025-06-15T15:06:40.000Z",
            "expires_at": "2025-06-15T16:06:40.000Z",
            "approvers": {"roles": ["approver"], "users": ["zoe"]},
            "quorum": 2,
            "rejections": 1,
            "durable": False,
            "votes": [],
        }
        at = "2025-06-15T15:06:40.000Z"
        head = {"approval_id": name, "workspace": "default", "title": "Deploy?"}
        ann, bob = {"user": "ann", "decision": "approve", "at": at}, {"user": "bob", "decision": "reject", "at": at}
        bob["reason"] = "red"
        assert voted.data == {
            **head,
            "actor": "ann",
            "status": "open",
            "vote": ann,
            "votes": {"approve": 1, "reject": 0},
        }
        assert again.data == {
            **head,
            "actor": "bob",
            "status": "rejected",
            "vote": bob,
            "votes": {"approve": 1, "reject": 1},
        }
        assert decided.data == {
            **head,
            "actor": "bob",
            "status": "rejected",
            "decision": {"outcome": "rejected", "at": at, "by": "bob", "reason": "red"},
            "votes": [ann, bob],
        }


async def test_time_that_runs_out_is_an_answer(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    async with open_desk() as desk:
        name = await desk.ask(expires_after=60)
        await trio.sleep(59.9)
        assert desk.answers == {}
        await trio.sleep(0.2)
        decision = desk.answers["Deploy?"]
        assert (decision.outcome, decision.expired, decision.approved) == (Outcome.EXPIRED, True, False)
        assert desk.steps() == ["requested", "expired"]
        with pytest.raises(RequestError, match="the approval was expired already"):
            await desk.hub.approvals.decide(name, identity=person(), decision="approve")
        assert len(desk.hub.timeouts) == 0


async def test_two_approvers_at_the_same_moment(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """One decides; the other is told who it was. Each order comes up in turn, and never both votes count."""
    outcomes = set()
    for place in range(20):
        async with open_desk() as desk:
            name = await desk.ask()
            said: dict[str, str] = {}

            async def decide(user: str, choice: str, desk: Any = desk, name: str = name, said: Any = said) -> None:
                try:
                    approval = await desk.hub.approvals.decide(name, identity=person(user), decision=choice)
                    said[user] = approval.status
                except RequestError as error:
                    said[user] = error.message

            async with trio.open_nursery() as both:
                pair = [("ann", "approve"), ("bob", "reject")]
                for user, choice in pair if place % 2 else pair[::-1]:
                    both.start_soon(decide, user, choice)
            (approval,) = (await desk.hub.approvals.page(status="ended")).approvals
            assert len(approval.votes) == 1
            (winner,) = (vote.user for vote in approval.votes)
            loser = "bob" if winner == "ann" else "ann"
            assert said == {winner: approval.status, loser: f"the approval was {approval.status} by {winner} already"}
            assert desk.steps().count("decided") == 1
            outcomes.add(winner)
    assert outcomes == {"ann", "bob"}


async def test_cancelled_scope_withdraws_its_request(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """The code that asked is gone: to approve would mean nothing, so nobody is asked any longer."""
    async with open_desk() as desk:
        with trio.move_on_after(10):
            await desk.hub.approvals.request("Deploy?")
        assert desk.steps() == ["requested", "withdrawn"], "told before the cancelled scope was left"
        assert desk.told()[-1].data["decision"] == {
            "outcome": "withdrawn",
            "at": "2025-06-15T15:06:50.000Z",
            "reason": "whoever asked was cancelled",
        }
        name = desk.told()[0].data["approval_id"]
        with pytest.raises(RequestError, match="the approval was withdrawn already"):
            await desk.hub.approvals.decide(name, identity=person(), decision="approve")
        assert len(desk.hub.timeouts) == 0


async def test_two_tasks_with_one_key_ask_one_question(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """It is withdrawn when nobody waits any more, and both get the answer when there is one."""
    async with open_desk() as desk:

        async def ask(scope: trio.CancelScope, label: str) -> None:
            with scope:
                desk.answers[label] = await desk.hub.approvals.request("Deploy?", key="release-7")

        first, second = trio.CancelScope(), trio.CancelScope()
        desk.nursery.start_soon(ask, first, "first")
        desk.nursery.start_soon(ask, second, "second")
        await trio.testing.wait_all_tasks_blocked()
        assert desk.hub.approvals.statistics().waiting == 2
        first.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.steps() == ["requested"]
        (approval,) = await desk.open()
        await desk.hub.approvals.decide(approval.approval_id, identity=person(), decision="approve")
        await trio.testing.wait_all_tasks_blocked()
        assert desk.answers["second"].approved
        second.cancel()


async def test_a_key_names_a_question_for_good(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """What was decided stays decided; who wants to know anew asks under another name."""
    async with open_desk() as desk:
        name = await desk.ask("Deploy?", key="k")
        await desk.hub.approvals.decide(name, identity=person(), decision="reject", reason="not today")
        again = await desk.hub.approvals.request("Deploy?", key="k")
        assert (again.approval_id, again.rejected, again.reason) == (name, True, "not today")
        assert desk.steps().count("requested") == 1
        with pytest.raises(RequestError) as refused:
            await desk.hub.approvals.request("Deploy all of it?", key="k")
        assert (refused.value.code, refused.value.field) == (ErrorCode.CONFLICT, "key")
        other = await desk.ask("Deploy?", key="k", asked_by="eve")
        assert other != name, "another one's key is another key"


async def test_what_was_withdrawn_can_be_asked_anew(autojump_clock: Any, open_desk: Any) -> None:
    """A task that is started again after it was cancelled asks again, and must not be told that it was cancelled."""
    async with open_desk() as desk:
        for _ in range(2):
            with trio.move_on_after(1):
                await desk.hub.approvals.request("Deploy?", key="k")
        assert desk.steps() == ["requested", "withdrawn"] * 2


async def test_durable_request_outlives_the_scope_that_asked(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """A restart cancels everything too, so cancellation cannot be what ends it."""
    async with open_desk() as desk:
        ask = partial(desk.hub.approvals.request, "Deploy?", key="k", durable=True)
        with trio.move_on_after(1):
            await ask()
        (approval,) = await desk.open()
        await desk.hub.approvals.decide(approval.approval_id, identity=person(), decision="approve")
        assert (await ask()).approved, "decided while nobody waited"


@pytest.mark.parametrize("by_key", [True, False])
async def test_durable_request_is_taken_back_by_hand(autojump_clock: Any, open_desk: Any, by_key: bool) -> None:
    async with open_desk() as desk:
        name = await desk.ask(key="k", durable=True)
        which: dict[str, Any] = {"key": "k"} if by_key else {"approval_id": name}
        ended = await desk.hub.approvals.withdraw(**which, reason="fixed otherwise")
        await trio.testing.wait_all_tasks_blocked()
        assert ended.status == "withdrawn"
        decision = desk.answers["Deploy?"]
        assert (decision.outcome, decision.reason, decision.approved) == (
            Outcome.WITHDRAWN,
            "fixed otherwise",
            False,
        )
        again = await desk.hub.approvals.withdraw(name)
        assert again == ended, "it has ended already, and that is what was wanted"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"approval_id": "nothing"}, ErrorCode.NOT_FOUND, "approval_id: there is no such approval"),
        ({"key": "nothing"}, ErrorCode.NOT_FOUND, "approval_id: there is no such approval"),
        ({}, ErrorCode.MALFORMED, "approval_id: give either it or a key"),
        ({"approval_id": "a", "key": "k"}, ErrorCode.MALFORMED, "approval_id: give either it or a key"),
        (
            {"approval_id": "a", "reason": ""},
            ErrorCode.MALFORMED,
            "reason: expected 1 to reason_length=1000 characters, got 0",
        ),
    ],
)
async def test_what_cannot_be_withdrawn_is_refused(
    autojump_clock: Any, open_desk: Any, arguments: Any, code: ErrorCode, message: str
) -> None:
    async with open_desk() as desk:
        with pytest.raises(RequestError) as refused:
            await desk.hub.approvals.withdraw(**arguments)
        assert (refused.value.code, refused.value.message) == (code, message)


async def test_workspaces_do_not_see_each_other(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    """Whose workspace it is not is told the same as where there is nothing."""
    async with open_desk() as desk:
        name = await desk.ask(workspace="blue")
        with pytest.raises(RequestError) as refused:
            await desk.hub.approvals.decide(name, identity=person(workspace="red"), decision="approve")
        assert refused.value.message == "approval_id: there is no such approval"
        with pytest.raises(RequestError, match="without a token that names a workspace"):
            await desk.hub.approvals.decide(name, identity=person(workspace=None), decision="approve")
        assert await desk.open("red") == ()
        assert await desk.hub.approvals.audit("red") == []
        assert desk.steps("red") == []
        assert [each.approval_id for each in await desk.open("blue")] == [name]


async def test_workspace_has_a_bound_that_others_do_not_feel(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    async with open_desk(limits=Limits(approvals=2)) as desk:
        first = await desk.ask("1")
        await desk.ask("2")
        with pytest.raises(RequestError) as refused:
            await desk.hub.approvals.request("3")
        assert (refused.value.code, refused.value.message) == (
            ErrorCode.BUSY,
            "the workspace has approvals=2 open already",
        )
        await desk.ask("elsewhere", workspace="other")
        await desk.hub.approvals.decide(first, identity=person(), decision="approve")
        await desk.ask("3")


async def test_a_bound_holds_for_requests_that_come_together(autojump_clock: Any, open_desk: Any) -> None:
    """A place is taken before the write, not after it."""
    async with open_desk(limits=Limits(approvals=3)) as desk:
        refused: list[RequestError] = []

        async def ask(title: str) -> None:
            try:
                await desk.hub.approvals.request(title)
            except RequestError as error:
                refused.append(error)

        for number in range(10):
            desk.nursery.start_soon(ask, str(number))
        await trio.testing.wait_all_tasks_blocked()
        assert (len(await desk.open()), len(refused)) == (3, 7)


async def test_a_thousand_wait_with_one_timer_task(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    async with open_desk() as desk:
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(1000):
            desk.nursery.start_soon(partial(desk.hub.approvals.request, str(number), expires_after=10 + number))
        await trio.testing.wait_all_tasks_blocked()
        assert len(desk.hub.timeouts) == 1000
        assert trio.lowlevel.current_statistics().tasks_living == tasks + 1000, "the askers, and no task a timer"
        assert (desk.hub.approvals.statistics().open, desk.hub.approvals.statistics().waiting) == (1000, 1000)
        (first, *_) = await desk.open()
        await desk.hub.approvals.decide(first.approval_id, identity=person(), decision="approve")
        await trio.sleep(2000)
        statistics = desk.hub.approvals.statistics()
        assert statistics.ended == {"approved": 1, "rejected": 0, "expired": 999, "withdrawn": 0}
        assert (statistics.open, statistics.waiting, statistics.asked, statistics.votes) == (0, 0, 1000, 1)
        assert (statistics.kept, len(desk.hub.timeouts)) == (1000, 0)


async def test_vote_that_is_no_word_is_refused(autojump_clock: Any, open_desk: Any, person: Any) -> None:
    async with open_desk() as desk:
        name = await desk.ask()
        with pytest.raises(RequestError, match="decision: expected one of approve, reject"):
            await desk.hub.approvals.decide(name, identity=person(), decision="maybe")


async def test_wall_clock_that_is_set_back_prolongs(autojump_clock: Any, open_desk: Any) -> None:
    """The end stands in the question as a time of day; what people read must be true."""
    moved = 0.0
    async with open_desk() as desk:
        true_clock = desk.hub.clock
        desk.hub.clock = lambda: true_clock() + moved
        await desk.ask(expires_after=60)
        moved = -30.0
        await trio.sleep(61)
        assert desk.answers == {}
        await trio.sleep(30)
        assert desk.answers["Deploy?"].expired


async def test_end_of_the_hub_wakes_who_waits(autojump_clock: Any) -> None:
    caught: list[Exception] = []

    async def ask(hub: Any) -> None:
        try:
            await hub.approvals.request("Deploy?", key="k", durable=True)
        except HubClosed as error:
            caught.append(error)

    async with trio.open_nursery() as nursery, open_test_hub() as hub:
        nursery.start_soon(ask, hub)
        await trio.testing.wait_all_tasks_blocked()
    assert [str(error) for error in caught] == ["the hub has ended"]
    with pytest.raises(HubClosed):
        await hub.approvals.request("Another?")


@pytest.mark.parametrize("outcome", [Outcome.APPROVED, Outcome.EXPIRED, Outcome.WITHDRAWN])
async def test_approval_ends_though_there_is_no_channel_left_to_tell_it_on(
    outcome: Outcome, autojump_clock: Any, open_desk: Any, person: Any
) -> None:
    """Whoever asked must not wait for ever, nor the hub end, because of others' channels."""
    async with open_desk(limits=Limits(channels=1)) as desk, desk.hub.subscribe("busy"):
        desk.hub.publish("busy", "t", 1)  # it has a subscriber, so it does not give way
        name = await desk.ask("Deploy?", expires_after=60)
        if outcome is Outcome.APPROVED:
            await desk.hub.approvals.decide(name, identity=person("ann"), decision="approve")
        elif outcome is Outcome.WITHDRAWN:
            await desk.hub.approvals.withdraw(name)
        await trio.sleep(100)
        assert desk.answers["Deploy?"].outcome is outcome
        assert await desk.open() == ()
        desk.hub.publish("busy", "t", 2)


async def test_whoever_asked_goes_on_though_telling_breaks(
    autojump_clock: Any, open_desk: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is so before it is told, whatever goes wrong there."""

    def break_down(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("broken")

    async with open_desk() as desk:
        name = await desk.ask("Deploy?")
        with monkeypatch.context() as patch:
            patch.setattr(type(desk.hub), "publish", break_down)
            with pytest.raises(RuntimeError, match="broken"):
                await desk.hub.approvals.decide(name, identity=person("ann"), decision="approve")
        await trio.testing.wait_all_tasks_blocked()
        assert desk.answers["Deploy?"].approved
