"""Notifications get out in the end, or somebody is told that they did not; on a virtual clock."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.alert import Alert, Severity
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.delivery import Deliveries, Delivery
from rtcore.features.alerts.settings import AlertSettings


def delivery(number: int = 1, target: str = "web") -> Delivery:
    alert = Alert(
        id=f"alert{number}",
        rule_id="r",
        rule="CPU",
        severity=Severity.HIGH,
        condition="cpu > 1",
        message="m",
        values={},
        started_at=0.0,
    )
    return Delivery(target=target, notification=Notification(event="alert_triggered", alert=alert))


class Queue:
    """Deliveries in a nursery, and how each ended."""

    def __init__(self, senders: dict[str, Any], settings: AlertSettings, most: int, nursery: trio.Nursery) -> None:
        self.ended: list[tuple[str, str | None]] = []
        self.deliveries = Deliveries(senders, settings, most, self.end, random.Random(1))
        self.nursery = nursery

    def end(self, ended: Delivery, failure: DeliveryFailed | None) -> None:
        self.ended.append((ended.notification.alert.id, None if failure is None else str(failure)))

    def add(self, number: int = 1, target: str = "web") -> None:
        self.deliveries.enqueue(delivery(number, target), self.nursery)


@asynccontextmanager
async def queue(most: int = 10, settings: AlertSettings | None = None, /, **senders: Any) -> AsyncIterator[Queue]:
    async with trio.open_nursery() as nursery:
        yield Queue(senders, settings or AlertSettings(), most, nursery)


async def test_delivery_that_succeeds_is_over(autojump_clock: MockClock, sender: Any) -> None:
    async with queue(web=sender) as waiting:
        waiting.add()
    assert waiting.ended == [("alert1", None)]
    statistics = waiting.deliveries.statistics()
    assert (statistics.delivered, statistics.retried, statistics.given_up, statistics.waiting) == (1, 0, 0, 0)


async def test_pauses_double_and_are_drawn_from_their_upper_half(
    autojump_clock: MockClock, sender: Any, make_passing: Callable[..., DeliveryFailed]
) -> None:
    sender.failures = [make_passing() for _ in range(7)]
    settings = AlertSettings(attempts=8, retry_seconds=2.0, retry_most_seconds=20.0)
    async with queue(10, settings, web=sender) as waiting:
        waiting.add()
    times = [time for time, _ in sender.attempts]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    for pause, longest in zip(pauses, (2, 4, 8, 16, 32, 64, 128), strict=True):
        assert min(longest / 2, 20) <= pause <= min(longest, 20)
    assert all(pause < longest for pause, longest in zip(pauses[:4], (2, 4, 8, 16), strict=True))
    assert waiting.ended == [("alert1", None)]
    assert waiting.deliveries.statistics().retried == 7


@pytest.mark.parametrize(("asked", "pause"), [(60.0, 60.0), (86_400.0, 300.0), (0.0, None)])
async def test_target_that_asks_to_be_left_alone_is_within_bounds(
    autojump_clock: MockClock,
    sender: Any,
    make_passing: Callable[..., DeliveryFailed],
    asked: float,
    pause: float | None,
) -> None:
    sender.failures = [make_passing("busy", asked)]
    async with queue(web=sender) as waiting:
        waiting.add()
    (first, _), (second, _) = sender.attempts
    assert second - first == pytest.approx(pause) if pause else second - first <= 1.0


async def test_failure_for_good_is_not_repeated(autojump_clock: MockClock, sender: Any) -> None:
    sender.failures = [DeliveryFailed("answered with HTTP status 404", transient=False)]
    async with queue(web=sender) as waiting:
        waiting.add(1)
        waiting.add(2)
    assert waiting.ended == [("alert1", "answered with HTTP status 404"), ("alert2", None)]
    assert len(sender.attempts) == 2


async def test_too_many_attempts_are_given_up(
    autojump_clock: MockClock, sender: Any, make_passing: Callable[..., DeliveryFailed]
) -> None:
    sender.failures = [make_passing("cannot connect") for _ in range(3)]
    async with queue(10, AlertSettings(attempts=3), web=sender) as waiting:
        waiting.add()
    assert waiting.ended == [("alert1", "cannot connect (attempt 3 of attempts=3)")]
    assert waiting.deliveries.statistics().given_up == 1


async def test_one_target_keeps_its_order_and_holds_up_no_other(
    autojump_clock: MockClock, make_sender: Any, make_passing: Callable[..., DeliveryFailed]
) -> None:
    slow, quick = make_sender(hold=trio.Event(), failures=[make_passing()]), make_sender()
    async with queue(slow=slow, quick=quick) as waiting:
        for number in (1, 2, 3):
            waiting.add(number, "slow")
            waiting.add(number, "quick")
        await trio.testing.wait_all_tasks_blocked()
        assert [each.alert.id for each in quick.taken] == ["alert1", "alert2", "alert3"]
        assert slow.taken == []
        assert waiting.deliveries.statistics().waiting == 3
        slow.hold.set()
    assert [each.alert.id for each in slow.taken] == ["alert1", "alert2", "alert3"]


async def test_full_queue_gives_up_the_oldest_that_waits(
    autojump_clock: MockClock, make_sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    held = make_sender(hold=trio.Event())
    async with queue(2, web=held) as waiting:
        waiting.add(1)
        await trio.testing.wait_all_tasks_blocked()
        for number in (2, 3, 4):
            waiting.add(number)
        assert waiting.ended == [("alert2", "more than alert_deliveries=2 were waiting")]
        held.hold.set()
    assert [each.alert.id for each in held.taken] == ["alert1", "alert3", "alert4"]


async def test_fault_of_a_sender_does_not_end_its_queue_nor_show_its_words(
    autojump_clock: MockClock, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sender.failures = [ValueError("https://hooks.example/secret-token")]
    async with queue(web=sender) as waiting:
        waiting.add(1)
        waiting.add(2)
    assert waiting.ended == [("alert1", "failed unexpectedly: ValueError"), ("alert2", None)]
    assert "secret-token" not in caplog.text


async def test_target_that_is_gone_is_reported(autojump_clock: MockClock) -> None:
    async with queue() as waiting:
        waiting.add()
    assert waiting.ended == [("alert1", "the target is not in the settings any more")]
