"""Approvals over a connection: what the page at `/ws/approvals` and an agent in another process see and do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import jwt
import trio
import trio.testing

from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.settings import FeatureSettings
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.testing import TestClient, open_test_hub, open_test_server
from rtcore.values.limits import Limits
from rtcore.values.shown import show

SECRET = "s" * 40
KEYS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})


class House:
    """A server with tokens, and people who connect to it."""

    def __init__(self, hub: Any, server: Any) -> None:
        self.hub = hub
        self.server = server

    async def connect(
        self, user: str, *roles: str, workspace: str | None = "w1", path: str = "/ws/approvals"
    ) -> TestClient:
        claims: dict[str, Any] = {"sub": user, "exp": self.hub.clock() + 600, "roles": roles or ["approver"]}
        if workspace is not None:
            claims["workspace"] = workspace
        client: TestClient = await self.server.connect(path, token=jwt.encode(claims, SECRET))
        return client


@asynccontextmanager
async def open_house(settings: ApprovalSettings | None = None, limits: Limits | None = None) -> AsyncIterator[House]:
    features = FeatureSettings(approvals=settings or ApprovalSettings())
    limits = limits or Limits(idle_seconds=0)
    async with (
        open_test_hub(features=features, limits=limits) as hub,
        open_test_server(Settings(authentication=KEYS, limits=limits), hub=hub) as server,
    ):
        yield House(hub, server)


async def snapshot_of(client: TestClient) -> Any:
    """What the page begins with."""
    return (await client.expect("subscribed"))["data"]["channels"]["approvals:w1"]["snapshot"]


async def test_person_approves_on_the_page_and_the_code_goes_on(autojump_clock: Any) -> None:
    async with open_house() as house, trio.open_nursery() as nursery:
        page = await house.connect("ann")
        assert await snapshot_of(page) == {"approvals": [], "more": False, "open": 0}
        answers = []

        async def ask() -> None:
            answers.append(await house.hub.approvals.request("Deploy?", details={"to": "prod"}, workspace="w1"))

        nursery.start_soon(ask)
        requested = await page.expect("approval.requested")
        name = requested["data"]["approval_id"]
        reply = await page.request("approval.decide", {"approval_id": name, "decision": "approve", "reason": "ok"})
        assert reply["type"] == "approval.recorded"
        shown = reply["data"]["approval"]
        assert (shown["status"], shown["can_decide"], shown["decision"]["by"]) == ("approved", False, "ann")
        assert [(await page.receive())["type"] for _ in range(2)] == ["approval.voted", "approval.decided"]
        await trio.testing.wait_all_tasks_blocked()
        assert [answer.approved for answer in answers] == [True]


async def test_approver_who_comes_back_sees_what_is_open(autojump_clock: Any) -> None:
    """With who may decide it now, from its first message on; nothing that came between is missing or comes twice."""
    async with open_house() as house, trio.open_nursery() as nursery:
        first = await house.connect("ann")
        await snapshot_of(first)
        await first.aclose()
        for title in ("one", "two"):
            nursery.start_soon(lambda title=title: house.hub.approvals.request(title, workspace="w1", quorum=2))
        await trio.testing.wait_all_tasks_blocked()
        ann, reader = await house.connect("ann"), await house.connect("rob", "reader")
        told = await snapshot_of(ann)
        assert ({each["title"] for each in told["approvals"]}, told["open"]) == ({"one", "two"}, 2)
        assert {each["can_decide"] for each in told["approvals"]} == {True}
        assert {each["can_decide"] for each in (await snapshot_of(reader))["approvals"]} == {False}
        name = told["approvals"][0]["approval_id"]
        await ann.request("approval.decide", {"approval_id": name, "decision": "approve"})
        await ann.aclose()
        again = await snapshot_of(await house.connect("ann"))
        assert [each["can_decide"] for each in again["approvals"]] == [False, True]
        assert again["approvals"][0]["votes"][0]["user"] == "ann"
        nursery.cancel_scope.cancel()


async def test_snapshot_is_no_longer_than_a_reply(autojump_clock: Any) -> None:
    limits = Limits(idle_seconds=0, replay_bytes=4096)
    async with open_house(limits=limits) as house, trio.open_nursery() as nursery:
        for number in range(120):
            nursery.start_soon(lambda number=number: house.hub.approvals.request(str(number), workspace="w1"))
        await trio.testing.wait_all_tasks_blocked()
        told = await snapshot_of(page := await house.connect("ann"))
        assert (told["more"], told["open"]) == (True, 120)
        seen = [each["approval_id"] for each in told["approvals"]]
        assert len(seen) < 20, "as many as have room"
        while told["more"]:
            told = (await page.request("approval.list", {"after": seen[-1]}))["data"]
            seen += [each["approval_id"] for each in told["approvals"]]
        assert (len(seen), len(set(seen))) == (120, 120)
        nursery.cancel_scope.cancel()


async def test_agent_in_another_process_asks(autojump_clock: Any) -> None:
    """The reply comes at once, the decision as an event; the same key again is no new question, whenever it comes."""
    async with open_house() as house:
        agent, page = await house.connect("bot", "publisher"), await house.connect("ann")
        request = {
            "title": "Delete?",
            "details": ["a", "b"],
            "approvers": {"users": ["ann"]},
            "expires_after": 60,
            "key": "job-1",
            "durable": True,
        }
        opened = await agent.request("approval.request", request)
        assert opened["type"] == "approval.opened"
        shown = opened["data"]["approval"]
        assert (shown["asked_by"], shown["status"], shown["key"]) == ("bot", "open", "job-1")
        assert (await agent.request("approval.request", request))["data"] == opened["data"]
        await page.request("approval.decide", {"approval_id": shown["approval_id"], "decision": "reject"})
        told = [await agent.receive() for _ in range(4)]
        assert [each["type"] for each in told] == [
            "subscribed",
            "approval.requested",
            "approval.voted",
            "approval.decided",
        ]
        assert told[-1]["data"]["decision"]["outcome"] == "rejected"
        again = await agent.request("approval.request", request)
        assert again["data"]["approval"]["decision"]["by"] == "ann"


async def test_agent_withdraws_what_it_asked_and_nothing_else(autojump_clock: Any) -> None:
    async with open_house() as house:
        agent, other = await house.connect("bot", "publisher"), await house.connect("bob", "publisher")
        opened = await agent.request("approval.request", {"title": "Delete?"})
        which = {"approval_id": opened["data"]["approval"]["approval_id"], "reason": "done by hand"}
        refused = await other.request("approval.withdraw", which)
        assert (refused["data"]["code"], refused["data"]["message"]) == (
            "access.denied",
            "only who asked may withdraw an approval",
        )
        closed = await agent.request("approval.withdraw", which)
        assert closed["type"] == "approval.closed"
        assert closed["data"]["approval"]["decision"] == {
            "outcome": "withdrawn",
            "at": closed["data"]["approval"]["decision"]["at"],
            "by": "bot",
            "reason": "done by hand",
        }


async def test_request_of_a_client_stays_when_it_goes(autojump_clock: Any) -> None:
    """Connections come and go; what ends its request is a decision, the end of its time, or its own word."""
    async with open_house() as house:
        agent = await house.connect("bot", "publisher")
        await agent.request("approval.request", {"title": "Delete?", "expires_after": 50})
        await agent.aclose()
        page = await house.connect("ann")
        assert [each["title"] for each in (await snapshot_of(page))["approvals"]] == ["Delete?"]
        assert (await page.expect("approval.expired"))["data"]["status"] == "expired"


async def test_request_of_a_client_stays_though_a_task_that_asked_the_same_is_cancelled(autojump_clock: Any) -> None:
    async with open_house() as house:
        agent = await house.connect("bot", "publisher")
        with trio.move_on_after(5):
            async with trio.open_nursery() as nursery:
                ask = partial(house.hub.approvals.request, "Delete?", key="k", asked_by="bot", workspace="w1")
                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                await agent.request("approval.request", {"title": "Delete?", "key": "k"})
        assert house.hub.approvals.statistics().ended["withdrawn"] == 0
        assert len((await house.hub.approvals.page("w1")).approvals) == 1


async def test_workspaces_are_apart(autojump_clock: Any) -> None:
    async with open_house() as house:
        agent = await house.connect("bot", "publisher", workspace="w2")
        opened = await agent.request("approval.request", {"title": "Delete?"})
        page = await house.connect("ann", "approver", "admin")
        assert (await snapshot_of(page))["open"] == 0
        name = opened["data"]["approval"]["approval_id"]
        refused = await page.request("approval.decide", {"approval_id": name, "decision": "approve"})
        assert (refused["data"]["code"], refused["data"]["message"]) == (
            "request.not_found",
            "data.approval_id: there is no such approval",
        )
        assert (await page.request("approval.list"))["data"] == {"approvals": [], "more": False}
        denied = await page.request("subscribe", {"channels": ["approvals:w2"]})
        assert denied["data"]["code"] == "access.denied"
        denied = await page.request("publish", {"channel": "approvals:w1", "type": "approval.decided", "data": {}})
        assert denied["data"]["code"] == "access.denied", "nobody makes decisions up"
        lost = await house.connect("zoe", "admin", workspace=None)
        for command, data in (
            ("approval.list", {}),
            ("approval.request", {"title": "x"}),
            ("approval.decide", {"approval_id": name, "decision": "approve"}),
            ("approval.withdraw", {"approval_id": name}),
        ):
            assert (await lost.request(command, data))["data"]["code"] == "access.denied"


async def test_server_without_tokens_has_one_workspace_and_nobody_to_decide_by_default(autojump_clock: Any) -> None:
    """`anonymous_roles` with `approver` lets everyone decide, once for all of them together."""
    async with open_test_server(Settings()) as server:
        client = await server.connect("/ws/approvals")
        channels = (await client.expect("subscribed"))["data"]["channels"]
        assert channels["approvals:default"]["snapshot"]["open"] == 0
        opened = await client.request("approval.request", {"title": "Delete?"})
        which = {"approval_id": opened["data"]["approval"]["approval_id"], "decision": "approve"}
        assert (await client.request("approval.decide", which))["data"]["code"] == "access.denied"
    features = FeatureSettings(approvals=ApprovalSettings(decide_own=True))
    open_to_all = Settings(anonymous_roles=frozenset({"publisher", "approver"}), features=features)
    async with open_test_server(open_to_all) as server:
        client = await server.connect("/ws/approvals")
        opened = await client.request("approval.request", {"title": "Delete?"})
        which = {"approval_id": opened["data"]["approval"]["approval_id"], "decision": "approve"}
        assert (await client.request("approval.decide", which))["data"]["approval"]["status"] == "approved"


BAD: list[tuple[str, Any, str, str]] = [
    ("approval.request", {}, "request.malformed", "data.title: missing"),
    ("approval.request", {"title": 5}, "request.malformed", "data.title: expected text, got a number"),
    (
        "approval.request",
        {"title": ""},
        "request.malformed",
        "data.title: expected 1 to title_length=200 characters, got 0",
    ),
    (
        "approval.request",
        {"title": "x" * 201},
        "limit.too_large",
        "data.title: expected 1 to title_length=200 characters, got 201",
    ),
    (
        "approval.request",
        {"title": "x", "quorum": 0},
        "request.malformed",
        "data.quorum: expected a whole number from 1 to votes=20, got 0",
    ),
    (
        "approval.request",
        {"title": "x", "rejections": "1"},
        "request.malformed",
        'data.rejections: expected a whole number from 1 to votes=20, got "1"',
    ),
    (
        "approval.request",
        {"title": "x", "approvers": []},
        "request.malformed",
        "data.approvers: expected an object, got an array",
    ),
    (
        "approval.request",
        {"title": "x", "approvers": {}},
        "request.malformed",
        "data.approvers: expected at least one role or user, got none",
    ),
    (
        "approval.request",
        {"title": "x", "approvers": {"roles": [""]}},
        "request.malformed",
        "data.approvers.roles[0]: expected 1 to 255 characters, got 0",
    ),
    (
        "approval.request",
        {"title": "x", "approvers": {"groups": []}},
        "request.malformed",
        "data.approvers.groups: unknown field",
    ),
    (
        "approval.request",
        {"title": "x", "approvers": {"users": ["bot"]}},
        "request.malformed",
        "data.quorum: 1 approvals are more than the 0 users who may decide can give",
    ),
    (
        "approval.request",
        {"title": "x", "durable": True},
        "request.malformed",
        "data.key: expected one: a durable approval is found again by its key",
    ),
    (
        "approval.request",
        {"title": "x", "durable": 1},
        "request.malformed",
        "data.durable: expected true or false, got 1",
    ),
    ("approval.request", {"title": "x", "workspace": "w2"}, "request.malformed", "data.workspace: unknown field"),
    (
        "approval.request",
        {"title": "x", "details": "y" * 16384},
        "limit.too_large",
        "data.details: 16386 bytes of JSON exceed approval_bytes=16384",
    ),
    ("approval.decide", {"decision": "approve"}, "request.malformed", "data.approval_id: missing"),
    (
        "approval.decide",
        {"approval_id": "a", "decision": "yes"},
        "request.malformed",
        'data.decision: expected one of approve, reject, got "yes"',
    ),
    (
        "approval.decide",
        {"approval_id": "x" * 65, "decision": "approve"},
        "limit.too_large",
        "data.approval_id: expected 1 to 64 characters, got 65",
    ),
    (
        "approval.decide",
        {"approval_id": "a", "decision": "approve", "reason": "x" * 1001},
        "limit.too_large",
        "data.reason: expected 1 to reason_length=1000 characters, got 1001",
    ),
    (
        "approval.decide",
        {"approval_id": "a", "decision": "approve"},
        "request.not_found",
        "data.approval_id: there is no such approval",
    ),
    ("approval.withdraw", {"approval_id": "a"}, "request.not_found", "data.approval_id: there is no such approval"),
    (
        "approval.list",
        {"status": "all"},
        "request.malformed",
        'data.status: expected one of open, ended, approved, rejected, expired, withdrawn, got "all"',
    ),
    (
        "approval.list",
        {"limit": 101},
        "request.malformed",
        "data.limit: expected a whole number from 1 to page_approvals=100, got 101",
    ),
    ("approval.list", {"after": "zzz"}, "request.malformed", 'data.after: expected the id of an approval, got "zzz"'),
    *(
        (
            "approval.request",
            {"title": "x", "expires_after": seconds},
            "request.malformed",
            f"data.expires_after: expected a number over 0, up to maximum_seconds=2592000, got {shown}",
        )
        for seconds, shown in ((-5, "-5"), (0, "0"), (2592001, "2592001"), ("5", '"5"'), ([], "an array"))
    ),
    ("approval.list", {"after": ""}, "request.malformed", "data.after: expected 1 to 64 characters, got 0"),
    ("approval.list", [], "request.malformed", "data: expected an object, got an array"),
]


async def test_bad_input_is_refused_with_its_field_and_limit(autojump_clock: Any) -> None:
    async with open_house() as house:
        client = await house.connect("bot", "publisher", "approver")
        for command, data, code, message in BAD:
            reply = await client.request(command, data)
            told = reply["data"]
            assert (reply["type"], told["code"], told["message"]) == ("error", code, message), (command, data)
            assert told["field"] == message.partition(":")[0]
        assert house.hub.approvals.statistics().asked == 0


async def test_token_of_a_workspace_too_long_for_a_channel_is_told_so(autojump_clock: Any) -> None:
    """And not to mend `data.workspace`, which no client may send."""
    async with open_house() as house:
        client = await house.connect("bot", "publisher", workspace="w" * 250)
        for command, data in (("approval.request", {"title": "x"}), ("approval.list", {})):
            refused = (await client.request(command, data))["data"]
            assert (refused["code"], refused.get("field")) == ("access.denied", None)
            assert refused["message"] == (
                f"no channel of approvals can be named after the workspace {show('w' * 250)}: "
                "channel name of 260 characters exceeds the limit of 255"
            )


async def test_who_may_not_ask_is_refused(autojump_clock: Any) -> None:
    async with open_house() as house:
        client = await house.connect("ann")
        refused = (await client.request("approval.request", {"title": "x"}))["data"]
        assert (refused["code"], refused["message"]) == ("access.denied", "needs one of the roles admin, publisher")
