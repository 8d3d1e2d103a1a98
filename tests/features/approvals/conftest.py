"""What tests of approvals share: a hub, people, and a store that fails when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field

from rtcore.application import ApplicationHub
from rtcore.errors import StoreError
from rtcore.features.approvals.approval import Approval, Approvers, Question
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.settings import FeatureSettings
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Change
from rtcore.testing import open_test_hub
from rtcore.values.events import Event
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity

People = Callable[..., Identity]
MakeApproval = Callable[..., Approval]
OpenDesk = Callable[..., AbstractAsyncContextManager["Desk"]]


class MoodyStore(MemoryStore):
    """A store that refuses to write, or does not come back, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.open = trio.Event()
        self.open.set()
        self.writing = 0
        """Calls of `write` that have begun."""

    async def write(self, changes: Iterable[Change]) -> None:
        self.writing += 1
        await self.open.wait()
        if self.broken:
            raise StoreError("the disk is full")
        await super().write(changes)

    async def get(self, collection: str, key: str) -> Any:
        if self.broken:
            raise StoreError("the disk is gone")
        return await super().get(collection, key)


@define(eq=False)
class Desk:
    """A hub, and everything that was told on a workspace's channel."""

    hub: ApplicationHub
    nursery: trio.Nursery
    answers: dict[str, Any] = field(factory=dict)

    async def ask(self, title: str = "Deploy?", **options: Any) -> str:
        """Ask in a task of its own; returns the name of the approval, once it is open."""
        before = {each.approval_id for each in await self.open()}
        self.nursery.start_soon(self.wait, title, options)
        await trio.testing.wait_all_tasks_blocked()
        workspace = options.get("workspace", DEFAULT_WORKSPACE)
        (new,) = {each.approval_id for each in await self.open(workspace)} - before
        return new

    async def ask_aloud(self, title: str = "Deploy?", **options: Any) -> str:
        """As `ask`, where the store is a file: the event says when it is open."""
        async with self.hub.subscribe("approvals:default") as events:
            self.nursery.start_soon(self.wait, title, options)
            async for event in events:
                return str(event.data["approval_id"])  # type: ignore[index, call-overload]  # events carry an object
        raise AssertionError("the hub has ended")

    async def open(self, workspace: str = DEFAULT_WORKSPACE) -> tuple[Approval, ...]:
        """What is open."""
        return (await self.hub.approvals.page(workspace)).approvals

    def told(self, workspace: str = DEFAULT_WORKSPACE) -> list[Event]:
        """The events so far."""
        return list(self.hub.history(f"approvals:{workspace}").events)

    def steps(self, workspace: str = DEFAULT_WORKSPACE) -> list[str]:
        """Their types, without the family."""
        return [event.type.removeprefix("approval.") for event in self.told(workspace)]

    async def wait(self, title: str, options: Any) -> None:
        try:
            self.answers[title] = await self.hub.approvals.request(title, **options)
        except Exception as error:
            self.answers[title] = error


@asynccontextmanager
async def _open_desk(settings: ApprovalSettings | None = None, **options: Any) -> AsyncIterator[Desk]:
    features = FeatureSettings(approvals=settings or ApprovalSettings())
    async with open_test_hub(features=features, **options) as hub, trio.open_nursery() as nursery:
        yield Desk(hub, nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
def open_desk() -> OpenDesk:
    return _open_desk


@pytest.fixture
def person() -> People:
    """An approver of the default workspace, by name."""

    def make(user: str = "ann", *roles: str, workspace: str | None = DEFAULT_WORKSPACE) -> Identity:
        return Identity(user=user, workspace=workspace, roles=roles or ("approver",))

    return make


@pytest.fixture
def approval() -> MakeApproval:
    """An approval as a value; what is given is its question's."""

    def make(**question: Any) -> Approval:
        defaults: dict[str, Any] = {
            "title": "Deploy?",
            "details": None,
            "workspace": DEFAULT_WORKSPACE,
            "approvers": Approvers(roles={"approver"}),
            "quorum": 1,
            "rejections": 1,
            "key": None,
            "durable": False,
            "asked_by": None,
            "own_decision": False,
        }
        return Approval(approval_id="a1", question=Question(**(defaults | question)), asked_at=100.0, expires_at=200.0)

    return make
