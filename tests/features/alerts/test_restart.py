"""What a restart keeps: rules, alerts, silences, cooldowns, and what had not been told yet; nothing is told twice."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from rtcore.errors import RequestError
from rtcore.features.alerts.alert import AlertState
from rtcore.features.alerts.alert_store import AlertStore
from rtcore.features.alerts.rule_state import Phase, RuleState
from rtcore.store.memory_store import MemoryStore
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Put, Store
from rtcore.values.limits import Limits

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the same store again and again."""
    if request.param == "sqlite":
        return lambda: open_sqlite_store(tmp_path / "store.sqlite")
    kept = MemoryStore()

    @asynccontextmanager
    async def again() -> AsyncIterator[Store]:
        yield kept

    return again


@pytest.fixture
def restart(open_alerts: Any, open_store: OpenStore) -> Any:
    """Opens alerts over the store of the test."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Any]:
        async with open_store() as store, open_alerts(store=store, **options) as bench:
            yield bench
            # The store works in threads; what was recorded has been written when the lock is free and nothing waits.
            async with bench.alerts._journal.settled():
                pass

    return opened


async def test_rules_and_firing_alerts_survive_and_are_not_told_again(restart: Any, high_cpu: Any, sender: Any) -> None:
    async with restart(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu, by="alice")
        bench.alerts.observe("s", {"cpu_utilization": 0.9})
        (alert,) = bench.alerts.alerts()
        await bench.alerts.acknowledge(alert.id, by="bob")
        (alert,) = bench.alerts.alerts()
    assert sender.told == [("alert_triggered", "High CPU Usage")]
    async with restart(senders={"webhook": sender}) as bench:
        assert bench.alerts.rules() == [rule]
        assert bench.alerts.alerts() == [alert]
        assert (alert.state, alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, "bob")
        bench.alerts.observe("s", {"cpu_utilization": 0.95})
    assert len(sender.taken) == 1
    async with restart(senders={"webhook": sender}) as bench:
        bench.alerts.observe("s", {"cpu_utilization": 0.1})
        async with bench.alerts._journal.settled():
            assert bench.types == ["alert_resolved"]
            assert bench.data("alert_resolved")[0]["alert_id"] == alert.id
    async with restart(senders={"webhook": sender}) as bench:
        assert bench.alerts.alerts() == []
        await bench.alerts.remove_rule(rule.id)
    async with restart(senders={"webhook": sender}) as bench:
        assert bench.alerts.rules() == []
    assert sender.told == [("alert_triggered", "High CPU Usage"), ("alert_resolved", "High CPU Usage")]


async def test_cooldown_and_silence_go_on_over_a_restart(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    store = MemoryStore()
    async with open_alerts(store=store, senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu | {"cooldown": 300_000})
        quiet = await bench.alerts.add_rule(high_cpu | {"name": "quiet", "condition": "memory > 1"})
        await bench.alerts.silence(quiet.id, 600)
        await bench.observe(cpu_utilization=0.9, memory=2)
        await bench.observe(cpu_utilization=0.1, memory=2)
    await trio.sleep(100)
    async with open_alerts(store=store, senders={"webhook": sender}) as bench:
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(199)
        assert "alert_triggered" not in bench.types
        await trio.sleep(2)
        assert bench.types == ["alert_triggered"]
        await trio.sleep(298)
        assert ("alert_triggered", "quiet") not in sender.told
        await trio.sleep(2)
        assert bench.types == ["alert_triggered", "alert_silence_ended"]
        assert ("alert_triggered", "quiet") in sender.told


async def test_notification_that_was_not_out_yet_goes_out_after_the_restart(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, make_sender: Any
) -> None:
    store, held, free = MemoryStore(), make_sender(hold=trio.Event()), make_sender()
    async with open_alerts(store=store, senders={"webhook": held, "other": free}) as bench:
        await bench.alerts.add_rule(high_cpu | {"channels": ["webhook", "other"]})
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        assert [event for event, _ in free.told] == ["alert_triggered", "alert_resolved"]
    after = make_sender()
    async with open_alerts(store=store, senders={"webhook": after, "other": free}) as bench:
        await trio.testing.wait_all_tasks_blocked()
        assert [event for event, _ in after.told] == ["alert_triggered", "alert_resolved"]
        assert [each.id for each in after.taken] == [each.id for each in free.taken]
        assert bench.types == []
    async with open_alerts(store=store, senders={"webhook": after, "other": free}) as bench:
        await trio.testing.wait_all_tasks_blocked()
    assert (len(after.taken), len(free.taken)) == (2, 2)
    assert await store.read("alert_deliveries") == []


async def test_target_that_is_gone_after_the_restart_is_reported(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, make_sender: Any
) -> None:
    store = MemoryStore()
    async with open_alerts(store=store, senders={"ops": make_sender(hold=trio.Event())}) as bench:
        await bench.alerts.add_rule(high_cpu | {"channels": ["ops"]})
        await bench.observe(cpu_utilization=0.9)
    async with open_alerts(store=store, senders={}) as bench:
        await trio.testing.wait_all_tasks_blocked()
        assert bench.data("alert_delivery_failed")[0]["error"] == "the target is not in the settings any more"
        assert await store.read("alert_deliveries") == []
        assert len(bench.alerts.rules()) == 1, "the rule stays, so that it works again when the target is back"


async def test_rule_that_cannot_be_read_any_more_is_named_in_the_log_and_left_alone(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    async with open_alerts(store=store) as bench:
        long = await bench.alerts.add_rule(high_cpu | {"condition": "cpu_utilization > 0.8 or memory > 1"})
        short = await bench.alerts.add_rule(high_cpu | {"name": "second", "condition": "a > 1"})
    await store.write([Put("alert_rules", "odd", ["no rule"]), Put("alert_deliveries", "odd", {"target": 5})])
    with caplog.at_level(logging.ERROR):
        async with open_alerts(store=store, limits=Limits(alert_condition_length=10)) as bench:
            assert [rule.id for rule in bench.alerts.rules()] == [short.id]
    assert long.id in caplog.text
    assert "alert rule odd was not taken up" in caplog.text
    async with open_alerts(store=store) as bench:
        assert {rule.id for rule in bench.alerts.rules()} == {long.id, short.id}


async def test_times_are_right_on_another_steady_clock(autojump_clock: MockClock) -> None:
    """After a reboot the steady clock begins anew."""
    store = MemoryStore()
    before = AlertStore(store, lambda: 1_000_000.0, lambda: 1_750_000_000.0)
    state = RuleState(phase=Phase.QUIET, triggered_at=999_990.0, silenced_until=1_000_060.0)
    await before.write([before.put_state("r", state, None)])
    after = AlertStore(store, lambda: 5.0, lambda: 1_750_000_020.0)
    read, alert = after._state(dict(await store.read("alert_states"))["r"])  # type: ignore[arg-type]
    assert (read.triggered_at, read.silenced_until, alert) == (-25.0, 45.0, None)


async def test_more_than_one_write_takes_is_kept_in_several(
    autojump_clock: MockClock, open_alerts: Any, troubled_store: Any, sender: Any
) -> None:
    """A slow store and many samples: it gathers, and must neither end the hub nor be lost."""
    limits = Limits(alert_condition_length=50_000, alert_deliveries=500)
    condition = "load > 0.8" + " " * 45_000
    rule = {"name": "Flaps", "condition": condition, "severity": "high", "channels": ["webhook"], "cooldown": 0}
    async with open_alerts(store=troubled_store, senders={"webhook": sender}, limits=limits) as bench:
        await bench.alerts.add_rule(rule)
        troubled_store.hold = trio.Event()
        for _ in range(200):
            await bench.observe(load=0.9)
            await bench.observe(load=0.1)
        sender.hold = trio.Event()
        troubled_store.hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(await troubled_store.read("alert_deliveries")) == 400
    sender.hold = None
    troubled_store.hold = None
    async with open_alerts(store=troubled_store, senders={"webhook": sender}, limits=limits) as bench:
        await trio.testing.wait_all_tasks_blocked()
        assert len(sender.taken) == 400


async def test_what_the_store_refuses_is_told_all_the_same(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any, sender: Any
) -> None:
    async with open_alerts(store=troubled_store, senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu)
        troubled_store.refusing = True
        await bench.observe(cpu_utilization=0.9)
        assert sender.told == [("alert_triggered", "High CPU Usage")]
        troubled_store.refusing = False
        await bench.observe(cpu_utilization=0.1)
        assert len(sender.taken) == 2


async def test_where_a_rule_stands_is_written_as_soon_as_the_store_takes_it(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any, sender: Any
) -> None:
    """An alert fires while the disk is full, and nothing else happens: the restart must not tell it once more."""
    async with open_alerts(store=troubled_store, senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu)
        troubled_store.failing = True
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(600)
        troubled_store.failing = False
        await trio.sleep(60)  # the longest pause between two tries
        (alert,) = bench.alerts.alerts()
    async with open_alerts(store=troubled_store, senders={"webhook": sender}) as bench:
        assert [each.id for each in bench.alerts.alerts()] == [alert.id]
        await bench.observe(cpu_utilization=0.95)
        assert sender.told == [("alert_triggered", "High CPU Usage")]


async def test_command_writes_what_could_not_be_written_before(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    """It does not wait for the next try."""
    async with open_alerts(store=troubled_store) as bench:
        rule = await bench.alerts.add_rule(high_cpu | {"channels": ["dashboard"]})
        troubled_store.failing = True
        await bench.observe(cpu_utilization=0.9)
        with pytest.raises(RequestError, match="could not be kept"):
            await bench.alerts.silence(rule.id, 60)
        assert await troubled_store.read("alert_states") == []
        troubled_store.failing = False
        with pytest.raises(RequestError, match="no such rule"):
            await bench.alerts.silence("another", 60)
        (kept,) = await troubled_store.read("alert_states")
        assert kept[0] == rule.id


async def test_tries_become_rare_while_the_store_fails(
    autojump_clock: MockClock,
    open_alerts: Any,
    high_cpu: Any,
    troubled_store: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_alerts(store=troubled_store) as bench:
        await bench.alerts.add_rule(high_cpu)
        troubled_store.failing = True
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(3600)
        tries = [each for each in caplog.records if "could not be kept" in each.getMessage()]
        assert len(tries) == 1 + len([1, 3, 7, 15, 31, 63]) + (3600 - 63) // 60


async def test_rule_that_changes_while_it_is_written_and_finds_no_room_to_wait_is_written_later(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    """Others take its place in the line: it is told at once, and where it stands is written with the next."""
    quiet = high_cpu | {"channels": []}
    async with open_alerts(store=troubled_store, limits=Limits(alert_deliveries=2)) as bench:
        await bench.alerts.add_rule(quiet)
        for name in ("first", "second"):
            await bench.alerts.add_rule(quiet | {"name": name, "condition": f"{name} > 1"})
        troubled_store.hold = trio.Event()
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        await bench.observe(first=2, second=2)
        troubled_store.hold.set()
        await trio.testing.wait_all_tasks_blocked()
    async with open_alerts(store=troubled_store) as bench:
        assert sorted(alert.rule for alert in bench.alerts.alerts()) == ["first", "second"]
