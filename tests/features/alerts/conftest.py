"""Alerts over a real hub, with targets that only write down, and a store that can be made to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from attrs import define, field

from rtcore.errors import DeliveryFailed, ErrorCode, RequestError, StoreError
from rtcore.features.alerts.alerts import Alerts
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.channels.targets import Targets
from rtcore.features.alerts.settings import AlertSettings
from rtcore.hub.hub import Hub
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Change, Store
from rtcore.testing import START
from rtcore.values.events import Event, Json
from rtcore.values.limits import Limits

HIGH_CPU: dict[str, Json] = {
    "name": "High CPU Usage",
    "condition": "cpu_utilization > 0.8",
    "severity": "high",
    "channels": ["dashboard", "webhook"],
    "cooldown": 0,
}


@define(eq=False)
class RecordingSender:
    """A target that takes what it is sent, unless it is told to fail first, or to wait."""

    failures: list[Exception] = field(factory=list)
    """Raised by the next attempts, in order."""
    hold: trio.Event | None = None
    attempts: list[tuple[float, str]] = field(factory=list)
    """When, and the id of what."""
    taken: list[Notification] = field(factory=list)

    async def send(self, notification: Notification) -> None:
        self.attempts.append((trio.current_time(), notification.id))
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(notification)

    @property
    def told(self) -> list[tuple[str, str]]:
        """Event and rule of all that was taken."""
        return [(each.event, each.alert.rule) for each in self.taken]


class TroubledStore(MemoryStore):
    """A store in memory that fails, or does not answer, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.refusing = False
        self.hold: trio.Event | None = None

    async def write(self, changes: Iterable[Change]) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.failing:
            raise StoreError("no space left on /var/lib/rtcore/store")
        if self.refusing:
            raise RequestError(ErrorCode.TOO_LARGE, "write of 22000000 bytes exceeds write_bytes=16777216")
        await super().write(changes)


@define(eq=False)
class Bench:
    """Alerts at work."""

    hub: Hub
    alerts: Alerts
    events: list[Event]
    """All that was published."""

    async def observe(self, stream: str = "performance_metrics", /, **data: Json) -> None:
        """Take a sample, and let everything happen that follows from it at once."""
        self.alerts.observe(stream, data)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def data(self, event_type: str) -> list[Any]:
        return [event.data for event in self.events if event.type == event_type]


def passing(words: str = "not now", retry_after: float | None = None) -> DeliveryFailed:
    """A failure after which the next attempt may succeed."""
    return DeliveryFailed(words, transient=True, retry_after=retry_after)


@asynccontextmanager
async def _open_alerts(
    clock: Callable[[], float],
    *,
    store: Store | None = None,
    senders: Mapping[str, Any] | None = None,
    settings: AlertSettings | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Bench]:
    """Each sender is a target of its own name; that of the name `webhook` is what the kind means."""
    hub = Hub(limits=limits, clock=clock)
    senders = {"webhook": RecordingSender()} if senders is None else senders
    names = {"webhook": (), "slack": (), "sms": (), "email": ()} | {name: (name,) for name in senders}
    alerts = Alerts(hub, MemoryStore() if store is None else store, settings, Targets(senders, names))
    hub.registry.join(alerts, commands=alerts.commands, snapshots=alerts.snapshots)
    hub.add_namespaces(alerts.NAMESPACES)
    events: list[Event] = []
    hub.registry.observers.append(events.append)
    clock()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await nursery.start(alerts.run)
        yield Bench(hub, alerts, events)
        nursery.cancel_scope.cancel()


OpenAlerts = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def open_alerts() -> OpenAlerts:
    """Opens alerts over a hub, in one test any number of times; see `_open_alerts` for the options."""
    began: list[float] = []

    def clock() -> float:
        """A wall clock that begins at `START` and goes on over restarts."""
        if not began:
            began.append(trio.current_time())
        return START + trio.current_time() - began[0]

    return partial(_open_alerts, clock)


@pytest.fixture
def high_cpu() -> dict[str, Json]:
    """The rule that the tests begin with."""
    return dict(HIGH_CPU)


@pytest.fixture
def sender() -> RecordingSender:
    """A target."""
    return RecordingSender()


@pytest.fixture
def make_sender() -> Callable[..., RecordingSender]:
    """Makes targets."""
    return RecordingSender


@pytest.fixture
def troubled_store() -> TroubledStore:
    """A store that can be made to fail."""
    return TroubledStore()


@pytest.fixture
def make_passing() -> Callable[..., DeliveryFailed]:
    """Makes failures after which the next attempt may succeed."""
    return passing
