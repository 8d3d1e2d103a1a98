"""Acknowledging, silencing, hooks; and what happens when two things happen at once."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.alerts.alert import Alert, AlertState
from rtcore.features.alerts.settings import AlertSettings
from rtcore.testing import START
from rtcore.values.events import format_timestamp
from rtcore.values.limits import Limits


async def test_acknowledged_alert_stays_until_it_resolves(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async with open_alerts() as bench:
        await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        (alert,) = bench.alerts.alerts()
        seen = await bench.alerts.acknowledge(alert.id, by="alice", note="on it")
        assert (seen.state, seen.acknowledged_by, seen.note) == (AlertState.ACKNOWLEDGED, "alice", "on it")
        assert bench.alerts.rule_documents()[0]["state"] == "acknowledged"
        assert await bench.alerts.acknowledge(alert.id, by="alice") == seen
        with pytest.raises(RequestError, match="acknowledged already by alice") as caught:
            await bench.alerts.acknowledge(alert.id, by="bob")
        assert caught.value.code is ErrorCode.CONFLICT
        await bench.observe(cpu_utilization=0.95)
        await bench.observe(cpu_utilization=0.1)
        with pytest.raises(RequestError, match="resolved already"):
            await bench.alerts.acknowledge(alert.id, by="alice")
        with pytest.raises(RequestError, match="no such alert"):
            await bench.alerts.acknowledge("none", by="alice")
        assert bench.types == ["alert_rule_added", "alert_triggered", "alert_acknowledged", "alert_resolved"]
        (resolved,) = bench.data("alert_resolved")
        assert (resolved["state"], resolved["acknowledged_by"]) == ("resolved", "alice")


async def test_silenced_rule_tells_when_the_silence_ends_and_it_still_fires(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        silenced = await bench.alerts.silence(rule.id, 600, by="alice")
        assert silenced["silenced_until"] == format_timestamp(START + 600)
        await bench.observe(cpu_utilization=0.9)
        assert bench.data("alert_triggered")[0]["silenced"] is True
        assert bench.alerts.rule_documents()[0]["silenced_until"] == silenced["silenced_until"]
        await trio.sleep(599)
        assert sender.taken == []
        await trio.sleep(2)
        assert bench.types[-1] == "alert_silence_ended"
        assert bench.data("alert_silence_ended")[0]["silenced"] is False
        assert [(at, told.event) for at, told in zip([600.0], sender.taken, strict=True)] == [
            (600.0, "alert_triggered")
        ]
        assert bench.alerts.rule_documents()[0]["silenced_until"] is None


async def test_alert_that_came_and_went_in_silence_is_told_to_nobody(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 600)
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        await trio.sleep(3600)
        assert sender.taken == []
        assert bench.data("alert_resolved")[0]["silenced"] is True


async def test_alert_that_was_acknowledged_in_silence_is_not_told_afterwards(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    """Somebody knows of it: that is what telling is for."""
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 600)
        await bench.observe(cpu_utilization=0.9)
        await bench.alerts.acknowledge(bench.alerts.alerts()[0].id, by="alice")
        await trio.sleep(3600)
        assert sender.taken == []


async def test_end_of_an_alert_that_was_acknowledged_in_silence_is_told_to_nobody(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    """Targets would hear that something is over of which they never heard."""
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 600)
        await bench.observe(cpu_utilization=0.9)
        await bench.alerts.acknowledge(bench.alerts.alerts()[0].id, by="alice")
        await bench.observe(cpu_utilization=0.1)
        assert bench.types[-1] == "alert_resolved"
        assert sender.taken == []


async def test_silence_can_be_ended_early(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any
) -> None:
    async with open_alerts(senders={"webhook": sender}) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 600)
        await bench.observe(cpu_utilization=0.9)
        ended = await bench.alerts.silence(rule.id, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert ended["silenced_until"] is None
        assert sender.told == [("alert_triggered", "High CPU Usage")]
        with pytest.raises(RequestError, match="no such rule"):
            await bench.alerts.silence("none", 600)


async def test_hooks_are_told_of_every_change_that_they_want(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    told: list[tuple[str, str]] = []

    async def scale(alert: Alert) -> None:
        await trio.sleep(1 if alert.state is AlertState.RESOLVED else 2)
        told.append(("scale", alert.state))

    async with open_alerts() as bench:
        bench.alerts.on_alert(scale, rule="High CPU Usage", severities={"high"})
        bench.alerts.on_alert(lambda alert: told.append(("other", alert.state)), rule="Other")
        bench.alerts.on_alert(lambda alert: told.append(("low", alert.state)), severities={"low"})
        remove = bench.alerts.on_alert(lambda alert: told.append(("all", alert.state)))
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 3600)  # people are left alone; machines go on
        await bench.observe(cpu_utilization=0.9)
        await bench.alerts.acknowledge(bench.alerts.alerts()[0].id)
        await trio.testing.wait_all_tasks_blocked()
        remove()
        remove()
        await bench.observe(cpu_utilization=0.1)
        await trio.sleep(10)
    assert [state for hook, state in told if hook == "all"] == ["firing", "acknowledged"]
    assert [state for hook, state in told if hook == "scale"] == ["firing", "acknowledged", "resolved"]
    assert {hook for hook, _ in told} == {"all", "scale"}


async def test_end_of_a_silence_calls_no_hook(autojump_clock: MockClock, open_alerts: Any, high_cpu: Any) -> None:
    """They were called when the alert fired: a second call would scale out twice for one alert."""
    told: list[str] = []
    async with open_alerts() as bench:
        bench.alerts.on_alert(lambda alert: told.append(alert.state))
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.alerts.silence(rule.id, 60)
        await bench.observe(cpu_utilization=0.9)
        await trio.sleep(61)
        assert bench.types[-1] == "alert_silence_ended"
        assert told == ["firing"]
        await bench.observe(cpu_utilization=0.1)
        assert told == ["firing", "resolved"]


async def test_hook_that_cannot_keep_up_loses_the_oldest_and_says_so(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any
) -> None:
    async def slow(alert: Alert) -> None:
        await trio.sleep(1)

    async with open_alerts() as bench:
        bench.alerts.on_alert(slow)
        await bench.alerts.add_rule(high_cpu)
        for _ in range(51):
            await bench.observe(cpu_utilization=0.9)
            await bench.observe(cpu_utilization=0.1)
        assert [each["error"] for each in bench.data("alert_hook_failed")] == [
            "more than 100 alerts were waiting for it"
        ]


async def test_hook_that_fails_or_hangs_harms_nobody_and_is_reported(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def broken(alert: Alert) -> None:
        raise RuntimeError("a secret of the application")

    async def hanging(alert: Alert) -> None:
        await trio.sleep_forever()

    async with open_alerts(senders={"webhook": sender}, settings=AlertSettings(hook_seconds=5)) as bench:
        for hook in (broken, hanging, lambda alert: told.append(alert.state)):
            bench.alerts.on_alert(hook)
        await bench.alerts.add_rule(high_cpu)
        with caplog.at_level(logging.ERROR):
            await bench.observe(cpu_utilization=0.9)
            await trio.sleep(6)
        assert told == ["firing"]
        assert len(sender.taken) == 1
        failed = [(each["hook"].rpartition(".")[2], each["error"]) for each in bench.data("alert_hook_failed")]
        assert failed == [("broken", "RuntimeError"), ("hanging", "took longer than hook_seconds=5")]
        assert bench.alerts.statistics().hook_failures == 2
        assert "a secret of the application" in caplog.text, "the log has the traceback, clients have not"


async def test_hub_without_room_for_the_channel_does_not_keep_targets_from_being_told(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_alerts(senders={"webhook": sender}, limits=Limits(channels=1)) as bench:
        bench.hub.publish("other", "x", {})
        async with bench.hub.subscribe("other"):
            with caplog.at_level(logging.ERROR):
                await bench.alerts.add_rule(high_cpu)
                await bench.observe(cpu_utilization=0.9)
                await bench.observe(cpu_utilization=0.1)
    assert bench.types == ["x"]
    assert [event for event, _ in sender.told] == ["alert_triggered", "alert_resolved"]
    assert "alert_triggered could not be published" in caplog.text


async def test_every_command_is_a_checkpoint(autojump_clock: MockClock, open_alerts: Any, high_cpu: Any) -> None:
    async with open_alerts() as bench:
        with trio.testing.assert_checkpoints():
            rule = await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                await bench.alerts.acknowledge(bench.alerts.alerts()[0].id)
        with trio.testing.assert_checkpoints():
            await bench.alerts.silence(rule.id, 60)
        with trio.testing.assert_checkpoints():
            await bench.alerts.remove_rule(rule.id)


async def test_store_that_fails_refuses_commands_and_changes_nothing(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    async with open_alerts(store=troubled_store) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        (alert,) = bench.alerts.alerts()
        before = list(bench.types)
        troubled_store.failing = True
        for attempt in (
            bench.alerts.add_rule(high_cpu | {"name": "second"}),
            bench.alerts.remove_rule(rule.id),
            bench.alerts.acknowledge(alert.id),
            bench.alerts.silence(rule.id, 60),
        ):
            with pytest.raises(RequestError, match="nothing has changed") as caught:
                await attempt
            assert caught.value.code is ErrorCode.UNAVAILABLE
            assert "/var/lib" not in caught.value.message
        assert bench.types == before
        assert bench.alerts.alerts() == [alert]
        assert bench.alerts.rule_documents()[0]["silenced_until"] is None


async def test_alert_is_told_although_the_store_fails_and_kept_when_it_can_be(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any, sender: Any
) -> None:
    """It may be the alert about this very disk."""
    async with open_alerts(store=troubled_store, senders={"webhook": sender}) as bench:
        await bench.alerts.add_rule(high_cpu)
        await bench.alerts.add_rule(high_cpu | {"name": "second", "condition": "disk > 0.9"})
        troubled_store.failing = True
        await bench.observe(cpu_utilization=0.9)
        assert sender.told == [("alert_triggered", "High CPU Usage")]
        troubled_store.failing = False
        await bench.observe(disk=1)
        before = bench.alerts.alerts()
    async with open_alerts(store=troubled_store, senders={"webhook": sender}) as bench:
        assert sorted(bench.alerts.alerts(), key=lambda alert: alert.rule) == before
        assert len(sender.taken) == 2


async def test_what_comes_about_while_the_store_hangs_is_told_in_order_and_bounded(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any, sender: Any
) -> None:
    async with open_alerts(
        store=troubled_store, senders={"webhook": sender}, limits=Limits(alert_deliveries=4)
    ) as bench:
        await bench.alerts.add_rule(high_cpu)
        troubled_store.hold = trio.Event()
        await bench.observe(cpu_utilization=0.9)
        await bench.observe(cpu_utilization=0.1)
        assert "alert_triggered" not in bench.types, "what is not written is not told"
        for _ in range(10):
            await bench.observe(cpu_utilization=0.9)
            await bench.observe(cpu_utilization=0.1)
        troubled_store.hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert bench.types.count("alert_triggered") == bench.types.count("alert_resolved") == 11


async def test_alert_that_resolves_while_it_is_being_acknowledged_is_resolved(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    async with open_alerts(store=troubled_store) as bench, trio.open_nursery() as nursery:
        await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        (alert,) = bench.alerts.alerts()
        troubled_store.hold = trio.Event()
        refused: list[RequestError] = []

        async def acknowledge() -> None:
            with pytest.raises(RequestError) as caught:
                await bench.alerts.acknowledge(alert.id, by="alice")
            refused.append(caught.value)

        nursery.start_soon(acknowledge)
        await trio.testing.wait_all_tasks_blocked()
        await bench.observe(cpu_utilization=0.1)
        troubled_store.hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [error.message for error in refused] == ["the alert is resolved already"]
        assert bench.types == ["alert_rule_added", "alert_triggered", "alert_resolved"]
    async with open_alerts(store=troubled_store) as bench:
        assert bench.alerts.alerts() == []


@pytest.mark.parametrize("last", [0.1, 0.9])
async def test_alert_that_resolves_while_its_rule_is_removed_is_resolved_once(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any, sender: Any, last: float
) -> None:
    async with (
        open_alerts(store=troubled_store, senders={"webhook": sender}) as bench,
        trio.open_nursery() as nursery,
    ):
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        troubled_store.hold = trio.Event()
        nursery.start_soon(bench.alerts.remove_rule, rule.id)
        await trio.testing.wait_all_tasks_blocked()
        await bench.observe(cpu_utilization=0.1)
        await bench.observe(cpu_utilization=last)
        troubled_store.hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (bench.types.count("alert_triggered"), bench.types.count("alert_resolved")) == (1, 1)
        assert [event for event, _ in sender.told] == ["alert_triggered", "alert_resolved"]
        assert bench.alerts.overview()["rules"] == []


async def test_command_that_is_cancelled_while_it_is_written_has_changed_nothing(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    async with open_alerts(store=troubled_store) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        await bench.observe(cpu_utilization=0.9)
        (alert,) = bench.alerts.alerts()
        troubled_store.hold = trio.Event()
        for call in (
            (bench.alerts.add_rule, high_cpu | {"name": "second"}),
            (bench.alerts.remove_rule, rule.id),
            (bench.alerts.acknowledge, alert.id),
            (bench.alerts.silence, rule.id, 60),
        ):
            with trio.move_on_after(1) as scope:
                await call[0](*call[1:])
            assert scope.cancelled_caught
        troubled_store.hold = None
        assert bench.alerts.alerts() == [alert]
        assert [each.id for each in bench.alerts.rules()] == [rule.id]
        await bench.observe(cpu_utilization=0.1)
        assert bench.types == ["alert_rule_added", "alert_triggered", "alert_resolved"]


async def test_trigger_survives_a_command_that_is_cancelled_while_it_waits_for_it(
    autojump_clock: MockClock, open_alerts: Any, high_cpu: Any, troubled_store: Any
) -> None:
    """A command writes what came before it; if its client goes meanwhile, the alert must not go with it."""
    async with open_alerts(store=troubled_store) as bench:
        rule = await bench.alerts.add_rule(high_cpu)
        troubled_store.hold = trio.Event()
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.alerts.silence, rule.id, 60)
                bench.alerts.observe("s", {"cpu_utilization": 0.9})
        troubled_store.hold.set()
        troubled_store.hold = None
        await trio.testing.wait_all_tasks_blocked()
        assert bench.types == ["alert_rule_added", "alert_triggered"]
